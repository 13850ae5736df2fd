"""Operations on images as networks and their input pipelines use them; the rivals on JAX are `jax.image` and `jax.scipy`.

Where JAX has no such function the rival is the formula as a user writes it, or there is none. Weights and coordinates are
computed in float32 by some, so errors of a few units of the coordinates' rounding are allowed.
"""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.scipy.ndimage import map_coordinates

from jaxcnn import functional as F
from jaxcnn.geometry import per_axis

from ._problem import Layer, Problem, by

COORDINATES = 3e-5
EXACT = 2e-6
_TORCH = {
    "linear": "bilinear",
    "cubic": "bicubic",
    "nearest_exact": "nearest-exact",
    "nearest": "nearest",
    "area": "area",
}
_JAX = {"linear": "linear", "cubic_keys": "cubic", "nearest_exact": "nearest"}


def _problem(name, family, x, what, ours, plain, torch, bound, quick, *others) -> Problem:
    return Problem(Layer(name, family, f"{by(x)} · {what}"), (tuple(x), *others), ours, plain, torch, bound, quick)


def resize(name, x, size: int | Sequence[int], method="linear", *, antialias=False, quick=False) -> Problem:
    """The cubic of antialiased resizing is the same for all; without it PyTorch's differs from jax.image's."""
    sizes = per_axis(size, 2, what="size", name=name, least=1)
    ours = partial(F.resize, output_size=sizes, method=method, antialias=antialias)
    known = "cubic_keys" if antialias and method == "cubic" else method
    shape, plain, torch = (x[0], *sizes, x[-1]), None, None
    if known in _JAX:
        plain = lambda v: jax.image.resize(v, shape, _JAX[known], antialias=antialias)
    if method in _TORCH:
        torch = lambda T, v: T.interpolate(v, sizes, mode=_TORCH[method], antialias=antialias)
    what = f"{method}{' antialias' if antialias else ''} → {by(sizes)}"
    return _problem(name, "resize", x, what, lambda v: ours(v), plain, torch, COORDINATES, quick)


def grid_sample(name, x, size: int, method="linear", padding_mode="zeros", *, quick=False) -> Problem:
    """A grid for each image; both gradients in training. PyTorch's grids are (x, y)."""
    mode = {"zeros": "constant", "border": "nearest"}[padding_mode]
    words = {"linear": ("bilinear", 1), "nearest": ("nearest", 0), "cubic": ("bicubic", None)}
    torch_mode, order = words[method]

    def plain(v: Array, grid: Array) -> Array:
        at = ((grid + 1) * jnp.array(x[1:3]) - 1) / 2  # (n, h, w, 2)
        one = lambda plane, p: map_coordinates(plane, [p[..., 0], p[..., 1]], order=order, mode=mode)
        return jax.vmap(jax.vmap(one, (-1, None), -1))(v, at)

    options = {"mode": torch_mode, "padding_mode": padding_mode, "align_corners": False}
    torch = lambda T, v, grid: T.grid_sample(v, grid.flip(-1), **options)
    ours = partial(F.grid_sample, method=method, padding_mode=padding_mode)
    what, points = f"{method} {padding_mode} → {size}×{size}", (x[0], size, size, 2)
    return _problem(name, "grid_sample", x, what, ours, None if order is None else plain, torch, 1e-3, quick, points)


def rotate(name, x, degrees: float, *, quick=False) -> Problem:
    """Every image by one angle, zeros from outside."""
    middle = [(n - 1) / 2 for n in x[1:3]]

    def plain(v: Array) -> Array:
        angle = jnp.deg2rad(jnp.float32(degrees))
        r, c = jnp.meshgrid(*(jnp.arange(n) - m for n, m in zip(x[1:3], middle)), indexing="ij")
        at = [jnp.cos(angle) * r + jnp.sin(angle) * c + middle[0], jnp.cos(angle) * c - jnp.sin(angle) * r + middle[1]]
        one = lambda plane: map_coordinates(plane, at, order=1, mode="constant")
        return jax.vmap(jax.vmap(one, -1, -1))(v)

    return _problem(name, "rotate", x, f"{degrees}°", lambda v: F.rotate(v, degrees), plain, None, 1e-3, quick)


