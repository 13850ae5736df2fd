"""Order of the axes: every pixel lands where NumPy's transpose puts it."""

import numpy as np
import pytest

from jaxcnn import functional as F
from tests.reference.arrays import integers


@pytest.mark.parametrize("space", [(11,), (7, 5), (7, 5, 3)])
def test_to_channels_last_moves_channels(space):
    x = integers(2, 13, *space)
    np.testing.assert_array_equal(F.to_channels_last(x), np.moveaxis(x, 1, -1))
    np.testing.assert_array_equal(F.to_channels_last(x[0], batched=False), np.moveaxis(x[0], 0, -1))


@pytest.mark.parametrize("space", [(11,), (7, 5), (7, 5, 3)])
def test_to_channels_first_moves_channels(space):
    x = integers(2, *space, 13)
    np.testing.assert_array_equal(F.to_channels_first(x), np.moveaxis(x, -1, 1))
    np.testing.assert_array_equal(F.to_channels_first(x[0], batched=False), np.moveaxis(x[0], -1, 0))


@pytest.mark.parametrize("batched", [True, False])
def test_layouts_undo_each_other(batched):
    x = integers(2, 7, 5, 3)
    np.testing.assert_array_equal(F.to_channels_last(F.to_channels_first(x, batched=batched), batched=batched), x)
