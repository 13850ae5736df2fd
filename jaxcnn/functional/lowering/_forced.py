"""Lowerings by force: a name for each direction, "auto" where the rule chooses.

What is forced runs or is an error, nothing else runs in its place. So `vmap` folds a mapped axis into batch or channels only
where every forced direction that runs one problem runs the folded one, too.
"""

from typing import NamedTuple

from ._case import DIRECTIONS, Case
from ._choice import LOWERINGS


class Forced(NamedTuple):
    """The name for each direction."""

    conv: str = "auto"
    input_grad: str = "auto"
    kernel_grad: str = "auto"

    def of(self, direction: str) -> str:
        """The name for one direction."""
        return getattr(self, direction)

    def runs_too(self, case: Case, other: Case) -> bool:
        """Whether what runs `case` runs `other`, split over devices or not, in every direction."""
        return all(
            _can(other.replace(**where), self) or not _can(case.replace(**where), self)
            for where in ({"direction": d, "partitioned": p} for d in DIRECTIONS for p in (False, True))
        )


def _can(case: Case, forced: Forced) -> bool:
    name = forced.of(case.direction)
    return name == "auto" or LOWERINGS[name].supports(case) is None


FREE = Forced()
