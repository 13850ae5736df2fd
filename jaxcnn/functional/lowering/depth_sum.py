"""Depth sum: a volume's convolution as a sum of plane convolutions, one a tap of the first axis.

    y[n, d] = Σ_t  conv2d(x[n, d · stride − low + t · dilation], kernel[t])

XLA:CPU has a tuned convolution of planes and a plain one of volumes; a tap's planes are a batch of n · depth images.
"""

import jax.numpy as jnp
from jax import Array

from jaxcnn.geometry import Window

from . import _choice
from ._case import Case, adjoint, adjoint_kernel, every, padded


def supports(case: Case) -> str | None:
    """Volumes, one group; input gradients at stride 1."""
    if case.rank != 3 or case.groups != 1:
        return f"it needs three spatial axes and one group, here are {case.rank} and {case.groups}"
    if case.direction == "input_grad" and not case.unit_stride:
        return f"its input gradient needs stride 1, here it is {case.window.stride}"
    return None


def conv(x: Array, kernel: Array, case: Case) -> Array:
    """The sum over taps of the first axis."""
    total, part = None, _plane(case)
    for t, planes in enumerate(_planes(x, case)):
        y = _choice.evaluate(planes, kernel[t], part)
        total = y if total is None else total + y
    return jnp.asarray(total).reshape(case.y_shape)


def input_grad(g: Array, kernel: Array, case: Case) -> Array:
    """The sum of the adjoint window."""
    return conv(g, adjoint_kernel(kernel, case), adjoint(case))


def kernel_grad(x: Array, g: Array, case: Case) -> Array:
    """One gradient a tap."""
    part, g = _plane(case), g.reshape(-1, *g.shape[2:])  # (n·depth, h, w, c_out)
    return jnp.stack([_choice.evaluate(planes, g, part) for planes in _planes(x, case)])


def _plane(case: Case) -> Case:
    """The case of one tap."""
    w = case.window
    window = Window(w.size[1:], w.stride[1:], w.padding[1:], w.dilation[1:])
    return case.replace(window=window, space=case.space[1:], n=case.n * case.outputs[0])


def _planes(x: Array, case: Case) -> list[Array]:
    """The planes that every output sees through a tap: `(n·depth, h, w, c_in)`."""
    w, depth = case.window, case.outputs[0]
    x = padded(x, w.unpadded(1, 2))
    starts = [t * w.dilation[0] for t in range(w.size[0])]
    taps = [every(x, a, depth, w.stride[0], axis=1) for a in starts]
    return [planes.reshape(-1, *planes.shape[2:]) for planes in taps]
