"""Compiled training: pure steps, scanned epochs, ensembles under `vmap`, and the records of a run."""

from ._checkpoint import CheckpointError as CheckpointError
from ._checkpoint import Checkpoints as Checkpoints
from ._fit import DivergedError as DivergedError
from ._fit import EpochRecord as EpochRecord
from ._fit import Fitted as Fitted
from ._fit import fit as fit
from ._losses import cross_entropy as cross_entropy
from ._memory import keep_memory as keep_memory
from ._mesh import device_mesh as device_mesh
from ._optimisers import decays as decays
from ._optimisers import optimiser as optimiser
from ._optimisers import schedule as schedule
from ._run import Run as Run
from ._run import run_folder as run_folder
from ._run import versions as versions
from ._signals import Stopped as Stopped
from ._step import Metrics as Metrics
from ._step import TrainState as TrainState
from ._step import graph_of as graph_of
from ._step import initialise as initialise
from ._step import make_epoch as make_epoch
from ._step import make_evaluate as make_evaluate
from ._step import make_step as make_step
from ._step import mirrored as mirrored
