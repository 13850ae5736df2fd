"""`grid_sample`, `affine_grid`, `rotate`: float64 oracles, PyTorch's values and gradients, edges, dtypes, bad input."""

import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxcnn import functional as F
from tests.reference import grid_sample as oracle
from tests.reference.arrays import normal

METHODS, PADDING_MODES = ("nearest", "linear", "cubic"), ("zeros", "border", "reflection")
OPTIONS = list(itertools.product(METHODS, PADDING_MODES, (False, True)))
WORDS = ("method", "padding_mode", "align_corners")
X, GRID = jnp.ones((2, 7, 5, 3)), jnp.zeros((2, 3, 2, 2))
SHAPES = {"plane": (2, 7, 5, 3), "one pixel": (2, 1, 1, 3), "one row": (2, 1, 2, 3), "no images": (0, 3, 2, 1)}
SHAPES |= {"line": (2, 7, 3), "volume": (2, 3, 5, 4, 2)}
OUTPUTS = {1: (11,), 2: (4, 11), 3: (2, 3, 5)}
# a point of an image of up to 11 pixels is off by 11 · 4 · 2^-24, the slope between pixels of order 3 at most 10
BOUND = 3e-5


def points(n, seed=0, rank=2):
    """Points in and around the image, in 64ths shifted by a little: far from the halves where nearest jumps."""
    return (np.random.default_rng([seed, n]).integers(-190, 190, (n, *OUTPUTS[rank], rank)) + 0.37) / 64


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_grid_sample_is_its_formula(shape, options):
    x, grid = normal(*shape).astype(np.float32), points(shape[0], rank=len(shape) - 2).astype(np.float32)
    y = F.grid_sample(jnp.asarray(x), jnp.asarray(grid), **dict(zip(WORDS, options)))
    np.testing.assert_allclose(y, oracle.grid_sample(x, grid, *options), atol=BOUND)


