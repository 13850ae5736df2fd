"""Every name of the registry: published counts and fields, pinned taps, bfloat16, and a gradient for each parameter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxcnn import models
from jaxcnn.interpret import summarise
from tests.models.published import rows
from tests.models.registry import EVERY, GREY, abstract, parts, shape_of

PUBLISHED = rows()
SIDES = {"efficientnet_b2": 288}


def test_every_name_is_in_the_table():
    assert list(PUBLISHED) == [name for name in models.list() if not name.startswith("tf_")]


@pytest.mark.parametrize("name", EVERY)
def test_summary_agrees_with_the_publications(name):
    known = name.removeprefix("tf_")  # which pads otherwise, and differs in nothing that is counted here
    parameters, millions, field, taps = PUBLISHED[known]
    side = SIDES.get(known, models.image_size(name)[0])
    summary = summarise(abstract(name), (1, side, side, 1 if name in GREY else 3))
    assert summary.parameters == parameters
    assert round(summary.multiply_adds / 1e6, 0 if millions >= 1 else 3) == millions
    assert [row.name for row in summary.rows if row.name != "(rest)"] == taps
    assert None not in [row.field for row in summary.rows]
    limited = [f"{row.name}: {row.cells[-1]}" for row in summary.rows if 0 not in row.field.jump]
    assert limited[-1:] == [field][: len(limited)]


WITHOUT_DTYPE = ("lenet5_1998", "airbench")  # they compute in what x and the parameters are


@pytest.mark.parametrize("name", EVERY)
def test_every_model_computes_in_bfloat16(name):
    graphdef, parameters, state = parts(name, **({} if name in WITHOUT_DTYPE else {"dtype": jnp.bfloat16}))
    if name in WITHOUT_DTYPE:
        parameters = jax.tree.map(lambda v: jax.ShapeDtypeStruct(v.shape, jnp.bfloat16), parameters)

    def kinds(train):
        seen = {}
        tap = lambda name, y: (seen.setdefault(name, y.dtype), y)[1]
        forward = lambda p, state, x: nnx.merge(graphdef, p, state, copy=True)(x, train=train, tap=tap)
        jax.eval_shape(forward, parameters, state, jax.ShapeDtypeStruct(shape_of(name), jnp.bfloat16))
        return seen

    for train in (False, True):
        found = kinds(train)
        distances = found.pop("output", None)  # of lenet5_1998, to bitmaps in float32
        assert set(found.values()) == {jnp.dtype("bfloat16")}
        assert distances in (None, jnp.dtype("float32"))


def scores(graphdef, rest, x):
    """The logits of training and those of auxiliary heads, of the parameters."""

    def forward(parameters, rest, x):
        extra = []
        tap = lambda name, y: (extra.append(y) if name.startswith("aux") else None, y)[1]
        return [nnx.merge(graphdef, parameters, rest, copy=True)(x, train=True, tap=tap), *extra]

    return lambda parameters: forward(parameters, rest, x)


def reached(jaxpr, known):
    """Which outputs of a program depend on the inputs that are marked."""
    marked = {var for var, mark in zip(jaxpr.invars, known) if mark}
    for equation in jaxpr.eqns:
        given = [not isinstance(v, jax.extend.core.Literal) and v in marked for v in equation.invars]
        inner = equation.params.get("jaxpr")
        if equation.primitive.name == "jit" and inner is not None:
            out = reached(inner.jaxpr, given)
        else:
            out = [any(given)] * len(equation.outvars)
        marked.update(var for var, mark in zip(equation.outvars, out) if mark)
    return [not isinstance(v, jax.extend.core.Literal) and v in marked for v in jaxpr.outvars]


@pytest.mark.parametrize("name", EVERY)
def test_the_gradient_reaches_every_parameter_of_every_model(name):
    """Read off the program of the gradient: a parameter that nothing uses, or behind a stop, has zeros that depend on nothing."""
    graphdef, parameters, rest = parts(name)
    x = jax.ShapeDtypeStruct(shape_of(name), jnp.float32)
    logits = jax.eval_shape(lambda p, rest, x: scores(graphdef, rest, x)(p), parameters, rest, x)
    back = lambda p, rest, x, g: jax.vjp(scores(graphdef, rest, x), p)[1](g)[0]
    program = jax.make_jaxpr(back)(parameters, rest, x, logits).jaxpr
    from_logits = [False] * (len(program.invars) - len(logits)) + [True] * len(logits)
    names = [".".join(map(str, path)) for path, _ in nnx.to_flat_state(parameters)]
    assert [name for name, is_reached in zip(names, reached(program, from_logits)) if not is_reached] == []


OWN = "lenet5 lenet5_1998 dense plain airbench mobilenet_v1".split()  # others beside torchvision's, or in test_small.py


@pytest.mark.parametrize(
    "name", [*OWN, *(pytest.param(name, marks=pytest.mark.slow) for name in models.list("cifar_*")[1:])]
)
def test_own_models_give_every_parameter_a_gradient(name):
    graphdef, parameters, rest = nnx.split(jax.jit(lambda: models.create(name, rngs=nnx.Rngs(0)))(), nnx.Param, ...)
    x = jax.random.uniform(jax.random.key(0), shape_of(name, 4))
    loss = lambda p: jnp.square(scores(graphdef, rest, x)(p)[0]).sum()
    for path, grad in nnx.to_flat_state(jax.jit(jax.grad(loss))(parameters)):
        assert np.isfinite(grad[...]).all(), path
        assert np.abs(grad[...]).max() > 0, path
