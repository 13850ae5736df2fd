"""FFT: products of spectra, for large kernels.

A correlation is a product with the conjugate spectrum; with transforms as long as the padded image nothing wraps around into
the outputs that are kept. Spread over `stride` and `dilation` with zeros, all three directions are such products:

    y = F⁻¹(F x · conj F k),   dx = F⁻¹(F g · F k),   dk = F⁻¹(F x · conj F g)      summed over what is contracted

The cost does not depend on the kernel's size. The error is norm-wise, not componentwise: at most `error(case) · u · ‖a‖ · ‖b‖`
with the unit roundoff u and Euclidean norms. So on CPU float32 is transformed in float64: an output keeps the digits of the
direct sum while its own products are not 10⁸ times smaller than the largest of the image. That costs 1.1 to 1.8 times the time
in float32 (30×30 over 224×224, 31×31 of 16 channels). Reference: Mathieu, Henaff & LeCun, Fast training of
convolutional networks through FFTs (2014); Higham, Accuracy and stability of numerical algorithms (2002), §24.1.
"""

from collections.abc import Callable
from functools import wraps
from math import log2, prod

import jax
import jax.numpy as jnp
from jax import Array, lax

from ._case import Case, padded

MOST_BYTES = 128 << 20


def supports(case: Case) -> str | None:
    """float32 and float64, while the spectra fit into memory, on one device."""
    if case.adds_in not in ("float32", "float64"):
        return f"it needs floating point of 32 or 64 bits, here is {case.dtype}"
    spectrum = 16 * prod(_lengths(case)) * (case.n * (case.c_in + case.c_out) + case.c_in_of_group * case.c_out)
    if spectrum > MOST_BYTES:
        return f"the spectra take {spectrum >> 20} MiB; at most {MOST_BYTES >> 20}"
    return "its transforms would gather a sharded image" if case.partitioned else None


def error(case: Case) -> float:
    """The norm-wise bound in units of the dtype's roundoff: each of the three transforms adds a few a doubling of its length.

    Beside it stands one rounding of the result where the transforms are in float64.
    """
    finer = 2.0**-29 if _in_float64(case) else 1
    return 12 * log2(max(prod(_lengths(case)), 2)) * finer


def spreads(case: Case) -> bool:
    """Every number of a spectrum has a part of every pixel."""
    return True


def operations(case: Case) -> float:
    """Floating-point operations: 5 F log₂ F a transform, 8 a complex product, which runs at a quarter of the rate."""
    length = prod(_lengths(case))
    transforms = case.n * (case.c_in + case.c_out) + case.c_in_of_group * case.c_out
    products = case.n * case.c_in_of_group * case.c_out * length
    return 5 * length * log2(max(length, 2)) * transforms + 4 * 8 * products


def _in_float64(case: Case) -> bool:
    """On CPU, where alone "auto" takes this lowering: TPUs have no transforms in float64, most GPUs slow ones."""
    return case.adds_in == "float32" and case.platform == "cpu"


def _finer(direction: Callable[[Array, Array, Case], Array]) -> Callable[[Array, Array, Case], Array]:
    """The direction, computed in float64 where it can be and rounded once."""

    @wraps(direction)
    def run(a: Array, b: Array, case: Case) -> Array:
        if not _in_float64(case):
            return direction(a, b, case)
        with jax.enable_x64(True):
            y = direction(a.astype(jnp.float64), b.astype(jnp.float64), case.replace(dtype="float64"))
            return y.astype(jnp.float32)

    return run


@_finer
def conv(x: Array, kernel: Array, case: Case) -> Array:
    """`F⁻¹(F x · conj F k)` at every `stride`-th place."""
    a, b = _spectrum(_images(padded(x, case.window), case), case), _spectrum(_kernel(kernel, case), case)
    y = _inverse(jnp.einsum("ngi...,gio...->ngo...", a, jnp.conj(b)), case)  # (n, g, o, *lengths)
    last = [(o - 1) * s + 1 for o, s in zip(case.outputs, case.window.stride)]
    y = lax.slice(y, (0,) * y.ndim, (*y.shape[:3], *last), (1, 1, 1, *case.window.stride))
    return _channels_last(y, case)


@_finer
def input_grad(g: Array, kernel: Array, case: Case) -> Array:
    """`F⁻¹(F g · F k)`, the padding cut off."""
    a, b = _spectrum(_spread(g, case), case), _spectrum(_kernel(kernel, case), case)
    dx = _inverse(jnp.einsum("ngo...,gio...->ngi...", a, b), case)  # (n, g, i, *lengths)
    crop = [(-low, low + n - f, 0) for (low, _), n, f in zip(case.window.padding, case.space, _lengths(case))]
    return _channels_last(lax.pad(dx, jnp.zeros((), dx.dtype), [(0, 0, 0)] * 3 + crop), case)


@_finer
def kernel_grad(x: Array, g: Array, case: Case) -> Array:
    """`F⁻¹(F x · conj F g)` at every `dilation`-th place."""
    a, b = _spectrum(_images(padded(x, case.window), case), case), _spectrum(_spread(g, case), case)
    dk = _inverse(jnp.einsum("ngi...,ngo...->gio...", a, jnp.conj(b)), case)  # (g, i, o, *lengths)
    dk = lax.slice(dk, (0,) * dk.ndim, (*dk.shape[:3], *case.window.span), (1, 1, 1, *case.window.dilation))
    order = (*range(3, dk.ndim), 1, 0, 2)
    return dk.transpose(order).reshape(case.kernel_shape)  # (*size, i, g·o)


def _lengths(case: Case) -> tuple[int, ...]:
    """Transform lengths: the padded image, up to the next product of 2, 3 and 5."""
    window = case.window
    need = (max(n + low + high, k) for n, (low, high), k in zip(case.space, window.padding, window.span))
    return tuple(_smooth(n) for n in need)


def _smooth(n: int) -> int:
    while True:
        rest = n
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return n
        n += 1


def _images(x: Array, case: Case) -> Array:
    split = x.reshape(*x.shape[:-1], case.groups, x.shape[-1] // case.groups)  # (n, *space, g, c)
    return jnp.moveaxis(split, (-2, -1), (1, 2))  # (n, g, c, *space)


def _spread(g: Array, case: Case) -> Array:
    """The outputs, `stride` apart: `(n, g, o, *spread)`."""
    gaps = [(0, 0, 0)] * 3 + [(0, 0, s - 1) for s in case.window.stride]
    return lax.pad(_images(g, case), jnp.zeros((), g.dtype), gaps)


def _kernel(kernel: Array, case: Case) -> Array:
    """The taps, `dilation` apart: `(g, i, o, *span)`."""
    split = kernel.reshape(*case.window.size, case.c_in_of_group, case.groups, case.c_out_of_group)  # (*size, i, g, o)
    moved = jnp.moveaxis(split, (-2, -3, -1), (0, 1, 2))
    gaps = [(0, 0, 0)] * 3 + [(0, 0, d - 1) for d in case.window.dilation]
    return lax.pad(moved, jnp.zeros((), kernel.dtype), gaps)


def _spectrum(v: Array, case: Case) -> Array:
    return jnp.fft.rfftn(v, _lengths(case), tuple(range(3, v.ndim)))


def _inverse(v: Array, case: Case) -> Array:
    return jnp.fft.irfftn(v, _lengths(case), tuple(range(3, v.ndim)))


def _channels_last(y: Array, case: Case) -> Array:
    moved = jnp.moveaxis(y, (1, 2), (-2, -1))  # (n, *space, g, c)
    return moved.reshape(*moved.shape[:-2], moved.shape[-2] * moved.shape[-1])
