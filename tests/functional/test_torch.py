"""Values and gradients of convolution, pooling, padding and batch normalisation against PyTorch, in both precisions."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import functional as F
from tests.reference.arrays import distinct, normal

torch = pytest.importorskip("torch", reason="PyTorch is an optional oracle")
T = torch.nn.functional
TERMS = 2**12  # units of rounding: sums of at most 1,000 products of order 1 to 10, whose errors partly cancel

CONV = {
    "line": (F.conv1d, T.conv1d, (2, 11, 3), (5, 3, 7), {"stride": 2, "padding": 3}),
    "plane": (F.conv2d, T.conv2d, (2, 7, 5, 3), (3, 2, 3, 11), {"padding": (1, 0)}),
    "strided": (F.conv2d, T.conv2d, (2, 7, 5, 3), (3, 2, 3, 11), {"stride": (3, 2), "padding": (2, 1)}),
    "dilated": (F.conv2d, T.conv2d, (2, 7, 5, 3), (3, 2, 3, 11), {"dilation": (2, 3), "padding": 2}),
    "grouped": (F.conv2d, T.conv2d, (2, 7, 5, 6), (3, 2, 2, 9), {"groups": 3, "stride": 2, "padding": 1}),
    "depthwise": (F.conv2d, T.conv2d, (2, 7, 5, 3), (3, 3, 1, 6), {"groups": 3, "padding": 1}),
    "cube": (F.conv3d, T.conv3d, (2, 5, 3, 7, 2), (2, 3, 3, 2, 5), {"stride": (2, 1, 3), "padding": 1}),
    "same": (F.conv2d, T.conv2d, (2, 7, 5, 3), (4, 2, 3, 11), {"padding": "same", "dilation": (1, 3)}),
    "valid": (F.conv1d, T.conv1d, (2, 11, 3), (5, 3, 7), {"padding": "valid"}),
    "transposed": (F.conv_transpose2d, T.conv_transpose2d, (2, 4, 3, 6), (4, 3, 5, 6), {"stride": 2, "padding": 1}),
    "transposed line": (
        F.conv_transpose1d,
        T.conv_transpose1d,
        (2, 5, 6),
        (3, 2, 6),
        {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2},
    ),
    "transposed dilated": (
        F.conv_transpose2d,
        T.conv_transpose2d,
        (2, 3, 4, 6),
        (3, 3, 4, 6),
        {"stride": 3, "padding": 0, "output_padding": 2, "dilation": 2, "groups": 3},
    ),
    "transposed depthwise": (
        F.conv_transpose2d,
        T.conv_transpose2d,
        (2, 3, 4, 6),
        (2, 3, 2, 6),
        {"stride": (1, 2), "padding": (0, 1), "groups": 6},
    ),
    "transposed in steps": (
        F.conv_transpose2d,
        T.conv_transpose2d,
        (2, 6, 5, 6),
        (3, 3, 12, 6),
        {"padding": 1, "output_padding": 1, "dilation": 2},
    ),
    "transposed apart": (
        F.conv_transpose2d,
        T.conv_transpose2d,
        (2, 3, 4, 2),
        (2, 2, 3, 2),
        {"stride": 3, "padding": 0},
    ),
    "transposed cube": (
        F.conv_transpose3d,
        T.conv_transpose3d,
        (2, 3, 2, 4, 2),
        (2, 3, 3, 5, 2),
        {"stride": (2, 1, 2), "padding": 1},
    ),
}
POOL = {
    "plain": {"window": 2},
    "overlapping": {"window": 3, "stride": 2, "padding": 1},
    "uneven": {"window": (2, 3), "stride": (3, 1), "padding": (1, 1)},
    "ragged": {"window": 2, "ceil_mode": True},
    "ragged padded": {"window": 3, "stride": 2, "padding": 1, "ceil_mode": True},
    "ragged step": {"window": 2, "stride": 3, "padding": 1, "ceil_mode": True},
}
AVERAGE = {"include": {}, "exclude": {"count_include_pad": False}, "divisor": {"divisor": 7}}
MODES = ["reflect", "replicate", "circular"]


@pytest.fixture(autouse=True, params=[np.float32, np.float64], ids=lambda dtype: dtype.__name__)
def dtype(request):
    """Everything here is first single, then double precision."""
    with jax.enable_x64(request.param == np.float64):
        yield request.param


def leaf(x):
    """PyTorch's tensor with a gradient."""
    return torch.tensor(x.copy(), requires_grad=True)


