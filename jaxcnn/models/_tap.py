"""`tap`: what every model calls on each named activation.

A tap takes a name and an array and returns an array of the same shape, which the model goes on with. Capturing, ablating and
Grad-CAM are taps (closures), and work under jit.
"""

from collections.abc import Callable

from jax import Array

Tap = Callable[[str, Array], Array]


def identity(name: str, x: Array) -> Array:
    """The tap that does nothing.

    >>> identity("conv1", 3)
    3
    """
    return x
