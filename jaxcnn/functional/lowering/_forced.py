"""Lowerings by force: a name for each direction, "auto" where the rule chooses.

What is forced runs or is an error, nothing else runs in its place. So `vmap` folds a mapped axis into batch or channels only
where every forced direction that runs one problem runs the folded one, too.
"""

from typing import NamedTuple

from ._case import DIRECTIONS, Case
from ._choice import can_run


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
            can_run(other.replace(direction=d, partitioned=p), name)
            or not can_run(case.replace(direction=d, partitioned=p), name)
            for d, name in zip(DIRECTIONS, self)
            for p in (False, True)
        )


FREE = Forced()
