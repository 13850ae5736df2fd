"""Layers of real networks as benchmark cases, and the choice among them."""

from collections.abc import Sequence
from fnmatch import fnmatch

from ._case import DIRECTIONS as DIRECTIONS
from ._case import FAMILIES as FAMILIES
from ._case import Case as Case
from ._case import Direction as Direction
from ._case import Family as Family
from ._case import layer as layer
from .held_out import CASES as HELD_OUT
from .networks import CASES as NETWORKS

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
    *, quick: bool = False, held_out: bool = False, families: Sequence[Family] = (), pattern: str = "*"
) -> tuple[Case, ...]:
    """The cases whose name matches the shell pattern, of the given families where any are given.

    Raises: ValueError if none is left.

    >>> [case.name for case in select(pattern="resnet50/conv1/*")]
    ['resnet50/conv1/b1', 'resnet50/conv1/b32']
    """
    table = HELD_OUT if held_out else NETWORKS
    if quick:
        table = tuple(case for case in table if (case.name.endswith("/b1") if held_out else case.name in QUICK))
    chosen = tuple(c for c in table if fnmatch(c.name, pattern) and (not families or c.family in families))
    if not chosen:
        raise ValueError(f"select: no case matches {pattern!r} in the families {', '.join(families) or 'of the table'}")
    return chosen
