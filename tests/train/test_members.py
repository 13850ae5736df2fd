"""`over_members`: the same numbers as each member alone, and the way of going through them that measured faster on CPU."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import functional as F
from jaxcnn.train import over_members

LARGE, SMALL = (1, 128, 128, 2), (1, 127, 129, 2)  # 16,384 pixels and one fewer


def _convolved(groups):
    def step(state, x):
        y = F.conv2d(x, state["kernel"], groups=groups)
        return {"kernel": state["kernel"] - 0.1 * y.mean(), "key": jax.random.fold_in(state["key"], 1)}, y.sum()

    return step


def _dense(state, x):
    return {"kernel": state["kernel"] * 2, "key": state["key"]}, x.sum() * state["kernel"].sum()


CASES = {  # function, groups, images, members: whether they take turns on a CPU
    "dense convolution, large batch": (_convolved(1), 1, LARGE, 3, True),
    "dense convolution, small batch": (_convolved(1), 1, SMALL, 3, False),
    "grouped convolution": (_convolved(2), 2, LARGE, 3, False),
    "no convolution": (_dense, 1, LARGE, 3, False),
    "one member": (_convolved(1), 1, LARGE, 1, False),
}


@pytest.mark.parametrize("one_by_one", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_members_give_what_each_gives_alone(case, one_by_one):
    function, groups, shape, members, turns = CASES[case]
    random = np.random.default_rng(0)
    states = {
        "kernel": jnp.asarray(random.normal(size=(members, 3, 3, 2 // groups, 4)), jnp.float32),
        "key": jax.vmap(jax.random.key)(jnp.arange(members)),
    }
    x = jnp.asarray(random.normal(size=shape), jnp.float32)
    run = over_members(function, one_by_one=one_by_one)
    after, values = jax.jit(run)(states, x)
    for i in range(members):
        state, value = function(jax.tree.map(lambda a, i=i: a[i], states), x)
        np.testing.assert_allclose(values[i], value, rtol=1e-4, atol=1e-2)
        np.testing.assert_allclose(after["kernel"][i], state["kernel"], rtol=1e-4, atol=1e-5)
        assert after["key"][i] == state["key"]
    loops = [equation.primitive.name for equation in jax.make_jaxpr(run)(states, x).eqns].count("scan")
    assert loops == (one_by_one or (turns and jax.default_backend() == "cpu"))
