"""`spatial_pyramid_pool` against the oracle of adaptive pooling: order, sizes, words, bad input."""

import re

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import functional as F
from tests.reference.adaptive_pool import adaptive_pool, over_space
from tests.reference.arrays import integers

SHAPES = {
    "line": (2, 11, 3),
    "plane": (2, 7, 5, 3),
    "cube": (2, 5, 7, 4, 2),
    "one pixel": (2, 1, 1, 3),
    "empty": (0, 3, 5, 2),
}
REDUCE = {"max": np.max, "avg": np.mean}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("reduce", REDUCE)
def test_pyramid_is_level_after_level_row_by_row(shape, reduce):
    x, levels = integers(*shape), (3, 1, 2)
    y = F.spatial_pyramid_pool(jnp.asarray(x, jnp.float32), levels=levels, reduce=reduce)
    expected = []
    for level in levels:
        pooled = adaptive_pool(x, (level,) * (x.ndim - 2), over_space(REDUCE[reduce]))
        expected += [pooled[(slice(None), *at)] for at in np.ndindex(pooled.shape[1:-1])]  # (n, c) each
    np.testing.assert_allclose(y, np.concatenate(expected, axis=1), rtol=2.0**-22, atol=1e-6)


@pytest.mark.parametrize("size", [(7, 5), (13, 11), (4, 4)])
def test_length_does_not_depend_on_the_image(size):
    assert F.spatial_pyramid_pool(jnp.ones((2, *size, 3))).shape == (2, 21 * 3)


X = jnp.ones((2, 7, 5, 3))
ERRORS = {
    "reduce": (X, {"reduce": "sum"}, ValueError, 'reduce=\'sum\' is unknown; use "max", "avg"'),
    "level": (X, {"levels": (1, 0)}, ValueError, "level=0 must be at least 1"),
    "float": (X, {"levels": (1, 0.5)}, TypeError, "level=0.5 must be an int"),
    "no level": (X, {"levels": ()}, TypeError, "levels=() must be one int or more, such as (1, 2, 4)"),
    "one level": (X, {"levels": 4}, TypeError, "levels=4 must be one int or more, such as (1, 2, 4)"),
    "average of integers": (X.astype(int), {"reduce": "avg"}, TypeError,
                            "x is int32[2,7,5,3]; it must be floating point, x.astype(jnp.float32)"),
}  # fmt: skip


@pytest.mark.parametrize(("x", "options", "error", "text"), ERRORS.values(), ids=ERRORS)
def test_pyramid_refuses_in_one_line(x, options, error, text):
    with pytest.raises(error, match=f"^{re.escape(f'spatial_pyramid_pool: {text}')}$"):
        F.spatial_pyramid_pool(x, **options)
