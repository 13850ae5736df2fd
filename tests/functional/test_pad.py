"""`pad` against the oracle that names, for each new pixel, the one it repeats."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import functional as F
from tests.reference.arrays import integers
from tests.reference.padding import pad

MODES = ["zeros", "reflect", "replicate", "circular", "symmetric"]
SHAPES = {
    "line": ((2, 5, 3), [(4, 2)]),
    "plane": ((2, 7, 5, 3), [(1, 4), (3, 0)]),
    "cube": ((2, 5, 3, 7, 1), [(0, 2), (2, 1), (6, 5)]),
    "nothing": ((2, 7, 5, 3), [(0, 0), (0, 0)]),
    "empty batch": ((0, 7, 5, 3), [(1, 4), (3, 0)]),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("shape", "pairs"), SHAPES.values(), ids=SHAPES)
def test_pad_matches_oracle(mode, shape, pairs):
    x = integers(*shape)
    np.testing.assert_array_equal(F.pad(jnp.asarray(x), pairs, mode=mode), pad(x, pairs, mode))


@pytest.mark.parametrize(("mode", "most"), [("reflect", 4), ("circular", 5), ("symmetric", 5)])
def test_pad_reaches_the_mode_limit(mode, most):
    x = integers(2, 5, 3)
    np.testing.assert_array_equal(F.pad(jnp.asarray(x), most, mode=mode), pad(x, [(most, most)], mode))
    with pytest.raises(ValueError, match=f"of 5 pixels by .*; at most {most}$"):
        F.pad(jnp.asarray(x), ((0, most + 1),), mode=mode)


@pytest.mark.parametrize("mode", ["replicate", "circular", "symmetric"])
def test_pad_of_a_single_pixel(mode):
    assert F.pad(jnp.full((1, 1, 1), 7), 1, mode=mode).reshape(-1).tolist() == [7, 7, 7]


@pytest.mark.parametrize(("padding", "shape"), [(2, (11, 9)), ((1, 3), (9, 11)), (((0, 1), 2), (8, 9))])
def test_pad_reads_every_form(padding, shape):
    assert F.pad(jnp.ones((2, 7, 5, 3)), padding).shape == (2, *shape, 3)


@pytest.mark.parametrize(
    ("dtype", "value"), [(jnp.float32, -jnp.inf), (jnp.bfloat16, 1.5), (jnp.int32, -7), (bool, True)]
)
def test_pad_fills_with_value(dtype, value):
    y = F.pad(jnp.zeros((1, 3, 1), dtype), 1, value=value)
    assert y.dtype == dtype
    assert y.reshape(-1).tolist() == [value, 0, 0, 0, value]
