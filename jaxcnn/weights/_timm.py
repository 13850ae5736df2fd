r"""The names that timm gives to what torchvision names otherwise, as rows of `(pattern, replacement)`.

Its ResNets, DenseNets and Inception v3 have torchvision's names. The networks of inverted residuals share one naming:
`conv_stem`, `blocks.<stage>.<block>.<layer>`, `conv_head`, whatever torchvision's numbers count. Its norms have ε = 1e-5, which
`load` gives the model too. The networks that it calls `tf_…` have the same names and shapes, but pad as TensorFlow does,
"same", with ε = 1e-3, which ours of these names keep (`tf_efficientnetv2_s` is `tf_efficientnet_v2_s` here,
`tf_mobilenetv3_large_100` `tf_mobilenet_v3_large`): a file does not tell which it is of.
"""

Rows = tuple[tuple[str, str], ...]

SQUEEZE = {"fc1": "se.conv_reduce", "fc2": "se.conv_expand"}
EXPANDED = {"0.0": "conv_pw", "0.1": "bn1", "1.0": "conv_dw", "1.1": "bn2", "2.0": "conv_pwl", "2.1": "bn3"}
EXPANDED |= {"3.0": "conv_pwl", "3.1": "bn3"} | {f"2.{fc}": name for fc, name in SQUEEZE.items()}
PLAIN = {"0.0": "conv_dw", "0.1": "bn1", "1.0": "conv_pw", "1.1": "bn2", "2.0": "conv_pw", "2.1": "bn2"}
PLAIN |= {f"1.{fc}": name for fc, name in SQUEEZE.items()}  # the first block, which expands nothing
FUSED = {"0.0": "conv_exp", "0.1": "bn1", "1.0": "conv_pwl", "1.1": "bn2"}
ALONE = {"0.0": "conv", "0.1": "bn1"}


def _rows(start: str, to: str, layers: dict[str, str]) -> Rows:
    """A row for each layer of a block; `start` is a pattern."""
    return tuple((rf"^{start}\.{layer.replace('.', '[.]')}\.", rf"{to}.{name}.") for layer, name in layers.items())


def _ends(last: str, classifier: str, head: tuple[str, str] = ("conv_head", "bn2")) -> Rows:
    """First and last convolution with their norms, and the classifier; `last` and `classifier` are patterns."""
    return (
        (r"^features\.0\.0\.", "conv_stem."),
        (r"^features\.0\.1\.", "bn1."),
        (rf"^features\.{last}\.0\.(\w+)$", rf"{head[0]}.\1"),
        (rf"^features\.{last}\.1\.(\w+)$", rf"{head[1]}.\1"),
        (rf"^{classifier}\.", "classifier."),
    )


def _in_line(counts: tuple[int, ...], inner: str, first: dict[str, str], others: dict[str, str]) -> Rows:
    """Blocks that torchvision numbers through, `counts` of them a stage."""
    places = [(stage, block) for stage, count in enumerate(counts) for block in range(count)]
    rows: Rows = ()
    for number, (stage, block) in enumerate(places, 1):
        rows += _rows(rf"features\.{number}\.{inner}", f"blocks.{stage}.{block}", first if number == 1 else others)
    return rows


def _mobilenet_v3(counts: tuple[int, ...]) -> Rows:
    stage = f"blocks.{len(counts)}.0"
    ends = _ends(str(sum(counts) + 1), r"classifier\.3", (f"{stage}.conv", f"{stage}.bn1"))
    return (*ends, (r"^classifier\.0\.", "conv_head."), *_in_line(counts, "block", PLAIN, EXPANDED))


def _stages(kinds: tuple[dict[str, str], ...]) -> Rows:
    """Blocks that torchvision numbers within their stage, one kind of block a stage."""
    return sum(
        (
            _rows(rf"features\.{stage}\.(\d+)\.block", rf"blocks.{stage - 1}.\1", kind)
            for stage, kind in enumerate(kinds, 1)
        ),
        (),
    )


_V2_PLAIN = {"0.0": "conv_dw", "0.1": "bn1", "1": "conv_pw", "2": "bn2"}
_V2 = {"0.0": "conv_pw", "0.1": "bn1", "1.0": "conv_dw", "1.1": "bn2", "2": "conv_pwl", "3": "bn3"}
MOBILENET_V2 = (*_ends("18", r"classifier\.1"), *_in_line((1, 2, 3, 4, 3, 3, 1), "conv", _V2_PLAIN, _V2))
MOBILENET_V3_LARGE = _mobilenet_v3((1, 2, 3, 4, 2, 3))
MOBILENET_V3_SMALL = _mobilenet_v3((1, 2, 3, 2, 3))
EFFICIENTNET = (*_ends("8", r"classifier\.1"), *_stages((PLAIN, *[EXPANDED] * 6)))
EFFICIENTNET_V2 = (*_ends("[78]", r"classifier\.1"), *_stages((ALONE, FUSED, FUSED, *[EXPANDED] * 4)))

_BOTTLENECK = {"0": "conv_pw", "1": "bn1", "3": "conv_dw", "4": "bn2", "6": "conv_pwl", "7": "bn3"}
_FIRST = {"0": "conv_stem", "1": "bn1", "3": "blocks.0.0.conv_dw", "4": "blocks.0.0.bn1"}
_FIRST |= {"6": "blocks.0.0.conv_pw", "7": "blocks.0.0.bn2", "14": "conv_head", "15": "bn2"}
MNASNET: Rows = (
    *((rf"^layers\.{number}\.(\w+)$", rf"{name}.\1") for number, name in _FIRST.items()),
    *(row for n in range(8, 14) for row in _rows(rf"layers\.{n}\.(\d+)\.layers", rf"blocks.{n - 7}.\1", _BOTTLENECK)),
    (r"^classifier\.1\.", "classifier."),
)

_REGNET_LAYERS = {
    "f.a.0": "conv1.conv",
    "f.a.1": "conv1.bn",
    "f.b.0": "conv2.conv",
    "f.b.1": "conv2.bn",
    "f.c.0": "conv3.conv",
}
_REGNET_LAYERS |= {"f.c.1": "conv3.bn", "f.se": "se", "proj.0": "downsample.conv", "proj.1": "downsample.bn"}
REGNET: Rows = (
    (r"^stem\.0\.", "stem.conv."),
    (r"^stem\.1\.", "stem.bn."),
    *((rf"^trunk_output\.block(\d)\.block\d-{i}\.", rf"s\1.b{i + 1}.") for i in range(40)),
    *((rf"^(s\d\.b\d+)\.{old.replace('.', '[.]')}\.", rf"\1.{new}.") for old, new in _REGNET_LAYERS.items()),
    (r"^fc\.", "head.fc."),
)
