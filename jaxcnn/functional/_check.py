"""Checks of what a user passed, before any tracing: one line that names the function, the numbers and what would be right."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
from jax import Array

P = ParamSpec("P")
T = TypeVar("T")
AXES = {1: "(n, w, c)", 2: "(n, h, w, c)", 3: "(n, d, h, w, c)"}


def describe(x: Any) -> str:
    """`float32[8,32,32,16]` for an array."""
    return f"{x.dtype}[{','.join(map(str, x.shape))}]"


def images(name: str, x: Any, rank: int | None = None, *, what: str = "x") -> Array:
    """`x` as an array `(n, *space, c)` with 1 to 3 spatial axes, exactly `rank` of them where given."""
    x = array(name, what, x)
    wanted = AXES[rank] if rank else ", ".join(AXES.values())
    if not (x.ndim == rank + 2 if rank else 3 <= x.ndim <= 5):
        raise ValueError(f"{name}: {what} is {describe(x)}; it must have the axes {wanted}, one image is {what}[None]")
    if 0 in x.shape[1:-1]:
        raise ValueError(f"{name}: {what} is {describe(x)}: a spatial axis has no pixel; every one needs at least 1")
    return x


def array(name: str, what: str, x: Any) -> Array:
    """`x` as a JAX array.

    Raises: TypeError if it is not an array of numbers.
    """
    if not (hasattr(x, "shape") and hasattr(x, "dtype")):
        raise TypeError(f"{name}: {what} is a {type(x).__name__}; it must be an array, jnp.asarray makes one")
    if not (jnp.issubdtype(x.dtype, jnp.number) or x.dtype == bool):
        raise TypeError(f"{name}: {what} is {describe(x)}; it must hold numbers")
    return jnp.asarray(x)


def same_dtype(name: str, x: Array, **others: Array | None) -> None:
    """Refuse mixed dtypes and bool: nothing is cast silently."""
    if x.dtype == bool:
        raise TypeError(f"{name}: x is {describe(x)}; cast it to a number, x.astype(jnp.float32)")
    for what, other in others.items():
        if other is not None and other.dtype != x.dtype:
            raise TypeError(
                f"{name}: x is {describe(x)} but {what} is {describe(other)}; cast one, {what}.astype(x.dtype)"
            )


def floating(name: str, x: Array, what: str = "x") -> None:
    """Refuse integers where the result is a fraction."""
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"{name}: {what} is {describe(x)}; it must be floating point, {what}.astype(jnp.float32)")


def ordered(name: str, x: Array) -> None:
    """Refuse complex numbers where the larger of two is asked for."""
    if jnp.issubdtype(x.dtype, jnp.complexfloating):
        raise TypeError(f"{name}: x is {describe(x)}; complex numbers have no order, take jnp.abs(x)")


def random_key(name: str, key: Any) -> Array:
    """Refuse what is no random key of any generator, new (`jax.random.key`) or of the default one, old (`jax.random.PRNGKey`)."""
    is_array = hasattr(key, "dtype") and hasattr(key, "shape")
    typed = is_array and jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.shape == ()
    generator: str = jax.config.jax_default_prng_impl  # type: ignore[attr-defined]
    if not typed and not (is_array and key.dtype == jnp.uint32 and key.shape == _old_key_shape(generator)):
        what = describe(key) if is_array else f"a {type(key).__name__}"
        raise TypeError(f"{name}: key is {what}; it must be one random key, as jax.random.key(0)")
    return key


@cache
def _old_key_shape(generator: str) -> tuple[int, ...]:
    """`(2,)` of "threefry2x32", `(4,)` of "rbg"."""
    return jax.eval_shape(lambda: jax.random.key_data(jax.random.key(0, impl=generator))).shape


def one_of(name: str, what: str, value: Any, allowed: tuple[str, ...]) -> None:
    """Refuse a word that is not in the list."""
    if value not in allowed:
        words = ", ".join(f'"{word}"' for word in allowed)
        raise ValueError(f"{name}: {what}={value!r} is unknown; use {words}")


@contextmanager
def named(inner: str | tuple[str, ...], outer: str, kernel: str = "kernel") -> Iterator[None]:
    """Errors of `inner` inside the block are raised as errors of `outer`, which the user called and which says `kernel`."""
    inside = (inner,) if isinstance(inner, str) else inner
    try:
        yield
    except (ValueError, TypeError) as error:
        name, colon, text = str(error).partition(": ")
        if not colon or name not in inside:
            raise
        raise type(error)(f"{outer}: {re.sub('(?<!_)kernel', kernel, text)}") from None


def ranked(
    function: Callable[P, T], rank: int, *, position: int = 0, what: str = "x", suffix: str = ""
) -> Callable[P, T]:
    """`function` for exactly `rank` spatial axes, which its name says before `suffix`; images: argument `position`, `what`."""
    name = f"{function.__name__.removesuffix(suffix)}{rank}d{suffix}"

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        images(name, args[position] if len(args) > position else kwargs.get(what), rank, what=what)
        with named(function.__name__, name):
            return function(*args, **kwargs)

    wrapper.__name__ = wrapper.__qualname__ = name
    wrapper.__doc__ = f"`{function.__name__}` for {what} `{AXES[rank]}`, its rank checked; everything else as there."
    return wrapper
