"""The exact ways to compute a convolution, one plain function file each, and the choice between them."""

from ._case import DIRECTIONS as DIRECTIONS
from ._case import Case as Case
from ._case import every as every
from ._choice import LOWERINGS as LOWERINGS
from ._choice import can_run as can_run
from ._choice import choose as choose
from ._choice import evaluate as evaluate
from ._choice import rank as rank
from ._choice import refusal as refusal
from ._forced import FREE as FREE
from ._forced import Forced as Forced
from ._runs import Run as Run
from ._runs import bounds as bounds
from ._runs import join as join
from ._runs import on_image as on_image
from ._runs import runs as runs
from ._runs import view as view
from ._stacked import evaluate_stacked as evaluate_stacked
