"""Max pooling against PyTorch, exactly: values, indices and gradients, ties, NaN and infinities; unpooling."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import functional as F
from tests.reference.arrays import integers, normal

torch = pytest.importorskip("torch")
T = torch.nn.functional
SHAPES = {1: (2, 11, 3), 2: (2, 11, 7, 3), 3: (2, 7, 5, 6, 3)}
OPTIONS = {
    "plain": {"kernel_size": 2},
    "overlapping": {"kernel_size": 3, "stride": 1, "padding": 1},
    "stride 2": {"kernel_size": 3, "stride": 2, "padding": 1},
    "stride 3": {"kernel_size": 2, "stride": 3},
    "wide": {"kernel_size": 6, "stride": 1, "padding": 3},
    "wide stride 2": {"kernel_size": 6, "stride": 2, "padding": 3},
    "ragged": {"kernel_size": 2, "stride": 2, "ceil_mode": True},
    "ragged padded": {"kernel_size": 4, "stride": 3, "padding": 2, "ceil_mode": True},
    "dilated": {"kernel_size": 2, "stride": 1, "dilation": 3},
    "dilated padded": {"kernel_size": 3, "stride": 2, "dilation": 2, "padding": 1},
}
CASES = [pytest.param(r, o, id=f"{r}d {n}") for r in SHAPES for n, o in OPTIONS.items()]


def ties(*shape, dtype):
    """Many equal pixels, so that the order of the window decides."""
    return (integers(*shape) % 3).astype(dtype)


def special(*shape, dtype):
    """Equal pixels, infinities of both signs and some NaN."""
    x, kind = ties(*shape, dtype=dtype), np.random.default_rng(7).integers(0, 12, shape)
    return np.select([kind == 0, kind < 4, kind == 5], [np.nan, -np.inf, np.inf], x).astype(dtype)


def lowest(*shape, dtype):
    """Nothing but -inf: the first pixel on the image must win over the padding."""
    return np.full(shape, -np.inf, dtype)


FILLS = {"ties": ties, "special": special}


def spoken(options):
    """PyTorch's options in our words."""
    return {"window" if name == "kernel_size" else name: value for name, value in options.items()}


def first(x):
    """Channels first, as a PyTorch leaf."""
    return torch.tensor(np.moveaxis(np.asarray(x), -1, 1)).requires_grad_()


def last(x):
    return np.moveaxis(x.detach().numpy(), 1, -1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("fill", FILLS.values(), ids=FILLS)
@pytest.mark.parametrize(("rank", "options"), CASES)
def test_max_pool_is_torch_exactly(rank, options, fill, dtype):
    x = fill(*SHAPES[rank], dtype=dtype)
    leaf = first(x)
    values, indices = getattr(T, f"max_pool{rank}d")(leaf, return_indices=True, **options)
    g = integers(*last(values).shape, seed=3).astype(dtype)  # integers: their sums are exact in any order
    values.backward(torch.tensor(np.moveaxis(g, -1, 1)))

    @jax.jit
    def all_of(x, g):
        ours, pull, taken = jax.vjp(lambda x: F.max_pool_with_indices(x, **spoken(options)), x, has_aux=True)
        return ours, taken, pull(g)[0], F.max_pool(x, **spoken(options))

    with jax.enable_x64(dtype == np.float64):
        ours, taken, gradient, alone = all_of(x, g)
        assert ours.dtype == alone.dtype == dtype
        assert taken.dtype == jnp.int32
        np.testing.assert_array_equal(ours, last(values))
        np.testing.assert_array_equal(taken, last(indices))
        np.testing.assert_array_equal(gradient, last(leaf.grad))
        np.testing.assert_array_equal(alone, last(values))


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("rank", [1, 2])  # PyTorch's 3-D kernel answers 0 for every window of nothing but -inf
def test_first_pixel_on_the_image_wins_over_padding(rank, options):
    x = lowest(*SHAPES[rank], dtype=np.float32)
    theirs = getattr(T, f"max_pool{rank}d")(first(x), return_indices=True, **options)[1]
    np.testing.assert_array_equal(F.max_pool_with_indices(x, **spoken(options))[1], last(theirs))


@pytest.mark.parametrize("fill", FILLS.values(), ids=FILLS)
@pytest.mark.parametrize(("rank", "options"), CASES)
def test_min_pool_is_the_negated_max_pool(rank, options, fill):
    x = jnp.asarray(fill(*SHAPES[rank], dtype=np.float32))
    pools = [lambda x: F.min_pool(x, **spoken(options)), lambda x: -F.max_pool(-x, **spoken(options))]
    g = integers(*jax.eval_shape(pools[0], x).shape, seed=3).astype(np.float32)

    @jax.jit
    def both(x, g):
        results = [jax.vjp(pool, x) for pool in pools]
        return [(values, pull(g)[0]) for values, pull in results]

    (values, gradient), (mirrored, other) = both(x, g)
    np.testing.assert_array_equal(values, mirrored)
    np.testing.assert_array_equal(gradient, other)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular", "symmetric"])
def test_indices_name_the_pixel_that_padding_copies(mode):
    x = jnp.asarray(normal(2, 7, 5, 3).astype(np.float32))
    y, indices = F.max_pool2d_with_indices(x, 3, stride=2, padding=((2, 1), (1, 2)), padding_mode=mode)
    flat, n, c = x.reshape(2, 35, 3), jnp.arange(2)[:, None, None, None], jnp.arange(3)
    np.testing.assert_array_equal(flat[n, indices, c], y)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.int32])
