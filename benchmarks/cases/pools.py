"""Pooling layers of networks, under their names in the usual code; the rival on JAX is Flax's pooling (`lax.reduce_window`).

A batch of 8 unless a layer is large or small. Where Flax has no such pooling the rival is the formula as a user writes it.
"""

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any

import jax.numpy as jnp
from flax import linen
from jax import Array, lax

from benchmarks.measure import rounding_bound
from jaxcnn import functional as F
from jaxcnn.geometry import Window, per_axis

from ._problem import Layer, Problem, by

Ints = int | Sequence[int]
FLAX: Any = linen  # its padding is annotated str, and may be pairs


def _problem(name, family, x, window, what, ours, plain, torch, quick) -> Problem:
    bound = rounding_bound(prod(window), "float32", "cpu")
    return Problem(Layer(name, family, f"{by(x)} · {what}"), (tuple(x),), ours, plain, torch, bound, quick)


def _resolved(name: str, x: Sequence[int], window: Ints, stride: Ints | None, padding, ceil: bool) -> Window:
    stride = window if stride is None else stride
    return Window.resolve(window, tuple(x[1:-1]), stride=stride, padding=padding, ceil_mode=ceil, name=name)


def _words(w: Window, ceil: bool) -> str:
    padded = max(low for low, _ in w.padding)
    return f"{by(w.size)} /{by(w.stride)}" + (f" p{padded}" if padded else "") + (" ceil" if ceil else "")


def max_pool(name, x, window, *, stride=None, padding: Any = 0, ceil=False, quick=False) -> Problem:
    """Maximum."""
    w = _resolved(name, x, window, stride, padding, ceil)
    options = {"stride": w.stride, "padding": padding, "ceil_mode": ceil}
    theirs = lambda T, v: getattr(T, f"max_pool{w.rank}d")(v, w.size, **options)
    ours = partial(F.max_pool, window=w.size, **options)
    plain = partial(FLAX.max_pool, window_shape=w.size, strides=w.stride, padding=w.padding)
    return _problem(name, "max", x, w.size, f"max {_words(w, ceil)}", ours, plain, theirs, quick)


def avg_pool(name, x, window, *, stride=None, padding: Any = 0, ceil=False, count_pad=True, quick=False) -> Problem:
    """Mean; Flax counts what a ragged edge lacks, so these layers leave the padding out of the count."""
    w = _resolved(name, x, window, stride, padding, ceil)
    options = {"stride": w.stride, "padding": padding, "ceil_mode": ceil, "count_include_pad": count_pad}
    theirs = lambda T, v: getattr(T, f"avg_pool{w.rank}d")(v, w.size, **options)
    ours = partial(F.avg_pool, window=w.size, **options)
    plain = partial(
        FLAX.avg_pool, window_shape=w.size, strides=w.stride, padding=w.padding, count_include_pad=count_pad
    )
    return _problem(name, "average", x, w.size, f"avg {_words(w, ceil)}", ours, plain, theirs, quick)


def lp_pool(name, x, p, window, *, stride=None, padding=0, quick=False) -> Problem:
    """p-norm; the formula with `reduce_window` beside it."""
    w = _resolved(name, x, window, stride, padding, False)
    ours = partial(F.lp_pool, p=p, window=w.size, stride=w.stride, padding=padding)

    def plain(x: Array) -> Array:
        options = {"window_strides": (1, *w.stride, 1), "padding": ((0, 0), *w.padding, (0, 0))}
        return lax.reduce_window(jnp.abs(x) ** p, 0.0, lax.add, (1, *w.size, 1), **options) ** (1 / p)

    def theirs(T, v):
        v = T.pad(v, [padding] * 2 * w.rank) if padding else v
        return getattr(T, f"lp_pool{w.rank}d")(abs(v) if p % 2 else v, p, w.size, w.stride)

    what = f"L{p} {_words(w, False)}"
    return _problem(name, "lp", x, w.size, what, lambda x: ours(x), plain, theirs, quick)