def first(x):
    """The same with channels first."""
    return leaf(np.moveaxis(np.asarray(x), -1, 1))


def last(tensor):
    return np.moveaxis(tensor.detach().numpy(), 1, -1)


def assert_close(actual, expected):
    assert actual.dtype == expected.dtype == jax.dtypes.canonicalize_dtype(np.float64)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TERMS * np.finfo(actual.dtype).epsneg)


def torch_kernel(kernel):
    return leaf(np.moveaxis(kernel, (-1, -2), (0, 1)))


@pytest.mark.parametrize(("ours", "theirs", "x_shape", "kernel_shape", "options"), CONV.values(), ids=CONV)
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
def test_conv_and_gradients_match_torch(ours, theirs, x_shape, kernel_shape, options, dtype):
    c_out = jax.eval_shape(functools.partial(ours, **options), jnp.ones(x_shape), jnp.ones(kernel_shape)).shape[-1]
    arrays = [normal(*shape).astype(dtype) for shape in (x_shape, kernel_shape, (c_out,))]
    tensors = [first(arrays[0]), torch_kernel(arrays[1]), leaf(arrays[2])]
    reference = theirs(*tensors, **options)
    value, pull = jax.vjp(lambda *a: ours(*a, **options), *map(jnp.asarray, arrays))
    weights = normal(*value.shape, seed=1).astype(dtype)
    reference.backward(first(weights).detach())
    assert_close(value, last(reference))
    dx, dk, db = pull(jnp.asarray(weights))
    assert_close(dx, last(tensors[0].grad))
    assert_close(dk, np.moveaxis(tensors[1].grad.numpy(), (0, 1), (-1, -2)))
    assert_close(db, tensors[2].grad.numpy())


def check_pool(ours, theirs, x, *vectors):
    """Value and gradients of a function of images, and of vectors with one number a channel."""
    arrays = [np.asarray(v, jax.dtypes.canonicalize_dtype(np.float64)) for v in (x, *vectors)]
    tensors = [first(arrays[0]), *map(leaf, arrays[1:])]
    reference = theirs(*tensors)
    value, pull = jax.vjp(ours, *map(jnp.asarray, arrays))
    weights = normal(*value.shape, seed=1).astype(value.dtype)
    reference.backward(first(weights).detach())
    assert_close(value, last(reference))
    dx, *rest = pull(jnp.asarray(weights))
    assert_close(dx, last(tensors[0].grad))
    for ours_of, tensor in zip(rest, tensors[1:]):
        assert_close(ours_of, tensor.grad.numpy())


def spoken(options):
    """Our words in PyTorch's."""
    words = {"window": "kernel_size", "divisor": "divisor_override"}
    return {words.get(name, name): value for name, value in options.items()}


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("options", POOL.values(), ids=POOL)
def test_max_pool_and_gradient_match_torch(options, dilation):
    ours = functools.partial(F.max_pool2d, dilation=dilation, **options)
    check_pool(ours, lambda x: T.max_pool2d(x, dilation=dilation, **spoken(options)), distinct(2, 7, 5, 3))


@pytest.mark.parametrize("extra", AVERAGE.values(), ids=AVERAGE)
@pytest.mark.parametrize("options", POOL.values(), ids=POOL)
def test_avg_pool_and_gradient_match_torch(options, extra):
    ours = functools.partial(F.avg_pool2d, **options, **extra)
    check_pool(ours, lambda x: T.avg_pool2d(x, **spoken(options | extra)), normal(2, 7, 5, 3))