@given(h=st.integers(1, 11), w=st.integers(1, 11), options=st.sampled_from(OPTIONS), seed=st.integers(0, 99))
def test_grid_sample_of_any_size(h, w, options, seed):
    x, grid = normal(1, h, w, 2), points(1, seed)
    with jax.enable_x64(True):
        y = F.grid_sample(jnp.asarray(x), jnp.asarray(grid), **dict(zip(WORDS, options)))
    np.testing.assert_allclose(y, oracle.grid_sample(x, grid, *options), atol=1e-11)


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        *itertools.product([(2, 7, 5, 3), (2, 1, 2, 3)], OPTIONS),
        *[((2, 3, 5, 4, 3), o) for o in OPTIONS if o[0] != "cubic"],
    ],
    ids=str,
)
def test_grid_sample_agrees_with_torch(shape, options):
    torch = pytest.importorskip("torch", reason="PyTorch is an optional oracle")
    x, grid = normal(*shape), points(2, rank=len(shape) - 2)
    cotangent = normal(*grid.shape[:-1], 3)
    with jax.enable_x64(True):
        function = lambda x, grid: F.grid_sample(x, grid, **dict(zip(WORDS, options)))
        y, pull = jax.vjp(function, jnp.asarray(x), jnp.asarray(grid))
        ours = y, *pull(jnp.asarray(cotangent))
    method, mode, align = options
    image = torch.tensor(x, requires_grad=True)
    turned = torch.tensor(grid[..., ::-1].copy(), requires_grad=True)  # PyTorch's points are (x, y)
    words = {"mode": {"linear": "bilinear", "cubic": "bicubic"}.get(method, method), "padding_mode": mode}
    expected = torch.nn.functional.grid_sample(image.movedim(-1, 1), turned, align_corners=align, **words)
    expected.movedim(1, -1).backward(torch.tensor(cotangent))
    theirs = expected.movedim(1, -1).detach().numpy(), image.grad.numpy(), turned.grad.numpy()[..., ::-1]
    for actual, wanted in zip(ours, theirs):
        np.testing.assert_allclose(actual, wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("size", [(7, 5), (1, 1), (1, 3), (3, 5, 2)], ids=str)
@pytest.mark.filterwarnings("ignore:Since version 1.3:UserWarning")  # one pixel with align_corners
def test_affine_grid_agrees_with_torch(size, align_corners):
    torch = pytest.importorskip("torch", reason="PyTorch is an optional oracle")
    rank = len(size)
    theta = normal(2, rank, rank + 1)
    expected = torch.nn.functional.affine_grid(torch.tensor(theta), [2, 3, *size], align_corners=align_corners)
    turned = theta[:, ::-1, [*reversed(range(rank)), rank]]
    with jax.enable_x64(True):
        y = F.affine_grid(jnp.asarray(turned), size, align_corners=align_corners)
    np.testing.assert_allclose(y, expected.numpy()[..., ::-1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(("method", "padding_mode"), list(itertools.product(METHODS, PADDING_MODES)))
def test_affine_grid_of_the_identity_leaves_the_image(method, padding_mode, align_corners):
    x = jnp.asarray(normal(2, 7, 5, 3), jnp.float32)
    grid = F.affine_grid(jnp.eye(2, 3)[None].repeat(2, 0), (7, 5), align_corners=align_corners)
    y = F.grid_sample(x, grid, method=method, padding_mode=padding_mode, align_corners=align_corners)
    np.testing.assert_allclose(y, x, atol=BOUND)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_grid_sample_of_16_bit_floats_rounds_once(dtype):
    x, grid = jnp.asarray(normal(2, 7, 5, 3), dtype), points(2).astype(np.float32)
    y = F.grid_sample(x, jnp.asarray(grid), method="cubic")
    assert y.dtype == x.dtype
    expected = oracle.grid_sample(np.asarray(x, np.float64), grid, "cubic", "zeros", False)
    np.testing.assert_allclose(np.asarray(y, np.float64), expected, rtol=float(jnp.finfo(dtype).eps), atol=BOUND)


@pytest.mark.parametrize("method", METHODS)
def test_grid_sample_far_away_and_at_nan(method):
    far = jnp.asarray([[[[jnp.inf, 0.0], [-1e30, 0.0], [jnp.nan, 0.0]]]])
    zeros, border = (
        F.grid_sample(7 * X[:1], far, method=method, padding_mode=m)[0, 0, :, 0] for m in PADDING_MODES[:2]
    )
    np.testing.assert_allclose(zeros, [0, 0, np.nan])
    np.testing.assert_allclose(border, [7, 7, np.nan], rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("degrees", [31, -76, 200, 401])
def test_rotate_is_its_formula(degrees, method):
    x = normal(2, 7, 5, 3).astype(np.float32)
    y = F.rotate(jnp.asarray(x), degrees, method=method, fill=0.5)
    np.testing.assert_allclose(y, oracle.rotate(x, degrees, method, 0.5), atol=BOUND)


@pytest.mark.parametrize("turns", [-1, 0, 1, 2])
def test_rotate_by_quarter_turns(turns):
    x = jnp.asarray(normal(2, 6, 6, 3), jnp.float32)
    np.testing.assert_allclose(F.rotate(x, 90 * turns), np.rot90(x, turns, (1, 2)), atol=BOUND)


def test_rotate_takes_an_angle_an_image_and_a_colour_a_channel():
    x, fill = jnp.asarray(normal(2, 7, 5, 3), jnp.float32), jnp.array([1.0, 2.0, 3.0])
    y = F.rotate(x, jnp.array([20.0, -50.0]), fill=fill)
    for i, degrees in enumerate((20.0, -50.0)):
        np.testing.assert_allclose(y[i], F.rotate(x[i : i + 1], degrees, fill=fill)[0], atol=1e-6)
    np.testing.assert_allclose(F.rotate(jnp.ones((1, 1, 99, 3)), 90.0, fill=fill)[0, 0, 0], fill, atol=1e-6)


ERRORS = {
    "x": (ValueError, lambda: F.grid_sample(X[0, 0], GRID), "grid_sample: x is float32[5,3]; it must have the axes (n, w"),
    "integers": (TypeError, lambda: F.grid_sample(X.astype(int), GRID), "grid_sample: x is int32[2,7,5,3]; it must be"),
    "grid": (
        ValueError,
        lambda: F.grid_sample(X, GRID[:1]),
        "grid_sample: grid is float32[1,3,2,2]; it must have the axes (2, h, w, 2)",
    ),
    "grid list": (TypeError, lambda: F.grid_sample(X, [0.0]), "grid_sample: grid is a list; it must be an"),  # type: ignore
    "grid integers": (TypeError, lambda: F.grid_sample(X, GRID.astype(int)), "grid_sample: grid is int32[2,3,2,2]; it"),
    "method": (
        ValueError,
        lambda: F.grid_sample(X, GRID, method="bilinear"),
        "grid_sample: method='bilinear' is unknown; use \"nearest\", \"linear\", \"cubic\"",
    ),
    "mode": (
        ValueError,
        lambda: F.grid_sample(X, GRID, padding_mode="reflect"),
        "grid_sample: padding_mode='reflect' is unknown; use \"zeros\", \"border\", \"reflection\"",
    ),
    "grid of a volume": (
        ValueError,
        lambda: F.grid_sample(X[None], GRID[None]),
        "grid_sample: grid is float32[1,2,3,2,2]; it must have the axes (1, d, h, w, 3)",
    ),
    "theta": (
        ValueError,
        lambda: F.affine_grid(jnp.eye(2, 3), 3),
        "affine_grid: theta is float32[2,3]; it must have the axes (n, 2, 3)",
    ),
    "size": (ValueError, lambda: F.affine_grid(jnp.ones((1, 2, 3)), 0), "affine_grid: size=0 must be at least 1 on every"),
    "rotate": (ValueError, lambda: F.rotate(X, 3, method="area"), "rotate: method='area' is unknown; use"),
    "degrees": (
        ValueError,
        lambda: F.rotate(X, jnp.ones(3)),
        "rotate: degrees is float32[3]; give one number, or 2, one for each of the images",
    ),
    "fill": (ValueError, lambda: F.rotate(X, 3, fill=jnp.ones(2)), "rotate: fill is float32[2]; give one number, or 3"),
}  # fmt: skip


@pytest.mark.parametrize(("error", "call", "message"), ERRORS.values(), ids=ERRORS)
def test_grid_sample_family_refuses(error, call, message):
    with pytest.raises(error, match=f"^{re.escape(message)}.*$"):
        call()
