"""Random inputs: distinct sizes, asymmetric values, the same on every run."""

import numpy as np


def normal(*shape, seed=0):
    """Standard normal float64 values."""
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def integers(*shape, seed=0):
    """Small integers, exact in every dtype."""
    return np.random.default_rng([seed, *shape]).integers(-9, 10, size=shape)


def distinct(*shape, seed=0):
    """A shuffled ladder of step 1/8: no ties, exact in every float dtype up to 32 values in bfloat16."""
    count = int(np.prod(shape))
    return np.random.default_rng([seed, *shape]).permutation(count).reshape(shape) / 8 - count / 16