def pad(name, x, padding: int, mode: str, *, quick=False) -> Problem:
    """jnp.pad."""
    theirs = {"zeros": ("constant", "constant"), "reflect": ("reflect", "reflect"), "replicate": ("edge", "replicate")}
    theirs = {**theirs, "circular": ("wrap", "circular")}[mode]
    widths = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    plain = lambda v: jnp.pad(v, widths, mode=theirs[0])
    torch = lambda T, v: T.pad(v, [padding] * 4, mode=theirs[1])
    ours = lambda v: F.pad(v, padding, mode=mode)
    return _problem(name, "pad", x, f"{mode} {padding}", ours, plain, torch, EXACT, quick)


def unfold(name, x, window: int, *, stride=1, padding=0, quick=False) -> Problem:
    """`lax.conv_general_dilated_patches`; PyTorch's own orders channels before taps, so that it computes the same numbers."""
    ours = lambda v: F.unfold(v, window, stride=stride, padding=padding)

    def plain(v: Array) -> Array:
        options = {"padding": [(padding, padding)] * 2, "dimension_numbers": ("NHWC", "HWIO", "NHWC")}
        patches = lax.conv_general_dilated_patches(v, (window, window), (stride, stride), **options)  # (…, c · taps)
        return patches.reshape(*patches.shape[:-1], x[-1], window**2).swapaxes(-1, -2)

    what = f"{window}×{window} /{stride}"
    return _problem(name, "unfold", x, what, ours, plain, None, EXACT, quick)


def shuffle(name, x, factor: int, *, inverse=False, quick=False) -> Problem:
    """A reshape and a transpose, as JAX users write it; jax has none."""
    word = "pixel_unshuffle" if inverse else "pixel_shuffle"
    n, h, w, c = x

    def plain(v: Array) -> Array:
        if inverse:
            blocks = v.reshape(n, h // factor, factor, w // factor, factor, c)
            return blocks.transpose(0, 1, 3, 5, 2, 4).reshape(n, h // factor, w // factor, c * factor**2)
        blocks = v.reshape(n, h, w, c // factor**2, factor, factor)
        return blocks.transpose(0, 1, 4, 2, 5, 3).reshape(n, h * factor, w * factor, c // factor**2)

    torch = lambda T, v: getattr(T, word)(v, factor)
    return _problem(
        name, "shuffle", x, f"{word} {factor}", lambda v: getattr(F, word)(v, factor), plain, torch, EXACT, quick
    )


TABLE = (
    resize("imagenet/resize256", (8, 375, 500, 3), (256, 341), antialias=True, quick=True),
    resize("imagenet/bicubic", (8, 375, 500, 3), (256, 341), "cubic", antialias=True),
    resize("fpn/top_down", (4, 32, 32, 256), 64, "nearest_exact", quick=True),
    resize("fpn/top_down.pytorch", (4, 32, 32, 256), 64, "nearest"),
    resize("deeplabv3/logits", (2, 65, 65, 21), 513, quick=True),
    resize("unet/up.bilinear", (4, 64, 64, 128), 128),
    resize("srcnn/bicubic", (8, 85, 85, 3), 255, "cubic"),
    resize("srcnn/bicubic.keys", (8, 85, 85, 3), 255, "cubic_keys"),
    resize("stylegan/half", (4, 128, 128, 64), 64, antialias=True),
    resize("pspnet/area", (1, 60, 60, 512), 30, "area"),
    grid_sample("stn/digits", (64, 28, 28, 1), 28, quick=True),
    grid_sample("stn/features", (8, 56, 56, 64), 56, quick=True),
    grid_sample("raft/lookup", (4, 64, 64, 32), 64, padding_mode="border"),
    grid_sample("warp/cubic", (4, 128, 128, 3), 128, "cubic"),
    rotate("augment/rotate", (32, 32, 32, 3), 15.0, quick=True),
    pad("cyclegan/reflect3", (4, 256, 256, 3), 3, "reflect", quick=True),
    pad("cyclegan/reflect1", (4, 64, 64, 256), 1, "reflect"),
    pad("circular/dna", (8, 56, 56, 64), 2, "circular"),
    unfold("vit/patches", (8, 224, 224, 3), 16, stride=16, quick=True),
    unfold("local/windows", (8, 28, 28, 64), 3, padding=1),
    shuffle("espcn/shuffle", (8, 64, 64, 27), 3, quick=True),
    shuffle("edsr/shuffle", (4, 48, 48, 256), 2),
    shuffle("yolov5/focus", (4, 320, 320, 3), 2, inverse=True),
)
