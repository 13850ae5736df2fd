"""Layers of real networks as benchmark cases, and the choice among them."""

from collections.abc import Sequence
from fnmatch import fnmatch
from typing import Literal

from ._case import DIRECTIONS as DIRECTIONS
from ._case import FAMILIES as FAMILIES
from ._case import Case as Case
from ._case import Direction as Direction
from ._case import Family as Family
from ._case import layer as layer
from ._problem import PASSES as PASSES
from ._problem import Layer as Layer
from ._problem import Pass as Pass
from ._problem import Problem as Problem
from .held_out import CASES as HELD_OUT
from .networks import CASES as NETWORKS
from .seen import CASES as SEEN

Table = Literal["networks", "seen", "held_out"]
TABLES: dict[Table, tuple[Case, ...]] = {"networks": NETWORKS, "seen": SEEN, "held_out": HELD_OUT}

QUICK = (  # two minutes on two cores: every family, small and large
    "lenet5/c1/b32",
    "vgg16/conv3_1/b1",
    "resnet50/conv1/b1",
    "resnet50/layer1.0.conv3/b1",
    "resnet50/layer1.1.conv2/b1",
    "resnet50/layer2.0.downsample/b1",
    "resnet50/layer4.1.conv2/b1",
    "resnext50/layer4.1.conv2/b1",
    "mobilenetv2/features.1.dw/b1",
    "mobilenetv2/features.5.dw/b1",
    "efficientnetb0/blocks.2.0.dw/b1",
    "convnext_t/stem/b1",
    "convnext_t/stages.2.dw/b1",
    "dcgan/g.2/b1",
    "dcgan/g.5/b32",
    "textcnn/conv5/b32",
    "wavenet/dilated.16/b1",
    "c3d/conv5a/b1",
)


def select(
    *, quick: bool = False, table: Table = "networks", families: Sequence[Family] = (), pattern: str = "*"
) -> tuple[Case, ...]:
    """The cases whose name matches the shell pattern, of the given families where any are given.

    Raises: ValueError if none is left.

    >>> [case.name for case in select(pattern="resnet50/conv1/*")]
    ['resnet50/conv1/b1', 'resnet50/conv1/b32']
    """
    cases = TABLES[table]
    if quick:
        cases = tuple(
            case for case in cases if (case.name in QUICK if table == "networks" else case.name.endswith("/b1"))
        )
    chosen = tuple(c for c in cases if fnmatch(c.name, pattern) and (not families or c.family in families))
    if not chosen:
        raise ValueError(f"select: no case matches {pattern!r} in the families {', '.join(families) or 'of the table'}")
    return chosen
