"""Normalisation by statistics of the input itself: `layer_norm`, `rms_norm`, `group_norm`, `instance_norm`.

    y = (x − mean) / √(variance + epsilon) · scale + bias

They differ in what shares a mean: the last axes, the pixels of a group of channels, the pixels of one channel; always of one
image. The variance is the mean of (x − mean)², biased, in float32 at least; y has the dtype of x. References: Ba et al., Layer
normalization (2016); Wu & He, Group normalization (2018); Ulyanov et al., Instance normalization (2016);
Zhang & Sennrich, Root mean square layer normalization (2019).
"""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from jaxcnn.geometry import per_axis

from . import _check, _numbers
from ._broadcast import of_rank
from ._numbers import Number
from ._widened import widened
from .engine import stored, through_formula


def layer_norm(
    x: Float[Array, "..."],
    scale: Float[Array, "..."] | None = None,
    bias: Float[Array, "..."] | None = None,
    *,
    axes: int = 1,
    epsilon: Number = 1e-5,
) -> Float[Array, "..."]:
    """Normalises over the last `axes` axes: 1 is each pixel over its channels (ConvNeXt), 3 each image `(h, w, c)` as a whole.

    Args:
        scale, bias: of the shape of the last `axes` axes.
        axes: PyTorch's `normalized_shape` is `x.shape[-axes:]`.

    Raises: ValueError if `axes` is not from 1 to the number of axes, or scale or bias has another shape.

    >>> layer_norm(jnp.array([[1.0, 3.0], [10.0, 30.0]]), epsilon=0).tolist()
    [[-1.0, 1.0], [-1.0, 1.0]]
    """
    x = _checked("layer_norm", x, 1)
    (axes,) = per_axis(axes, 1, what="axes", name="layer_norm", least=1)
    if axes > x.ndim:
        raise ValueError(f"layer_norm: axes={axes} but x is {_check.describe(x)}; use 1 to {x.ndim}")
    _check_affine("layer_norm", x.shape[x.ndim - axes :], scale, bias)
    if x.ndim > 3:
        x = stored(x)  # maps, which a sum over taps may have made
    return _affine(x, _normalised("layer_norm", widened(x), tuple(range(x.ndim - axes, x.ndim)), epsilon), scale, bias)


def rms_norm(
    x: Float[Array, "..."], scale: Float[Array, "..."] | None = None, *, axes: int = 1, epsilon: Number = 1e-5
) -> Float[Array, "..."]:
    """Divides by √(mean of x² + epsilon) over the last `axes` axes: `layer_norm` without mean and bias.

    Args:
        epsilon: PyTorch's default is the spacing of x's dtype at 1, 2⁻²³ for float32.

    Raises: as `layer_norm`.

    >>> rms_norm(jnp.array([3.0, 4.0, 0.0, 0.0]), epsilon=0).tolist()
    [1.2000000476837158, 1.600000023841858, 0.0, 0.0]
    """
    x = _checked("rms_norm", x, 1)
    (axes,) = per_axis(axes, 1, what="axes", name="rms_norm", least=1)
    if axes > x.ndim:
        raise ValueError(f"rms_norm: axes={axes} but x is {_check.describe(x)}; use 1 to {x.ndim}")
    _check_affine("rms_norm", x.shape[x.ndim - axes :], scale, None)
    wide = widened(x)
    epsilon = _numbers.of_dtype("rms_norm", "epsilon", epsilon, wide.dtype, low=0)
    square = jnp.mean(jnp.square(wide), tuple(range(x.ndim - axes, x.ndim)), keepdims=True)
    return _affine(x, wide * lax.rsqrt(square + epsilon), scale, None)


