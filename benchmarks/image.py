"""How fast are resizing, sampling, padding and shuffling, forward and in training, beside `jax.image` and PyTorch?

python -m benchmarks.image                              every case, about two minutes on two cores
python -m benchmarks.image --quick                      a case of each kind, half a minute
python -m benchmarks.image --family resize --direction forward --json FILE
"""

import sys

import tyro

from .cases.images import TABLE
from .operations import Options, run

if __name__ == "__main__":
    sys.exit(run("image", TABLE, tyro.cli(Options, description=__doc__)))