def adaptive(name, x, size: Ints, *, largest=False, quick=False) -> Problem:
    """Mean or maximum of PyTorch's windows; Flax's pool where they are alike, else slices axis by axis."""
    n, sizes = x[1:-1], per_axis(size, len(x) - 2, what="size", name=name, least=1)
    word = "max" if largest else "avg"
    function = f"adaptive_{word}_pool"
    theirs = lambda T, v: getattr(T, f"{function}{len(n)}d")(v, sizes)
    ours = partial(getattr(F, function), output_size=sizes)
    if any(a % b for a, b in zip(n, sizes)):
        plain = partial(_sliced, sizes=sizes, reduce=jnp.max if largest else jnp.mean)
    else:
        window = tuple(a // b for a, b in zip(n, sizes))
        plain = partial(getattr(FLAX, f"{word}_pool"), window_shape=window, strides=window)
    largest_window = tuple(-(-a // b) + 1 for a, b in zip(n, sizes))
    return _problem(name, "adaptive", x, largest_window, f"{word} → {by(sizes)}", ours, plain, theirs, quick)


def global_pool(name, x, *, largest=False, quick=False) -> Problem:
    """Over all pixels."""
    axes, word = tuple(range(1, len(x) - 1)), "max" if largest else "avg"
    reduce = jnp.max if largest else jnp.mean
    theirs = lambda T, v: v.amax(tuple(range(2, v.ndim))) if largest else v.mean(tuple(range(2, v.ndim)))
    ours = getattr(F, f"global_{word}_pool")
    return _problem(name, "global", x, x[1:-1], word, ours, lambda v: reduce(v, axes), theirs, quick)


def _sliced(x: Array, *, sizes, reduce) -> Array:
    for axis, o in enumerate(sizes, start=1):
        n = x.shape[axis]
        pieces = [lax.slice_in_dim(x, i * n // o, -(-(i + 1) * n // o), axis=axis) for i in range(o)]
        x = jnp.stack([reduce(piece, axis) for piece in pieces], axis)
    return x


TABLE = (
    max_pool("lenet5/s2", (64, 28, 28, 6), 2, quick=True),
    max_pool("alexnet/pool1", (8, 55, 55, 64), 3, stride=2),
    max_pool("vgg16/pool1", (4, 224, 224, 64), 2),
    max_pool("vgg16/pool3", (8, 56, 56, 256), 2, quick=True),
    max_pool("vgg16/pool5", (8, 14, 14, 512), 2),
    max_pool("resnet50/maxpool", (8, 112, 112, 64), 3, stride=2, padding=1, quick=True),
    max_pool("resnet50/maxpool/b1", (1, 112, 112, 64), 3, stride=2, padding=1),
    max_pool("googlenet/maxpool1", (8, 112, 112, 64), 3, stride=2, ceil=True),
    max_pool("googlenet/inception3a.pool", (8, 28, 28, 192), 3, stride=1, padding=1, quick=True),
    max_pool("googlenet/inception5a.pool", (8, 7, 7, 832), 3, stride=1, padding=1),
    max_pool("squeezenet1_1/pool1", (8, 111, 111, 64), 3, stride=2, ceil=True),
    max_pool("yolov4/spp5", (4, 13, 13, 512), 5, stride=1, padding=2),
    max_pool("yolov4/spp13", (4, 13, 13, 512), 13, stride=1, padding=6),
    max_pool("m5/pool1", (8, 8000, 128), 4, quick=True),
    max_pool("c3d/pool1", (1, 16, 112, 112, 64), (1, 2, 2)),
    max_pool("c3d/pool2", (1, 16, 56, 56, 128), 2, quick=True),
    max_pool("i3d/MaxPool3d_3a", (1, 16, 56, 56, 192), (1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)),
    avg_pool("lenet5/s2.mean", (64, 28, 28, 6), 2),
    avg_pool("densenet121/transition1", (8, 56, 56, 128), 2, quick=True),
    avg_pool("inception_v3/Mixed_5b.pool", (8, 35, 35, 192), 3, stride=1, padding=1, quick=True),
    avg_pool("inception_v3/Mixed_6e.pool", (8, 17, 17, 768), 3, stride=1, padding=1),
    avg_pool("googlenet/aux1", (8, 14, 14, 512), 5, stride=3),
    avg_pool("resnet50d/downsample2", (8, 56, 56, 256), 2, ceil=True, count_pad=False),
    avg_pool("nasnet/reduction", (8, 42, 42, 168), 3, stride=2, padding=1, count_pad=False),
    avg_pool("autoformer/decomposition", (32, 120, 512), 25, stride=1, quick=True),
    avg_pool("i3d/avg_pool", (4, 2, 7, 7, 1024), (2, 7, 7), stride=1),
    lp_pool("facenet/inception3a.l2", (8, 28, 28, 192), 2, 3, stride=1, padding=1, quick=True),
    lp_pool("sermanet/l4pool1", (32, 28, 28, 16), 4, 2),
    lp_pool("facenet/inception3c.l3", (8, 28, 28, 320), 3, 3, stride=2),
    adaptive("resnet50/avgpool", (32, 7, 7, 2048), 1, quick=True),
    adaptive("vgg16/avgpool", (8, 10, 10, 512), 7, quick=True),
    adaptive("pspnet/ppm2", (1, 60, 60, 2048), 2),
    adaptive("pspnet/ppm6", (1, 33, 33, 2048), 6),
    adaptive("sppnet/spp3", (8, 13, 13, 256), 3, largest=True),
    adaptive("sppnet/spp2", (8, 14, 14, 256), 2, largest=True),
    global_pool("textcnn/max_over_time", (64, 54, 100), largest=True, quick=True),
    global_pool("mobilenetv2/features.mean", (32, 7, 7, 1280)),
    global_pool("cbam/channel.max", (8, 56, 56, 64), largest=True),
)
