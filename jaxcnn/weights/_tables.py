"""Names that differ from torchvision's, family by family: literal tables.

The models carry torchvision's names, so its files need no table. Keys are the module that defines a family; a table's rows are
`(pattern, replacement)` of regular expressions from PyTorch's name of our parameter to the publisher's, applied in order.
"""

import re
from dataclasses import dataclass, replace

from flax import nnx

from . import _timm


@dataclass(frozen=True)
class Naming:
    """One publisher's names: rows of `(pattern, replacement)`; `ours` keeps our own names and layouts.

    `epsilon` is that of the publisher's batch normalisations where it is not that of the model.
    """

    rows: tuple[tuple[str, str], ...] = ()
    ours: bool = False
    epsilon: float | None = None

    def __call__(self, name: str) -> str:
        """Their name of what PyTorch calls `name`.

        >>> Naming(((r"^features\\.0\\.", "conv1."),))("features.0.weight")
        'conv1.weight'
        """
        for pattern, replacement in self.rows:
            name = re.sub(pattern, replacement, name)
        return name


OWN, TORCH = Naming(ours=True), Naming()

_FIRES = {
    3: 2,
    4: 3,
    6: 4,
    7: 5,
    9: 6,
    10: 7,
    11: 8,
    12: 9,
}  # place in torchvision's SqueezeNet 1.1: number of the fire module
_CAFFE_SQUEEZENET = (
    (r"^features\.0\.", "conv1."),
    (r"^classifier\.1\.", "conv10."),
    *((rf"^features\.{place}\.squeeze\.", f"fire{number}__squeeze1x1.") for place, number in _FIRES.items()),
    *((rf"^features\.{place}\.expand", f"fire{number}__expand") for place, number in _FIRES.items()),
)
_TIMM_CONVNEXT = (
    (r"^features\.0\.", "stem."),
    *((rf"^features\.{2 * stage}\.", f"stages.{stage}.downsample.") for stage in (1, 2, 3)),
    *((rf"^features\.{2 * stage + 1}\.", f"stages.{stage}.blocks.") for stage in (0, 1, 2, 3)),
    (r"\.block\.0\.", ".conv_dw."),
    (r"\.block\.2\.", ".norm."),
    (r"\.block\.3\.", ".mlp.fc1."),
    (r"\.block\.5\.", ".mlp.fc2."),
    (r"\.layer_scale$", ".gamma"),
    (r"^classifier\.0\.", "head.norm."),
    (r"^classifier\.2\.", "head.fc."),
)
_TIMM_VGG = (
    (r"^classifier\.0\.", "pre_logits.fc1."),
    (r"^classifier\.3\.", "pre_logits.fc2."),
    (r"^classifier\.6\.", "head.fc."),
)
_SLIM_HEAD = "Logits.Conv2d_1c_1x1."
_SLIM_MOBILENET_V1 = (
    (r"^features\.0\.0\.", "Conv2d_0."),
    (r"^features\.(\d+)\.0\.0\.", r"Conv2d_\1_depthwise."),
    (r"^features\.(\d+)\.1\.0\.", r"Conv2d_\1_pointwise."),
    (r"^classifier\.", _SLIM_HEAD),
)
_SLIM_MOBILENET_V2 = (
    (r"^features\.0\.0\.", "Conv."),
    (r"^features\.1\.conv\.0\.0\.", "expanded_conv.depthwise."),  # the first block, which expands nothing
    (r"^features\.1\.conv\.1\.", "expanded_conv.project."),
    (r"^features\.18\.0\.", "Conv_1."),
    *((rf"^features\.{number}\.conv\.0\.0\.", f"expanded_conv_{number - 1}.expand.") for number in range(2, 18)),
    *((rf"^features\.{number}\.conv\.1\.0\.", f"expanded_conv_{number - 1}.depthwise.") for number in range(2, 18)),
    *((rf"^features\.{number}\.conv\.2\.", f"expanded_conv_{number - 1}.project.") for number in range(2, 18)),
    (r"^classifier\.1\.", _SLIM_HEAD),
)
_DENSENET_2017 = ((r"(denselayer\d+\.(?:norm|conv))([12])\.", r"\1.\2."),)

TABLES: dict[str, dict[str, Naming]] = {  # family: publisher: names
    "squeezenet": {"caffe": Naming(_CAFFE_SQUEEZENET)},
    "convnext": {"timm": Naming(_TIMM_CONVNEXT)},
    "vgg": {"timm": Naming(_TIMM_VGG)},
    "densenet": {"torchvision_2017": Naming(_DENSENET_2017)},
    "efficientnet": {
        "timm": Naming(_timm.EFFICIENTNET, epsilon=1e-5),
        "timm_v2": Naming(_timm.EFFICIENTNET_V2, epsilon=1e-5),
    },
    "mobilenet_v1": {"tf_slim": Naming(_SLIM_MOBILENET_V1)},
    "mobilenet_v2": {"timm": Naming(_timm.MOBILENET_V2), "tf_slim": Naming(_SLIM_MOBILENET_V2)},
    "mobilenet_v3": {
        "timm": Naming(_timm.MOBILENET_V3_LARGE, epsilon=1e-5),
        "timm_small": Naming(_timm.MOBILENET_V3_SMALL, epsilon=1e-5),
    },
    "mnasnet": {"timm": Naming(_timm.MNASNET)},
    "regnet": {"timm": Naming(_timm.REGNET)},
}
IGNORED = re.compile(r"(^|\.)num_batches_tracked$")  # PyTorch's count of batches, which nothing here uses
AUXILIARY = {"googlenet": r"aux[12]\.", "inception": r"AuxLogits\."}  # heads that are left out where the model has none


def namings(model: nnx.Module) -> dict[str, Naming]:
    """Every naming that may fit a model, by its publisher.

    >>> from jaxcnn import nn
    >>> list(namings(nn.Dense(2, 3, rngs=nnx.Rngs(0))))
    ['jaxcnn', 'pytorch']
    """
    known = TABLES.get(family(model), {})
    if getattr(model, "padding", None) == "same":  # TensorFlow's networks, whose ε timm keeps
        known = {publisher: replace(naming, epsilon=None) for publisher, naming in known.items()}
    return {"jaxcnn": OWN, "pytorch": TORCH} | known


def family(model: nnx.Module) -> str:
    """The module that defines the model's class.

    >>> from jaxcnn import models
    >>> family(models.create("lenet5", rngs=nnx.Rngs(0)))
    'lenet'
    """
    return type(model).__module__.rpartition(".")[2]
