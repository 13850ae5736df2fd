"""Every array operation of `jaxcnn.functional`, one row a way of calling it: what the tests of the contract go through.

A row is a function and the shapes of its arguments, as words. A whole number is a size; `n` the batch and `h` the first axis of
the images, which the tests of several devices split. After the shape `< k` makes whole numbers from 0 to k − 1, and `key` alone
is a random key; every other argument is differentiable. The first word of a row's name is the operation (without rank, 2d).
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from jaxcnn import functional as F
from tests.reference.arrays import distinct, normal

SIZES = {"n": 2, "h": 4}
PLANE, KERNEL = "n h 3 2", "2 3 2 3"
STEPS = {"stride": 2, "padding": ((1, 0), (0, 2))}


def bind(function, *args, **options):
    return functools.partial(function, *args, **options)


def then(f, g):
    """The affine map f, then g: two pairs (slope, value at 0)."""
    return f[0] * g[0], f[1] * g[0] + g[1]


# at most 64 elements an argument, which the tests of gradients move one by one
OPERATIONS = {
    "conv": (bind(F.conv, **STEPS), PLANE, KERNEL, "3"),
    "conv 1d causal": (bind(F.conv1d, padding="causal", dilation=2), "n 7 3", "3 3 2"),
    "conv 3d": (bind(F.conv3d, padding="valid"), "n 2 3 2 2", "2 3 1 2 2"),
    "conv grouped": (bind(F.conv, groups=2, dilation=(1, 2)), "n h 2 4", "2 2 2 6"),
    "conv reflect": (bind(F.conv, padding_mode="reflect"), PLANE, KERNEL),
    "convolve": (F.convolve, PLANE, KERNEL),
    "conv_transpose": (bind(F.conv_transpose, stride=2, padding=1), "n h 2 3", "3 2 2 3", "2"),
    "deform_conv2d": (
        bind(F.deform_conv2d, stride=(1, 3)),
        PLANE,
        "2 2 2 3",
        "n h 1 8",
        "n h 1 4",
        "3",
    ),
    "depthwise_conv": (bind(F.depthwise_conv, **STEPS), PLANE, "3 2 2 2"),
    "separable_conv": (bind(F.separable_conv, **STEPS), PLANE, "3 2 2 2", "4 3", "3"),
    "spatially_separable_conv": (bind(F.spatially_separable_conv, **STEPS), PLANE, "3 2 3", "2 3 4"),
    "separate": (F.separate, "4 3"),
    "pad": (bind(F.pad, padding=2, mode="symmetric"), PLANE),
    "max_pool": (lambda x: F.max_pool(x, 2, stride=1, padding=1), PLANE),
    "max_pool ragged": (lambda x: F.max_pool(x, (3, 2), stride=2, ceil_mode=True), PLANE),
    "max_pool dilated": (lambda x: F.max_pool(x, 2, stride=1, padding=1, dilation=2), PLANE),
    "max_pool_with_indices": (lambda x: F.max_pool_with_indices(x, (3, 2), stride=2, padding=(1, 0)), PLANE),
    "max_unpool": (lambda y, i: F.max_unpool(y, ladder(i, y), output_size=(8, 6)), PLANE, "n h 3 2 < 2"),
    "min_pool": (lambda x: F.min_pool(x, 2, padding=1, padding_mode="circular"), PLANE),
    "sum_pool": (lambda x: F.sum_pool(x, 2, stride=1, dilation=(2, 1)), PLANE),
    "avg_pool": (lambda x: F.avg_pool(x, 3, stride=2, padding=1, count_include_pad=False), PLANE),
    "weighted_pool": (lambda x, w: F.weighted_pool(x, w, stride=1, padding=1, ceil_mode=True), PLANE, "3 2 2"),
    "weighted_pool of a vector": (lambda x, w: F.weighted_pool(x, w, stride=2, padding_mode="circular"), PLANE, "2"),
    "blur_pool": (lambda x: F.blur_pool(x, 3), PLANE),
    "soft_pool": (lambda x: F.soft_pool(x, 2, stride=1, padding=1), PLANE),
    "mixed_pool": (lambda x, a: F.mixed_pool(x, 2, a, stride=1, padding=1), PLANE, "2"),
    "fractional_max_pool": (lambda k, x: F.fractional_max_pool(k, x, 2, output_size=(3, 2)), "key", PLANE),
    "fractional_max_pool_with_indices": (
        lambda k, x: F.fractional_max_pool_with_indices(k, x, (1, 2), ratio=(0.8, 0.7)),
        "key",
        PLANE,
    ),
    "stochastic_pool": (lambda k, x: F.stochastic_pool(k, x, 2, stride=1, padding=1), "key", PLANE),
    "stochastic_pool mean": (lambda x: F.stochastic_pool(None, x, 2, stride=1, padding=1, train=False), PLANE),
    "avg_unpool": (lambda y: F.avg_unpool(y, 3, stride=2, padding=1), PLANE),
    "lp_pool": (lambda x: F.lp_pool(x, 3, 2, stride=1, padding=1), PLANE),
    "lp_pool of 1.5": (lambda x: F.lp_pool(x, 1.5, 2, stride=1), PLANE),
    "lp_pool of inf": (lambda x: F.lp_pool(x, np.inf, 2), PLANE),
    "adaptive_avg_pool": (lambda x: F.adaptive_avg_pool(x, (3, 2)), PLANE),
    "adaptive_max_pool": (lambda x: F.adaptive_max_pool(x, (3, 2)), PLANE),
    "adaptive_max_pool_with_indices": (lambda x: F.adaptive_max_pool_with_indices(x, (3, 2)), PLANE),
    "spatial_pyramid_pool": (bind(F.spatial_pyramid_pool, levels=(1, 2)), PLANE),
    "global_avg_pool": (F.global_avg_pool, PLANE),
    "global_max_pool": (F.global_max_pool, PLANE),
    "moments": (F.moments, PLANE),
    "batch_norm": (lambda x, m, v, s, b: F.batch_norm(x, m, abs(v), s, b), PLANE, "2", "2", "2", "2"),
    "layer_norm": (F.layer_norm, PLANE, "2", "2"),
    "rms_norm": (bind(F.rms_norm, axes=2), PLANE, "3 2"),
    "group_norm": (lambda x, s, b: F.group_norm(x, 2, s, b), "n h 2 4", "4", "4"),
    "instance_norm": (F.instance_norm, PLANE, "2", "2"),
    "local_response_norm": (bind(F.local_response_norm, size=3, alpha=2.0), "n h 5"),
    "reduce_window": (lambda x: F.reduce_window(x, 1.0, jnp.multiply, (3, 2), stride=1, padding=1), PLANE),
    "reduce_window of two": (
        lambda a, b: F.reduce_window((a, b), (1.0, 0.0), then, 3, stride=2, padding=1, dilation=2),
        "n 7 2",
        "n 7 2",
    ),
    "resize linear": (bind(F.resize, output_size=(3, 5)), PLANE),
    "resize cubic smooth": (bind(F.resize, output_size=3, method="cubic", antialias=True), "n 7 2"),
    "resize nearest": (bind(F.resize, output_size=3, method="nearest"), PLANE),
    "affine_grid": (bind(F.affine_grid, size=(2, 3)), "n 2 3"),
    "grid_sample": (F.grid_sample, PLANE, "n 3 2 2"),
    "grid_sample of a volume": (bind(F.grid_sample, padding_mode="border"), "n 2 h 2 2", "n 3 1 2 3"),
    "grid_sample cubic": (bind(F.grid_sample, method="cubic", padding_mode="reflection"), PLANE, "n 3 2 2"),
    "roi_align": (lambda x, b, i: F.roi_align(x, b, i, (2, 1), aligned=False), PLANE, "3 4", "3 < 2"),
    "ps_roi_align": (lambda x, b, i: F.ps_roi_align(x, b, i, (2, 1), sampling_ratio=2), PLANE, "3 4", "3 < 2"),
    "roi_pool": (lambda x, b, i: F.roi_pool(x, 2 * b, i, (2, 1)), PLANE, "3 4", "3 < 2"),
    "ps_roi_pool": (lambda x, b, i: F.ps_roi_pool(x, 4 * b, i, (1, 2)), PLANE, "3 4", "3 < 2"),
    "drop_block": (lambda k, x: F.drop_block(k, x, 0.3, 2), "key", PLANE),
    "channel_dropout": (lambda k, x: F.channel_dropout(k, x, 0.4), "key", PLANE),
    "rotate": (lambda x, degrees: F.rotate(x, 32 * degrees), PLANE, "n"),
    "pixel_shuffle": (lambda x: F.pixel_shuffle(x, (2, 1)), PLANE),
    "pixel_unshuffle": (lambda x: F.pixel_unshuffle(x, (2, 3)), PLANE),
    "channel_shuffle": (lambda x: F.channel_shuffle(x, 2), "n h 1 6"),
    "unfold": (lambda x: F.unfold(x, 2, stride=(2, 1), padding=1), PLANE),
    "fold": (lambda u: F.fold(u, (4, 3), (1, 2), stride=(2, 1), padding=(0, 1)), "n 2 4 2 2"),
    "to_channels_last": (F.to_channels_last, PLANE),
    "to_channels_first": (F.to_channels_first, PLANE),
    "filters.apply": (bind(F.filters.apply, padding="valid"), "n h 3 1", "2 3"),
    "filters.apply_separable": (F.filters.apply_separable, "n h 3 1", "2", "3"),
    "filters.edge": (bind(F.filters.edge, angle=20, absolute=True), "n h 3 1"),
    "filters.prewitt": (bind(F.filters.prewitt, angle=0), "n h 3 1"),
    "filters.sobel": (bind(F.filters.sobel, angle=30), PLANE),
    "filters.scharr": (bind(F.filters.scharr, padding_mode="reflect"), "n h 3 1"),
    "filters.gradient_magnitude": (F.filters.gradient_magnitude, "n h 3 1"),
    "filters.line": (bind(F.filters.line, angle=30), "n h 3 1"),
    "filters.laplacian": (bind(F.filters.laplacian, diagonal=True), "n h 3 1"),
    "filters.gaussian": (bind(F.filters.gaussian, sigma=0.5), "n h 3 1"),
    "filters.box": (bind(F.filters.box, size=2), "n h 3 1"),
    "filters.sharpen": (F.filters.sharpen, "n h 3 1"),
    "filters.edge_enhance": (bind(F.filters.edge_enhance, sigma=0.5), "n h 3 1"),
}


def ladder(choice, y):
    """Indices that differ from each other, two for each pixel of y to choose between."""
    return choice + 2 * jnp.arange(math.prod(y.shape[1:-1])).reshape(1, *y.shape[1:-1], 1)


def is_key(spec):
    return spec == "key"


def differentiable(specs):
    """Numbers of the arguments that have a gradient."""
    return tuple(i for i, spec in enumerate(specs) if not is_key(spec) and "<" not in spec)


def shape(spec, sizes=SIZES):
    """The shape that a spec's words mean."""
    return tuple(sizes[word] if word in sizes else int(word) for word in spec.partition("<")[0].split())