def test_indices_of_integers(dtype):
    x = integers(2, 7, 5, 3).astype(dtype)
    y, indices = F.max_pool_with_indices(x, 3, stride=2, padding=1)
    theirs = T.max_pool2d(first(x.astype(np.float32)), 3, 2, 1, return_indices=True)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y.astype(np.float32), last(theirs[0]))
    np.testing.assert_array_equal(indices, last(theirs[1]))


@pytest.mark.parametrize("rank", SHAPES)
def test_max_unpool_is_torch(rank):
    x = normal(*SHAPES[rank]).astype(np.float32)
    y, indices = getattr(F, f"max_pool{rank}d_with_indices")(x, 2)
    ours = getattr(F, f"max_unpool{rank}d")(y=y, indices=indices, output_size=x.shape[1:-1])
    leaf, places = first(y), torch.tensor(np.moveaxis(np.asarray(indices, np.int64), -1, 1))
    theirs = getattr(T, f"max_unpool{rank}d")(leaf, places, 2, output_size=x.shape[1:-1])
    np.testing.assert_array_equal(ours, last(theirs))
    g = normal(*x.shape, seed=5).astype(np.float32)
    theirs.backward(torch.tensor(np.moveaxis(g, -1, 1).copy()))
    pull = jax.vjp(lambda y: F.max_unpool(y, indices, output_size=x.shape[1:-1]), y)[1]
    np.testing.assert_array_equal(pull(jnp.asarray(g))[0], last(leaf.grad))


def test_max_unpool_leaves_out_what_names_no_pixel():
    y, indices = jnp.ones((1, 3, 1)), jnp.array([-1, 1, 9])[None, :, None]
    inside = jax.jit(lambda y, i: F.max_unpool(y, i, output_size=4))(y, indices)
    assert inside[0, :, 0].tolist() == [0, 1, 0, 0]
    with pytest.raises(
        ValueError, match=r"^max_unpool1d: indices reach from -1 to 9 but output_size=\(4,\) has 4 pixels"
    ):
        F.max_unpool1d(y, indices, output_size=4)
    with pytest.raises(ValueError, match=r"^max_unpool: indices reach from -1 to 9"):
        jax.jit(lambda y: F.max_unpool(y, indices, output_size=4))(y)
    with pytest.raises(ValueError, match=r"^max_unpool: y is float32\[1,3,1\] but indices is int32\[1,2,1\]"):
        F.max_unpool(y, indices[:, :2], output_size=4)
    with pytest.raises(TypeError, match=r"^max_unpool: indices is float32"):
        F.max_unpool(y, y, output_size=4)
