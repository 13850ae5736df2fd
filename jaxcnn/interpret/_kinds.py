"""What kind an operation of a jaxpr is: a ReLU, another elementwise function, a maximum, a weighted sum."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jax import Array
from jax.core import Tracer

from ._replay import bound, call_name

# jax.nn's functions of one array, by the names of their calls
ACTIVATIONS = frozenset(
    "relu relu6 gelu silu swish sigmoid log_sigmoid softplus squareplus soft_sign elu selu celu leaky_relu hard_sigmoid "
    "hard_silu hard_swish hard_tanh mish identity sparse_plus sparse_sigmoid logistic".split()
)
RECTIFIERS = frozenset({"relu", "relu6"})
ELEMENTWISE = frozenset(
    "max min clamp logistic tanh exp exp2 log log1p expm1 erf erfc erf_inv rsqrt sqrt cbrt square integer_pow pow abs "
    "sin cos tan atan sinh cosh asinh".split()
)
MAXIMA = frozenset({"jaxcnn_extreme", "reduce_max", "reduce_min", "reduce_window_max"})
WEIGHTED = frozenset({"jaxcnn_conv", "dot_general", "conv_general_dilated"})


def is_relu(equation: Any, operands: Sequence[Any], flags: Sequence[bool]) -> bool:
    """Whether it is the larger one of an array and 0."""
    if equation.primitive.name != "max" or sum(flags) != 1:
        return False
    other = operands[0] if flags[1] else operands[1]
    return not isinstance(other, Tracer) and np.ndim(other) == 0 and float(other) == 0


def elementwise(equation: Any, operands: Sequence[Any], flags: Sequence[bool]) -> Callable[[Array], Array] | None:
    """The operation as a function of its one array that depends on x, pixel by pixel; None for others."""
    if sum(flags) != 1 or len(equation.outvars) != 1:
        return None
    place = list(flags).index(True)
    if equation.outvars[0].aval.shape != equation.invars[place].aval.shape:
        return None
    if equation.primitive.name not in ELEMENTWISE and call_name(equation) not in ACTIVATIONS:
        return None
    return lambda u: bound(equation, [u if i == place else one for i, one in enumerate(operands)])[0]


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def straight(linear: Callable[..., Array], value: Array, known: Any, *inputs: Array) -> Array:
    """An array with the given value, whose derivative with regard to the inputs is `linear(known, *changes)`."""
    return value


@straight.defjvp
def _straight_jvp(linear, primals, tangents):
    value, known, *_ = primals
    _, _, *changes = tangents
    return value, linear(known, *changes).astype(value.dtype)


def scaled(factor: Array, du: Array) -> Array:
    """A change times a factor, for `straight`."""
    return du * factor


def shared(factors: tuple[Array, Array], du: Array, dv: Array) -> Array:
    """The change of a product of two arrays as a sum of both changes, for `straight`."""
    return du * factors[0] + dv * factors[1]
