"""Arithmetic on windows: output sizes, receptive fields, counts. Standard library only."""

from ._bins import Bins as Bins
from ._counts import Counts as Counts
from ._counts import conv_counts as conv_counts
from ._counts import dense_counts as dense_counts
from ._counts import norm_counts as norm_counts
from ._counts import pool_counts as pool_counts
from ._counts import separable_counts as separable_counts
from ._counts import spatially_separable_counts as spatially_separable_counts
from ._padding import causal as causal
from ._padding import full as full
from ._padding import same as same
from ._padding import symmetric_same as symmetric_same
from ._padding import valid as valid
from ._receptive import Node as Node
from ._receptive import ReceptiveField as ReceptiveField
from ._receptive import chain as chain
from ._receptive import graph as graph
from ._transpose import adjoint_window as adjoint_window
from ._window import Padding as Padding
from ._window import Transposed as Transposed
from ._window import Window as Window
from ._window import per_axis as per_axis