@pytest.mark.parametrize(
    ("ours", "theirs", "shape"),
    [
        (F.max_pool1d, T.max_pool1d, (2, 11, 3)),
        (F.max_pool3d, T.max_pool3d, (2, 7, 5, 3, 1)),
        (F.avg_pool1d, T.avg_pool1d, (2, 11, 3)),
        (F.avg_pool3d, T.avg_pool3d, (2, 7, 5, 3, 1)),
    ],
)
def test_pool_of_other_ranks_matches_torch(ours, theirs, shape):
    options = {"stride": 2, "padding": 1, "ceil_mode": True}
    check_pool(lambda x: ours(x, 3, **options), lambda x: theirs(x, 3, **options), distinct(*shape))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("shape", "pairs"),
    [((2, 11, 3), [(3, 4)]), ((2, 7, 5, 3), [(4, 1), (2, 3)]), ((2, 3, 4, 2, 3), [(2, 1), (0, 3), (1, 1)])],
)
def test_pad_and_gradient_match_torch(mode, shape, pairs):
    flat = [n for pair in reversed(pairs) for n in pair]
    check_pool(lambda x: F.pad(x, pairs, mode=mode), lambda x: T.pad(x, flat, mode=mode), normal(*shape))


@pytest.mark.parametrize("mode", MODES)
def test_conv_padding_mode_matches_torch(mode, dtype):
    kernel = normal(3, 3, 3, 11).astype(dtype)
    check_pool(
        lambda x: F.conv2d(x, jnp.asarray(kernel), padding=2, padding_mode=mode, stride=2),
        lambda x: T.conv2d(T.pad(x, (2, 2, 2, 2), mode=mode), torch_kernel(kernel), stride=2),
        normal(2, 7, 5, 3),
    )


METHODS = {"nearest": "nearest", "nearest_exact": "nearest-exact", "linear": "linear", "area": "area"}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("shape", "sizes"), [((2, 11, 3), (17,)), ((2, 11, 3), (4,)), ((2, 5, 3, 4, 2), (3, 7, 4))])
def test_resize_of_lines_and_volumes_matches_torch(shape, sizes, method):
    mode = "trilinear" if (method, len(sizes)) == ("linear", 3) else METHODS[method]
    check_pool(
        lambda x: F.resize(x, sizes, method=method), lambda x: T.interpolate(x, sizes, mode=mode), normal(*shape)
    )


@pytest.mark.parametrize("p", [1, 2, 3.5])
@pytest.mark.parametrize("options", [{"window": (2, 3), "stride": 1}, {"window": 2, "stride": 3}])
def test_lp_pool_with_a_stride_matches_torch(options, p):
    positive = np.abs(normal(2, 7, 5, 3)) + 0.5
    check_pool(lambda x: F.lp_pool2d(x, p, **options), lambda x: T.lp_pool2d(x, p, **spoken(options)), positive)


def test_batch_norm_and_gradients_match_torch(dtype):
    moments = [m.astype(dtype) for m in (normal(3, seed=1), normal(3, seed=2) ** 2)]
    check_pool(
        lambda x, scale, bias: F.batch_norm(x, *map(jnp.asarray, moments), scale, bias),
        lambda x, scale, bias: T.batch_norm(x, *map(torch.tensor, moments), scale, bias, training=False),
        normal(2, 7, 5, 3),
        normal(3, seed=3),
        normal(3, seed=4),
    )


def test_batch_norm_of_moments_matches_torch_training():
    check_pool(
        lambda x, scale, bias: F.batch_norm(x, *F.moments(x), scale, bias),
        lambda x, scale, bias: T.batch_norm(x, None, None, scale, bias, training=True),
        normal(2, 7, 5, 3),
        normal(3, seed=1),
        normal(3, seed=2),
    )
