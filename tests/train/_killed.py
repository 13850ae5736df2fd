"""The run that the tests kill: `python -m tests.train._killed FOLDER OUT`; says each step, writes the last logits to OUT."""

import os
import sys
from functools import partial

import jax
import numpy as np
import optax

from jaxcnn.train import Checkpoints, Stopped, fit

from .toy import DATA, build, prepare


def train(folder: str):
    """Six epochs of three calls, saved after each epoch and where it is stopped."""

    def say(done: int, total: int) -> None:
        print(done, total, flush=True)

    with Checkpoints(folder) as checkpoints:
        options = {"epochs": 6, "batch_size": 4, "seeds": 2, "steps_per_call": 2, "ema": 0.9}
        optimiser = optax.adam(0.02)
        return fit(
            partial(build, dropout=0.3), DATA, prepare, optimiser, **options, checkpoints=checkpoints, on_steps=say
        )


if __name__ == "__main__":
    jax.config.update("jax_compilation_cache_dir", os.environ["JAX_CACHE"])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    try:
        np.save(sys.argv[2], train(sys.argv[1]).test_logits)
    except Stopped as stopped:
        sys.exit(f"{stopped}")
