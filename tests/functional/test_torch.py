"""Values and gradients of convolution, pooling and padding against PyTorch, in float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import functional as F
from tests.reference.arrays import distinct, normal

torch = pytest.importorskip("torch", reason="PyTorch is an optional oracle")
T = torch.nn.functional
# float64 sums of at most 1,000 products of order 1 to 10: gamma_1000 · 1000 · 10 < 2e-9, an actual error is far below
BOUND = 1e-10

CONV = {
    "line": (F.conv1d, T.conv1d, (2, 11, 3), (5, 3, 7), {"stride": 2, "padding": 3}),
    "plane": (F.conv2d, T.conv2d, (2, 7, 5, 3), (3, 2, 3, 11), {"padding": (1, 0)}),
    "strided": (F.conv2d, T.conv2d, (2, 7, 5, 3), (3, 2, 3, 11), {"stride": (3, 2), "padding": (2, 1)}),
    "dilated": (F.conv2d, T.conv2d, (2, 7, 5, 3), (3, 2, 3, 11), {"dilation": (2, 3), "padding": 2}),
    "grouped": (F.conv2d, T.conv2d, (2, 7, 5, 6), (3, 2, 2, 9), {"groups": 3, "stride": 2, "padding": 1}),
    "depthwise": (F.conv2d, T.conv2d, (2, 7, 5, 3), (3, 3, 1, 6), {"groups": 3, "padding": 1}),
    "cube": (F.conv3d, T.conv3d, (2, 5, 3, 7, 2), (2, 3, 3, 2, 5), {"stride": (2, 1, 3), "padding": 1}),
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


@pytest.fixture(autouse=True)
def float64():
    """Everything here is double precision."""
    with jax.enable_x64(True):
        yield


def first(x):
    """Channels first, as PyTorch's tensor with a gradient."""
    return torch.tensor(np.moveaxis(np.asarray(x), -1, 1).copy(), requires_grad=True)


def last(tensor):
    return np.moveaxis(tensor.detach().numpy(), 1, -1)


def assert_close(actual, expected):
    assert actual.dtype == jnp.float64
    np.testing.assert_allclose(actual, expected, rtol=0, atol=BOUND)


def torch_kernel(kernel):
    return torch.tensor(np.moveaxis(kernel, (-1, -2), (0, 1)).copy(), requires_grad=True)


@pytest.mark.parametrize(("ours", "theirs", "x_shape", "kernel_shape", "options"), CONV.values(), ids=CONV)
def test_conv_and_gradients_match_torch(ours, theirs, x_shape, kernel_shape, options):
    arrays = [normal(*shape) for shape in (x_shape, kernel_shape, kernel_shape[-1:])]
    tensors = [first(arrays[0]), torch_kernel(arrays[1]), torch.tensor(arrays[2], requires_grad=True)]
    reference = theirs(*tensors, **options)
    value, pull = jax.vjp(lambda *a: ours(*a, **options), *map(jnp.asarray, arrays))
    weights = normal(*value.shape, seed=1)
    reference.backward(first(weights).detach())
    assert_close(value, last(reference))
    dx, dk, db = pull(jnp.asarray(weights))
    assert_close(dx, last(tensors[0].grad))
    assert_close(dk, np.moveaxis(tensors[1].grad.numpy(), (0, 1), (-1, -2)))
    assert_close(db, tensors[2].grad.numpy())


def check_pool(ours, theirs, x):
    """Value and gradient of a pooling function of x."""
    tensor = first(x)
    reference = theirs(tensor)
    value, pull = jax.vjp(ours, jnp.asarray(x))
    weights = normal(*value.shape, seed=1)
    reference.backward(first(weights).detach())
    assert_close(value, last(reference))
    assert_close(pull(jnp.asarray(weights))[0], last(tensor.grad))


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
@pytest.mark.parametrize(("shape", "pairs"), [((2, 11, 3), [(3, 4)]), ((2, 7, 5, 3), [(4, 1), (2, 3)])])
def test_pad_and_gradient_match_torch(mode, shape, pairs):
    flat = [n for pair in reversed(pairs) for n in pair]
    check_pool(lambda x: F.pad(x, pairs, mode=mode), lambda x: T.pad(x, flat, mode=mode), normal(*shape))


@pytest.mark.parametrize("mode", MODES)
def test_conv_padding_mode_matches_torch(mode):
    x, kernel = normal(2, 7, 5, 3), normal(3, 3, 3, 11)
    padded = T.pad(first(x), (2, 2, 2, 2), mode=mode)
    expected = T.conv2d(padded, torch_kernel(kernel), stride=2)
    assert_close(F.conv2d(jnp.asarray(x), jnp.asarray(kernel), padding=2, padding_mode=mode, stride=2), last(expected))


def test_batch_norm_and_gradient_match_torch():
    x, mean, spread, scale, bias = (normal(*shape) for shape in [(2, 7, 5, 3)] + [(3,)] * 4)
    theirs = [torch.tensor(v) for v in (mean, spread**2, scale, bias)]
    ours = [jnp.asarray(v) for v in (mean, spread**2, scale, bias)]
    check_pool(lambda x: F.batch_norm(x, *ours), lambda x: T.batch_norm(x, *theirs, training=False), x)


def test_batch_norm_of_moments_matches_torch_training():
    x, scale, bias = normal(2, 7, 5, 3), normal(3, seed=1), normal(3, seed=2)
    theirs = [torch.tensor(v) for v in (scale, bias)]
    check_pool(
        lambda x: F.batch_norm(x, *F.moments(x), jnp.asarray(scale), jnp.asarray(bias)),
        lambda x: T.batch_norm(x, None, None, *theirs, training=True),
        x,
    )
