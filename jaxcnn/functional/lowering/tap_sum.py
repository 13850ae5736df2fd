"""Tap sum: shifted images times one number a channel, added up. XLA fuses it into one pass over the output.

    y = Σ_t Σ_i  x_i shifted by t · kernel[t, i, :]

It is the method for convolutions that contract (almost) nothing but the window: depthwise, few input channels. No matrix
product can help there, and XLA:CPU's grouped convolution runs one tiny product a group. The batch is only ever mapped, so
a sharded batch stays sharded.
"""

import jax.numpy as jnp
from jax import Array

from ._case import Case, adjoint, adjoint_kernel, every_tap, padded, tap, weights

MOST = 512  # terms: each is an instruction to compile


def supports(case: Case) -> str | None:
    """Few terms only: taps × input channels a group."""
    if case.direction == "kernel_grad" and case.c_in_of_group != 1:
        return f"its kernel gradient needs one input channel a group, here are {case.c_in_of_group}"
    if case.direction == "input_grad" and not case.unit_stride:
        return f"its input gradient needs stride 1, here it is {case.window.stride}"
    channels = case.c_out_of_group if case.direction == "input_grad" else case.c_in_of_group
    if case.taps * channels > MOST:
        return f"{case.taps} taps × {channels} channels a group are {case.taps * channels} terms; at most {MOST}"
    return None


def conv(x: Array, kernel: Array, case: Case) -> Array:
    """The sum over taps and input channels of a group."""
    x = padded(x, case.window)
    sources = [_spread(x[..., i::1] if case.groups == 1 else x, i, case) for i in range(case.c_in_of_group)]
    terms = (
        tap(source, case.window, at, case.outputs) * weights(kernel, at, i)
        for at in every_tap(case.window)
        for i, source in enumerate(sources)
    )
    total = next(terms)
    for term in terms:
        total = total + term
    return jnp.broadcast_to(total, case.y_shape)  # one channel in: (n, *outputs, 1) · (c_out,)


def _spread(x: Array, i: int, case: Case) -> Array:
    """Input channel i of every group, once for each output channel of the group: `(n, *padded, c_out)`."""
    if case.groups == 1:
        return x[..., :1]  # broadcast by the multiplication
    each = x.reshape(*x.shape[:-1], case.groups, case.c_in_of_group)[..., i]  # (n, *padded, groups)
    return each if case.c_out_of_group == 1 else jnp.repeat(each, case.c_out_of_group, axis=-1)


def input_grad(g: Array, kernel: Array, case: Case) -> Array:
    """The tap sum of the adjoint window."""
    return conv(g, adjoint_kernel(kernel, case), adjoint(case))


def kernel_grad(x: Array, g: Array, case: Case) -> Array:
    """One reduction a tap: `dk[t, c] = Σ_n Σ_o x[n, o · stride + t · dilation, c] · g[n, o, c]`."""
    x = padded(x, case.window)
    source = _spread(x, 0, case)
    axes = tuple(range(case.rank + 1))
    dk = [jnp.sum(tap(source, case.window, at, case.outputs) * g, axes) for at in every_tap(case.window)]
    return jnp.stack(dk).reshape(case.kernel_shape)  # (*size, 1, c_out)
