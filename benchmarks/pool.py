"""How fast is pooling, forward and in training, beside Flax's (`lax.reduce_window`) and PyTorch's?

python -m benchmarks.pool                               every case, about three minutes on two cores
python -m benchmarks.pool --quick                       a case of each kind, half a minute
python -m benchmarks.pool --family max --case 'resnet*' --direction training --json FILE
"""

import sys

import tyro

from .cases.pools import TABLE
from .operations import Options, run

if __name__ == "__main__":
    sys.exit(run("pool", TABLE, tyro.cli(Options, description=__doc__)))
