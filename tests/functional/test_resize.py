"""`resize` against its float64 oracle, PyTorch, jax.image and Pillow; dtypes, edges, bad input."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxcnn import functional as F
from tests.reference.arrays import normal
from tests.reference.resize import resize as oracle

X = jnp.ones((2, 7, 5, 3))
PLAIN = [{"method": m} for m in ("nearest", "nearest_exact", "linear", "cubic", "cubic_keys", "area")]
ALIGNED = [{"method": m, "align_corners": True} for m in ("linear", "cubic", "cubic_keys")]
SMOOTH = [{"method": m, "antialias": True} for m in ("linear", "cubic", "cubic_keys")]
OPTIONS = PLAIN + ALIGNED + SMOOTH
NAMES = ["-".join(map(str, o.values())) for o in OPTIONS]
# weights of a row sum to at most 2 in size; three axes of at most 40 products of order 3 in float32
BOUND = 2e-5

SHAPES = {
    "larger": ((2, 7, 5, 3), (11, 13)),
    "smaller": ((2, 13, 11, 3), (5, 2)),
    "both": ((2, 7, 11, 3), (17, 3)),
    "one pixel": ((2, 1, 1, 3), (4, 1)),
    "to one pixel": ((2, 7, 5, 3), (1, 1)),
    "far larger": ((1, 3, 2, 1), (83, 97)),
    "far smaller": ((1, 83, 97, 1), (3, 2)),
    "line": ((2, 11, 3), (7,)),
    "cube": ((2, 3, 5, 7, 2), (5, 2, 11)),
    "no images": ((0, 3, 5, 2), (7, 2)),
}


@pytest.mark.parametrize("options", OPTIONS, ids=NAMES)
@pytest.mark.parametrize(("shape", "sizes"), SHAPES.values(), ids=SHAPES)
def test_resize_is_its_formula(shape, sizes, options):
    x = normal(*shape).astype(np.float32)
    np.testing.assert_allclose(F.resize(jnp.asarray(x), sizes, **options), oracle(x, sizes, **options), atol=BOUND)


@given(n=st.integers(1, 40), m=st.integers(1, 40), options=st.sampled_from(OPTIONS))
def test_resize_of_any_size(n, m, options):
    x = normal(1, n, 2).astype(np.float32)
    np.testing.assert_allclose(F.resize(jnp.asarray(x), m, **options), oracle(x, (m,), **options), atol=BOUND)


@pytest.mark.parametrize("options", OPTIONS, ids=NAMES)
def test_resize_to_the_same_size_is_the_identity(options):
    x = jnp.asarray(normal(2, 7, 5, 3), jnp.float32)
    np.testing.assert_array_equal(F.resize(x, (7, 5), **options), x)
    np.testing.assert_allclose(oracle(x, (7, 5), **options), x, atol=1e-12)


@pytest.mark.parametrize("options", OPTIONS, ids=NAMES)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_resize_of_16_bit_floats_rounds_once(options, dtype):
    x = jnp.asarray(normal(2, 17, 13, 3), dtype)
    y = F.resize(x, (5, 7), **options)
    assert y.dtype == x.dtype
    expected = oracle(np.asarray(x, np.float64), (5, 7), **options)
    bound = float(jnp.finfo(dtype).eps) / 2 * 1.01
    np.testing.assert_allclose(np.asarray(y, np.float64), expected, rtol=bound, atol=BOUND)


@pytest.mark.parametrize("options", OPTIONS, ids=NAMES)
def test_resize_of_bytes_rounds_and_clips(options):
    x = np.random.default_rng(0).choice(np.array([0, 3, 128, 255], np.uint8), (2, 7, 5, 3))
    y = F.resize(jnp.asarray(x), (17, 11), **options)
    assert y.dtype == jnp.uint8
    # half away from a whole number where the float32 sum may fall on either side
    np.testing.assert_allclose(np.asarray(y, float), np.clip(oracle(x, (17, 11), **options), 0, 255), atol=0.5 + 1e-3)


def test_resize_nearest_keeps_every_dtype():
    labels = jnp.array([3, -7, 11])[None, :, None]
    assert F.resize(labels, 6, method="nearest")[0, :, 0].tolist() == [3, 3, -7, -7, 11, 11]
    assert F.resize(labels > 0, 2, method="nearest_exact").dtype == bool


TORCH = {
    "nearest": ("nearest", {}), "nearest_exact": ("nearest-exact", {}), "area": ("area", {}),
    "linear": ("bilinear", {}), "cubic": ("bicubic", {}),
}  # fmt: skip


@pytest.mark.parametrize("options", [o for o in OPTIONS if o["method"] != "cubic_keys"], ids=str)
@pytest.mark.parametrize("sizes", [(11, 13), (5, 2), (17, 3), (1, 1)], ids=str)
def test_resize_agrees_with_torch(options, sizes):
    torch = pytest.importorskip("torch", reason="PyTorch is an optional oracle")
    x, cotangent = normal(2, 7, 11, 3), normal(2, *sizes, 3)
    with jax.enable_x64(True):
        y, pull = jax.vjp(lambda x: F.resize(x, sizes, **options), jnp.asarray(x))
        (gradient,) = pull(jnp.asarray(cotangent))
        assert y.dtype == jnp.float64
    tensor = torch.tensor(x, requires_grad=True)
    words = {word: value for word, value in options.items() if word != "method"}
    mode = TORCH[options["method"]][0]
    expected = torch.nn.functional.interpolate(tensor.movedim(-1, 1), sizes, mode=mode, **words).movedim(1, -1)
    expected.backward(torch.tensor(cotangent))
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=0, atol=1e-10)
    np.testing.assert_allclose(gradient, tensor.grad.numpy(), rtol=0, atol=1e-10)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize(("ours", "theirs"), [("linear", "linear"), ("cubic_keys", "cubic")])
def test_resize_agrees_with_jax_image(ours, theirs, antialias):
    x = jnp.asarray(normal(2, 13, 5, 3), jnp.float32)
    expected = jax.image.resize(x, (2, 7, 11, 3), theirs, antialias=antialias)
    np.testing.assert_allclose(F.resize(x, (7, 11), method=ours, antialias=antialias), expected, atol=BOUND)


@pytest.mark.parametrize("method", ["linear", "cubic"])
def test_resize_antialiased_agrees_with_pillow(method):
    image = pytest.importorskip("PIL.Image", reason="Pillow is an optional oracle")
    x = normal(13, 11).astype(np.float32)
    filters = {"linear": image.Resampling.BILINEAR, "cubic": image.Resampling.BICUBIC}
    expected = np.asarray(image.fromarray(x).resize((4, 5), filters[method]))
    y = F.resize(jnp.asarray(x)[None, ..., None], (5, 4), method=method, antialias=True)
    np.testing.assert_allclose(y[0, ..., 0], expected, atol=1e-5)


ERRORS = {
    "method": (
        ValueError,
        lambda: F.resize(X, 3, method="bilinear"),
        "resize: method='bilinear' is unknown; use \"nearest\",",
    ),
    "rank": (ValueError, lambda: F.resize(X[0, 0], 3), "resize: x is float32[5,3]; it must have the axes (n, w, c)"),
    "size": (ValueError, lambda: F.resize(X, (3, 0)), "resize: output_size=(3, 0) must be at least 1 on every axis"),
    "sizes": (ValueError, lambda: F.resize(X, (3, 1, 2)), "resize: output_size=(3, 1, 2) has 3 entries; give an int"),
    "fraction": (TypeError, lambda: F.resize(X, 2.5), "resize: output_size=2.5 must be an int or 2 ints"),  # type: ignore
    "antialias": (
        ValueError,
        lambda: F.resize(X, 3, method="area", antialias=True),
        'resize: method="area" has no antialias=True; use "linear", "cubic", "cubic_keys"',
    ),
    "align": (
        ValueError,
        lambda: F.resize(X, 3, method="nearest", align_corners=True),
        'resize: method="nearest" has no align_corners=True; use',
    ),
    "both": (
        ValueError,
        lambda: F.resize(X, 3, antialias=True, align_corners=True),
        "resize: antialias=True and align_corners=True do not go together; leave one of them out",
    ),
    "integers": (
        TypeError,
        lambda: F.resize(X.astype(int), 3),
        'resize: x is int32[2,7,5,3]; "linear" takes floating point or uint8, x.astype(jnp.float32)',
    ),
}


@pytest.mark.parametrize(("error", "call", "message"), ERRORS.values(), ids=ERRORS)
def test_resize_refuses(error, call, message):
    with pytest.raises(error, match=f"^{re.escape(message)}.*$"):
        call()