def array(spec, seed=0, first=False, sizes=SIZES):
    """Random values: normal ones, whole numbers, a key; as the first argument an uneven ladder, without ties."""
    if is_key(spec):
        return jax.random.key(seed)
    if "<" in spec:
        return jnp.asarray(np.random.default_rng(seed).integers(int(spec.partition("<")[2]), size=shape(spec, sizes)))
    values = normal(*shape(spec, sizes), seed=seed)
    return jnp.asarray(distinct(*values.shape, seed=seed) + np.tanh(values) / 32 if first else values)


def arrays(specs, seed=0, sizes=SIZES):
    """One array an argument."""
    return [array(spec, seed + i, i == 0, sizes) for i, spec in enumerate(specs)]


def reals(results):
    """The values among the results, without the indices that stand beside them."""
    return [v for v in jax.tree.leaves(results) if jnp.issubdtype(v.dtype, jnp.floating)]


def scored(function, args, specs):
    """A function of the differentiable arguments that gives loss and results, and these arguments.

    The loss is not linear, and no symmetry of the results can fool it.
    """
    weights = [normal(*v.shape, seed=9) for v in reals(jax.eval_shape(function, *args))]
    numbers = differentiable(specs)

    def score(*moving):
        full = list(args)
        for number, value in zip(numbers, moving):
            full[number] = value
        results = function(*full)
        return sum(jnp.sum(w.astype(v.dtype) * (v + v * v / 4)) for w, v in zip(weights, reals(results))), results

    return score, tuple(args[n] for n in numbers)


def loss(function, args, specs):
    """`scored` without the results."""
    score, moving = scored(function, args, specs)
    return lambda *moving: score(*moving)[0], moving


def step(function, specs):
    """The loss, its gradients and the results, as a function of all arguments."""

    def value_and_grad(*args):
        score, moving = scored(function, args, specs)
        (value, results), gradients = jax.value_and_grad(score, range(len(moving)), has_aux=True)(*moving)
        return value, gradients, results

    return value_and_grad


@functools.cache
def compiled(name):
    """`step` of a row, compiled once for all tests of a process."""
    function, *specs = OPERATIONS[name]
    return jax.jit(step(function, specs))


def assert_close(actual, expected, tolerance=1e-12):
    """Equal structures, equal up to the rounding of a float64 sum unless said otherwise."""
    actual, expected = jax.tree.leaves(actual), jax.tree.leaves(expected)
    assert [a.shape for a in actual] == [e.shape for e in expected]
    for a, e in zip(actual, expected):
        np.testing.assert_allclose(a, e, rtol=tolerance, atol=tolerance)
