"""Arguments that are numbers. The tests give each form that is accepted and check its result, and each error of the others."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn.functional._numbers import concrete, one_or_each, scalar

ONE_AND_A_HALF = [1.5, np.float64(1.5), np.float32(1.5), np.array(1.5), jnp.float32(1.5), jnp.bfloat16(1.5)]


@pytest.mark.parametrize("value", ONE_AND_A_HALF, ids=lambda v: type(v).__name__)
def test_every_kind_of_number_is_the_number(value):
    given = scalar("f", "p", value, low=0, below=math.inf)
    assert given == 1.5
    assert isinstance(given, jax.Array) == isinstance(value, jax.Array)
    assert concrete(value) == 1.5


def test_an_integer_stays_an_integer_and_a_double_keeps_its_digits():
    assert type(scalar("f", "p", np.int8(3))) is int
    assert scalar("f", "p", np.float64(0.1)) == 0.1


def test_a_traced_number_passes_and_compiles_once():
    traces = []

    @jax.jit
    def run(value):
        traces.append(value)
        assert concrete(value) is None
        return scalar("f", "p", value, low=0, high=1) * one_or_each("f", "q", [value, 2], 2, "channels", jnp.float32)

    np.testing.assert_array_equal(run(3.0), [9, 6])
    np.testing.assert_array_equal(run(-1.0), [1, -2])
    assert len(traces) == 1
    np.testing.assert_array_equal(jax.grad(lambda v: run(v).sum())(3.0), 2 * 3 + 2)


@pytest.mark.parametrize("value", [[1, 2.5], (1.0, np.float32(2.5)), np.array([1, 2.5]), jnp.array([1, 2.5])])
def test_one_for_each_comes_in_the_dtype_asked_for(value):
    given = one_or_each("f", "fill", value, 2, "channels", jnp.float16)
    assert given.dtype == jnp.float16
    np.testing.assert_array_equal(given, [1, 2.5])
    np.testing.assert_array_equal(one_or_each("f", "fill", 0.5, 2, "channels", jnp.float32), 0.5)


def test_nan_only_where_it_is_allowed():
    assert math.isnan(scalar("f", "fill", math.nan, nan=True))
    assert np.isnan(one_or_each("f", "fill", [0, math.nan], 2, "channels", jnp.float32, nan=True)).tolist() == [0, 1]


FILL = {"count": 2, "each": "channels", "dtype": jnp.float32}


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: scalar("f", "p", 2, low=0, high=1), ValueError, "f: p=2 must be from 0 to 1"),
        (lambda: scalar("f", "p", jnp.float32(-1), low=0), ValueError, "f: p=-1.0 must be at least 0"),
        (lambda: scalar("f", "p", 3, high=2), ValueError, "f: p=3 must be at most 2"),
        (lambda: scalar("f", "p", 0, above=0), ValueError, "f: p=0 must be positive"),
        (lambda: scalar("f", "p", -1, above=-1), ValueError, "f: p=-1 must be above -1"),
        (lambda: scalar("f", "p", 0, above=0, high=1), ValueError, "f: p=0 must be positive and at most 1"),
        (lambda: scalar("f", "p", 1, low=0, below=1), ValueError, "f: p=1 must be at least 0 and below 1"),
        (lambda: scalar("f", "p", math.inf, below=math.inf), ValueError, "f: p=inf must be finite"),
        (lambda: scalar("f", "p", math.nan), ValueError, "f: p=nan must be a number"),
        (lambda: scalar("f", "p", np.float32("nan"), low=0), ValueError, "f: p=nan must be at least 0"),
        (lambda: scalar("f", "p", np.ones((2, 1))), ValueError, "f: p is float64[2,1]; give one number"),
        (lambda: scalar("f", "p", True), TypeError, "f: p=True must be a number"),
        (lambda: scalar("f", "p", np.bool_(True)), TypeError, "f: p is bool[]; it must be a real number"),
        (lambda: scalar("f", "p", "1"), TypeError, "f: p='1' must be a number"),
        (lambda: scalar("f", "p", None), TypeError, "f: p=None must be a number"),
        (lambda: scalar("f", "p", 1j), TypeError, "f: p=1j must be a number"),
        (lambda: scalar("f", "p", np.array(1j)), TypeError, "f: p is complex128[]; it must be a real number"),
        (lambda: scalar("f", "p", [1]), TypeError, "f: p is a list; it must be a number"),
        (
            lambda: one_or_each("f", "fill", np.ones(3), **FILL),
            ValueError,
            "f: fill is float64[3]; give one number, or 2, one for each of the channels",
        ),
        (
            lambda: one_or_each("f", "fill", [1, 2, 3], **FILL),
            ValueError,
            "f: fill is 3 numbers; give one number, or 2, one for each of the channels",
        ),
        (lambda: one_or_each("f", "p", np.array([0, 2]), **FILL, high=1), ValueError, "f: p=2 must be at most 1"),
        (lambda: one_or_each("f", "fill", [0, True], **FILL), TypeError, "f: fill=True must be a number"),
        (lambda: one_or_each("f", "fill", [0, math.nan], **FILL), ValueError, "f: fill=nan must be a number"),
    ],
)
def test_numbers_refuse(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