def group_norm(
    x: Float[Array, "n *space c"],
    groups: int,
    scale: Float[Array, " c"] | None = None,
    bias: Float[Array, " c"] | None = None,
    *,
    epsilon: Number = 1e-5,
) -> Float[Array, "n *space c"]:
    """Normalises each image over its pixels and the c / groups channels of a group, which lie side by side.

    One group is `layer_norm` over the image (with one scale a channel), c groups are `instance_norm`.

    Raises: ValueError if groups does not divide c, or scale or bias is not one number a channel.

    >>> group_norm(jnp.array([[1.0, 3.0, 10.0, 30.0]]), 2, epsilon=0).tolist()
    [[-1.0, 1.0, -1.0, 1.0]]
    """
    x = _checked("group_norm", x, 2)
    c = x.shape[-1]
    (groups,) = per_axis(groups, 1, what="groups", name="group_norm", least=1)
    if c % groups:
        raise ValueError(f"group_norm: groups={groups} must divide c={c} (x is {_check.describe(x)})")
    _check_affine("group_norm", (c,), scale, bias)
    grouped = widened(x).reshape(*x.shape[:-1], groups, c // groups)  # (n, *space, g, c/g)
    y = _normalised("group_norm", grouped, (*range(1, x.ndim - 1), x.ndim), epsilon)
    return _affine(x, y.reshape(x.shape), scale, bias)


def instance_norm(
    x: Float[Array, "n *space c"],
    scale: Float[Array, " c"] | None = None,
    bias: Float[Array, " c"] | None = None,
    *,
    epsilon: Number = 1e-5,
) -> Float[Array, "n *space c"]:
    """Normalises each channel of each image over its pixels. One pixel gives 0 (its bias).

    Raises: ValueError if scale or bias is not one number a channel.

    >>> instance_norm(jnp.array([[[1.0], [3.0]], [[10.0], [30.0]]]), epsilon=0)[..., 0].tolist()
    [[-1.0, 1.0], [-1.0, 1.0]]
    """
    x = _check.images("instance_norm", x)
    _check.floating("instance_norm", x)
    _check_affine("instance_norm", x.shape[-1:], scale, bias)
    return _affine(x, _normalised("instance_norm", widened(x), tuple(range(1, x.ndim - 1)), epsilon), scale, bias)


def _checked(name: str, x: Array, least: int) -> Array:
    x = _check.array(name, "x", x)
    _check.floating(name, x)
    if x.ndim < least:
        raise ValueError(f"{name}: x is {_check.describe(x)}; it must have at least {least} axes")
    return x


def _check_affine(name: str, shape: Sequence[int], scale: Array | None, bias: Array | None) -> None:
    for what, v in (("scale", scale), ("bias", bias)):
        if v is not None and _check.array(name, what, v).shape != tuple(shape):
            raise ValueError(f"{name}: {what} is {_check.describe(v)}; it must have the shape {tuple(shape)}")
        if v is not None:
            _check.floating(name, v, what)


def _normalised(name: str, wide: Array, axes: tuple[int, ...], epsilon: Number) -> Array:
    """Mean 0, variance 1 over the axes; an epsilon that is traced has a derivative, which JAX finds."""
    epsilon = _numbers.of_dtype(name, "epsilon", epsilon, wide.dtype, low=0)
    known = _numbers.concrete(epsilon)
    if known is not None:
        return _standard(wide, axes, known)
    centred, factor = _centred(wide, axes, epsilon)
    return centred * factor


@partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def _standard(wide: Array, axes: tuple[int, ...], epsilon: float) -> Array:
    """Mean 0, variance 1 over the axes."""
    centred, factor = _centred(wide, axes, epsilon)
    return centred * factor


@_standard.defjvp
def _standard_jvp(axes, epsilon, primals, tangents):
    """A tangent loses its mean and its share along y; transposed, the same two sums go back."""
    (wide,), (t,) = primals, tangents
    centred, factor = _centred(wide, axes, epsilon)
    y = centred * factor
    t = t - jnp.mean(t, axes, keepdims=True)
    return y, factor * (t - y * jnp.mean(y * t, axes, keepdims=True))


_standard = through_formula(_standard)


def _centred(wide: Array, axes: tuple[int, ...], epsilon: Number) -> tuple[Array, Array]:
    """x without its mean, and 1 / deviation. The second mean takes away what rounding left of a large first one."""
    centred = wide - jnp.mean(wide, axes, keepdims=True)
    centred = centred - jnp.mean(centred, axes, keepdims=True)
    return centred, lax.rsqrt(jnp.mean(jnp.square(centred), axes, keepdims=True) + epsilon)


def _affine(x: Array, y: Array, scale: Array | None, bias: Array | None) -> Array:
    y = y if scale is None else y * of_rank(jnp.asarray(scale).astype(y.dtype), y.ndim)
    return (y if bias is None else y + of_rank(jnp.asarray(bias).astype(y.dtype), y.ndim)).astype(x.dtype)
