"""Numbers that a user gives: a Python or NumPy number, an array without axes, or a traced number.

What is known is checked, and an error is one line. What is traced passes unchecked, because its value is not known while a
function is traced: each function documents what it does with a traced number out of range. A number is never asked for
its truth value, so that everything here may be called under `jit`, `grad` and `vmap`.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jaxtyping import Num

from . import _check

Number = float | Num[Array, ""]  # what is taken where one number is asked for


def scalar(
    name: str,
    what: str,
    value: Any,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    above: float | None = None,
    below: float | None = None,
    nan: bool = False,
) -> Any:
    """One real number: Python and NumPy numbers as a Python number, JAX arrays as they are, without axes.

    A Python number has no dtype of its own. An array keeps its dtype, so a caller writes `jnp.asarray(number, dtype)`.

    Args:
        name, what: of the function and its argument, for errors.
        low, high: the least and the largest number allowed.
        above, below: limits that are not allowed themselves; `below=math.inf` refuses infinity.
        nan: whether NaN is allowed.

    Raises: TypeError for what is no real number, bool included. ValueError for an array with axes, and for a number that is
        known and lies beyond the limits.

    >>> scalar("blur", "sigma", np.float32(1.5), low=0)
    1.5
    """
    if isinstance(value, np.ndarray | np.generic | jax.Array) and value.ndim:
        raise ValueError(f"{name}: {what} is {_check.describe(value)}; give one number")
    _real(name, what, value)
    known = concrete(value)
    if known is not None:
        _within(name, what, known, low, high, above, below, nan)
    return value if isinstance(value, jax.Array) else known


def of_dtype(name: str, what: str, value: Any, dtype: Any, **limits: Any) -> Any:
    """`scalar`, where an array is cast to a dtype: what stands beside arrays of that dtype in a formula.

    >>> of_dtype("layer_norm", "epsilon", np.float64(0.5), jnp.float32)
    0.5
    """
    number = scalar(name, what, value, **limits)
    return number.astype(dtype) if isinstance(number, jax.Array) else number


def python_number(name: str, what: str, value: Any, **limits: Any) -> Any:
    """`scalar`, where what is known is a Python number, whatever holds it: for what is decided before tracing.

    >>> python_number("lp_pool", "p", jnp.float32(1.5), low=1)
    1.5
    """
    number = scalar(name, what, value, **limits)
    known = concrete(number)
    return number if known is None else known


def one_or_each(name: str, what: str, value: Any, count: int, each: str, dtype: Any, **limits: Any) -> Array:
    """One number, or `count` of them, one for each `each` ("image", or "channels"): an array `()` or `(count,)`.

    Args:
        value: as of `scalar`, or an array or a sequence `(count,)` of such numbers.
        dtype: of the result; float32 at least, so that the derivative in the number is summed in it.
        limits: as of `scalar`, for every number.

    Raises: as `scalar`.

    >>> one_or_each("rotate", "fill", [0.5, 0.25], 2, "channels", jnp.float32).tolist()
    [0.5, 0.25]
    """
    given = value
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        given = [scalar(name, what, v, **limits) for v in value]
        value = jnp.stack([jnp.asarray(v, dtype) for v in given]) if given else np.zeros(0)
    if not isinstance(value, np.ndarray | jax.Array) or not value.ndim:
        return jnp.asarray(scalar(name, what, value, **limits), dtype)
    _real(name, what, value)
    if value.shape != (count,):
        found = f"{_check.describe(value)}" if given is value else f"{len(given)} numbers"
        word = f"of the {each}" if each.endswith("s") else each
        raise ValueError(f"{name}: {what} is {found}; give one number, or {count}, one for each {word}")
    if given is value and not _traced(value):
        for v in jax.device_get(value).tolist():
            scalar(name, what, v, **limits)
    return jnp.asarray(value, dtype)


def concrete(value: Any) -> Any:
    """The Python number where it is known, None where it is traced or lies on another host."""
    return None if _traced(value) else np.asarray(jax.device_get(value)).item()


def kind(dtype: Any) -> int:
    """0 for truth values, 1 for whole numbers, 2 for real and 3 for complex ones, each of which holds those before; else 4."""
    kinds = (np.bool_, jnp.integer, jnp.floating, jnp.complexfloating)
    return next((i for i, group in enumerate(kinds) if jnp.issubdtype(dtype, group)), len(kinds))


def _traced(value: Any) -> bool:
    return isinstance(value, Tracer) or (isinstance(value, jax.Array) and not value.is_fully_addressable)


def _real(name: str, what: str, value: Any) -> None:
    """Refuse bool, words, complex numbers and everything else that is no real number."""
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        if jnp.issubdtype(value.dtype, jnp.floating) or jnp.issubdtype(value.dtype, jnp.integer):
            return
        raise TypeError(f"{name}: {what} is {_check.describe(value)}; it must be a real number")
    if isinstance(value, bool) or not isinstance(value, int | float):
        plain = isinstance(value, bool | str | complex | None)
        given = f"{what}={value!r} must" if plain else f"{what} is a {type(value).__name__}; it must"
        raise TypeError(f"{name}: {given} be a number")


def _within(
    name: str, what: str, value: float, low: float, high: float, above: float | None, below: float | None, nan: bool
) -> None:
    """Refuse a number beyond the limits; the comparisons are written so that NaN fails each of them."""
    inside = low <= value <= high and (above is None or value > above) and (below is None or value < below)
    if inside or (nan and math.isnan(value)):
        return
    parts = []
    if low > -math.inf and high < math.inf:
        parts.append(f"from {low:g} to {high:g}")
    elif low > -math.inf or high < math.inf:
        parts.append(f"at least {low:g}" if low > -math.inf else f"at most {high:g}")
    if above is not None:
        parts.insert(0, "positive" if above == 0 else "finite" if above == -math.inf else f"above {above:g}")
    if below is not None:
        parts.append("finite" if below == math.inf else f"below {below:g}")
    raise ValueError(f"{name}: {what}={value} must be {' and '.join(dict.fromkeys(parts)) or 'a number'}")
