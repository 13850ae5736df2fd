"""The signatures themselves, pinned as text; docstrings with executed examples; what an import loads."""

import doctest
import importlib
import inspect
import re
import subprocess
import sys

import pytest

from jaxcnn import functional, geometry

CONV = "stride=1, padding='same', padding_mode='zeros', dilation=1"
TRANSPOSE = "stride=1, padding='same', output_padding=0, output_size=None, dilation=1"
POOL = "x, window, *, stride=None, padding='valid', padding_mode='zeros', dilation=1, ceil_mode=False"
LP = "x, p, window, *, stride=None, padding='valid', dilation=1, ceil_mode=False"
FRACTIONAL = "key, x, window, *, output_size=None, ratio=None, samples=None"
UNPOOL = "y, window, *, output_size=None, stride=None, padding='valid', dilation=1, ceil_mode=False"
AVERAGE = f"{POOL}, count_include_pad=True, divisor=None"
CHANNELS = "groups=1, lowering='auto'"
REPLICATE = "padding='same', padding_mode='replicate'"
RANKS = ("", "1d", "2d", "3d")

SIGNATURES = {
    **{f"functional.conv{rank}": f"x, kernel, bias=None, *, {CONV}, {CHANNELS}" for rank in RANKS},
    **{f"functional.conv_transpose{rank}": f"x, kernel, bias=None, *, {TRANSPOSE}, {CHANNELS}" for rank in RANKS},
    **{f"functional.{kind}_pool{rank}": POOL for kind in ("max", "min", "sum") for rank in RANKS},
    **{f"functional.avg_pool{rank}": AVERAGE for rank in RANKS},
    **{f"functional.max_pool{rank}_with_indices": POOL for rank in RANKS},
    **{f"functional.max_unpool{rank}": "y, indices, *, output_size" for rank in RANKS},
    **{f"functional.weighted_pool{rank}": POOL.replace("window", "weights") for rank in RANKS},
    **{f"functional.blur_pool{rank}": "x, window, *, stride=2, padding_mode='reflect'" for rank in RANKS},
    **{f"functional.soft_pool{rank}": POOL for rank in RANKS},
    **{
        f"functional.mixed_pool{rank}": f"{POOL.replace('window', 'window, alpha')}, count_include_pad=True"
        for rank in RANKS
    },
    **{f"functional.fractional_max_pool{rank}{end}": FRACTIONAL for rank in RANKS for end in ("", "_with_indices")},
    **{f"functional.stochastic_pool{rank}": f"key, {POOL}, train=True" for rank in RANKS},
    **{f"functional.avg_unpool{rank}": UNPOOL for rank in RANKS},
    "functional.affine_grid": "theta, size, *, align_corners=False",
    **{f"functional.lp_pool{rank}": LP for rank in RANKS},
    **{f"functional.adaptive_{kind}_pool{rank}": "x, output_size" for kind in ("avg", "max") for rank in RANKS},
    **{f"functional.adaptive_max_pool{rank}_with_indices": "x, output_size" for rank in RANKS},
    "functional.batch_norm": "x, mean, variance, scale=None, bias=None, *, epsilon=1e-05",
    "functional.channel_shuffle": "x, groups",
    "functional.convolve": f"x, kernel, bias=None, *, {CONV.replace('same', 'full')}, {CHANNELS}",
    "functional.deform_conv2d": (
        "x, kernel, offset, mask=None, bias=None, *, stride=1, padding='same', dilation=1, groups=1, offset_groups=1"
    ),
    "functional.depthwise_conv": f"x, kernel, bias=None, *, {CONV}, lowering='auto'",
    "functional.dots_and_convolutions_saveable": "primitive, *avals, **params",
    "functional.Explanation": "rankings, cases",
    "functional.explain": "function, x_shape, *parameter_shapes, dtype='float32', platform=None, **options",
    "functional.fold": "patches, space, window, *, stride=1, padding='valid', dilation=1",
    "functional.global_avg_pool": "x, *, keepdims=False",
    "functional.global_max_pool": "x, *, keepdims=False",
    "functional.grid_sample": "x, grid, *, method='linear', padding_mode='zeros', align_corners=False",
    "functional.group_norm": "x, groups, scale=None, bias=None, *, epsilon=1e-05",
    "functional.instance_norm": "x, scale=None, bias=None, *, epsilon=1e-05",
    "functional.layer_norm": "x, scale=None, bias=None, *, axes=1, epsilon=1e-05",
    "functional.rms_norm": "x, scale=None, *, axes=1, epsilon=1e-05",
    "functional.local_response_norm": "x, size, *, alpha=0.0001, beta=0.75, k=1.0",
    "functional.moments": "x",
    "functional.pad": "x, padding, *, mode='zeros', value=0.0",
    "functional.reduce_window": f"x, identity, reducer, {POOL.removeprefix('x, ')}",
    "functional.resize": "x, output_size, *, method='linear', antialias=False, align_corners=False",
    "functional.rotate": "x, degrees, *, method='linear', fill=0.0",
    "functional.roi_align": (
        "x, boxes, box_index, output_size, *, spatial_scale=1.0, sampling_ratio=None, aligned=True"
    ),
    "functional.ps_roi_align": "x, boxes, box_index, output_size, *, spatial_scale=1.0, sampling_ratio=None",
    "functional.roi_pool": "x, boxes, box_index, output_size, *, spatial_scale=1.0",
    "functional.ps_roi_pool": "x, boxes, box_index, output_size, *, spatial_scale=1.0",
    **{f"functional.drop_block{rank}": "key, x, rate, block_size, *, train=True" for rank in RANKS},
    **{f"functional.channel_dropout{rank}": "key, x, rate, *, train=True" for rank in RANKS},
    "functional.pixel_shuffle": "x, factor",
    "functional.pixel_unshuffle": "x, factor",
    "functional.separable_conv": f"x, depthwise_kernel, pointwise_kernel, bias=None, *, {CONV}, lowering='auto'",
    "functional.separate": "kernel, *, rank=1",
    "functional.spatially_separable_conv": f"x, column, row, bias=None, *, {CONV}, {CHANNELS}",
    "functional.spatial_pyramid_pool": "x, *, levels=(1, 2, 4), reduce='max'",
    "functional.to_channels_first": "x, *, batched=True",
    "functional.to_channels_last": "x, *, batched=True",
    "functional.unfold": "x, window, *, stride=1, padding='valid', dilation=1",
    "functional.filters.apply": "x, kernel, *, padding='same', padding_mode='replicate'",
    "functional.filters.apply_separable": "x, column, row, *, padding='same', padding_mode='replicate'",
    "functional.filters.binomial_kernel": "size",
    "functional.filters.box": f"x, size, *, {REPLICATE}",
    "functional.filters.box_kernel": "size",
    "functional.filters.edge": f"x, angle=90.0, *, operator='prewitt', absolute=False, {REPLICATE}",
    "functional.filters.edge_enhance": f"x, amount=1.0, *, sigma=1.0, size=None, {REPLICATE}",
    "functional.filters.edge_kernel": "angle=90.0, *, operator='prewitt'",
    "functional.filters.gaussian": f"x, sigma, *, size=None, {REPLICATE}",
    "functional.filters.gaussian_kernel": "sigma, *, size=None",
    "functional.filters.gradient_magnitude": f"x, *, operator='sobel', {REPLICATE}",
    "functional.filters.laplacian": f"x, *, diagonal=False, {REPLICATE}",
    "functional.filters.laplacian_kernel": "*, diagonal=False",
    "functional.filters.line": f"x, angle=90.0, *, size=3, {REPLICATE}",
    "functional.filters.line_kernel": "angle=90.0, *, size=3",
    "functional.filters.prewitt": f"x, angle=90.0, *, {REPLICATE}",
    "functional.filters.scharr": f"x, angle=90.0, *, {REPLICATE}",
    "functional.filters.sharpen": f"x, amount=1.0, *, {REPLICATE}",
    "functional.filters.sobel": f"x, angle=90.0, *, {REPLICATE}",
    "geometry.Bins": "axes",
    "geometry.Bins.output_size": "self, space",
    "geometry.Counts": "parameters=0, multiply_adds=0, bytes=0",
    "geometry.Node": "inputs, window=None",
    "geometry.ReceptiveField": "size, jump, start, *, phases=()",
    "geometry.ReceptiveField.of_pixel": "rank",
    "geometry.ReceptiveField.through": "self, window",
    "geometry.ReceptiveField.union": "self, other",
    "geometry.ReceptiveField.first": "self, unit",
    "geometry.ReceptiveField.last": "self, unit",
    "geometry.Transposed": "window, input_dilation",
    "geometry.Transposed.output_size": "self, space",
    "geometry.Window": "size, stride, padding, dilation",
    "geometry.Window.resolve": (
        "size, space, *, stride=1, padding='valid', dilation=1, ceil_mode=False, name='Window'"
    ),
    "geometry.Window.output_size": "self, space",
    "geometry.Window.pixels": "self, axis, output",
    "geometry.Window.overlap": "self, space, border=None",
    "geometry.Window.transposed": "self, space",
    "geometry.Window.unpadded": "self, *axes",
    **{f"geometry.{rule}": "n, k, s=1" for rule in ("causal", "full", "same", "symmetric_same", "valid")},
    "geometry.adjoint_window": f"size, outputs, *, {TRANSPOSE}, name='adjoint_window'",
    "geometry.chain": "windows",
    "geometry.conv_counts": "window, space, c_in, c_out, *, groups=1, bias=True, batch=1, itemsize=4",
    "geometry.dense_counts": "inputs, outputs, *, bias=True, batch=1, itemsize=4",
    "geometry.graph": "nodes, *, rank=2, source='image'",
    "geometry.per_axis": "value, rank, *, what, name, least",
    "geometry.norm_counts": "space, channels, *, batch=1, itemsize=4",
    "geometry.pool_counts": "window, space, channels, *, weighted=False, batch=1, itemsize=4",
    "geometry.separable_counts": "window, space, c_in, c_out, *, multiplier=1, bias=True, batch=1, itemsize=4",
    "geometry.spatially_separable_counts": (
        "window, space, c_in, c_out, *, c_middle=None, groups=1, bias=True, batch=1, itemsize=4"
    ),
}
# defaults that may be given by position: the affine pair, a mask, what a filter is about, plain value classes, axis rules
POSITIONAL = {"bias", "mask", "scale", "angle", "amount", "border", "s"}
VALUES = {"geometry.Counts", "geometry.Node"}
NO_EXAMPLE = {"geometry.Node", "functional.Explanation"}
FAMILIES: dict[str, list[str]] = {}  # one item for all ranks of a name
for _name in SIGNATURES:
    FAMILIES.setdefault(re.sub(r"[123]d(?=$|_with_indices$)", "", _name), []).append(_name)
METHODS = {name for name in SIGNATURES if name.startswith("geometry.") and name.count(".") == 2}
RANKED = {name for name in SIGNATURES if name.removesuffix("_with_indices").endswith(("1d", "2d", "3d"))}


def public(module):
    """Names of `module` that are ours to call: no modules, no imports from elsewhere, nothing with an underscore."""
    filters = ("jaxcnn.functional.filters", "jaxcnn.functional._filter_kernels")
    home = filters if module is functional.filters else "jaxcnn."
    prefix = module.__name__.removeprefix("jaxcnn.")
    ours = {name: value for name, value in vars(module).items() if callable(value) and not name.startswith("_")}
    return {f"{prefix}.{name}" for name, value in ours.items() if getattr(value, "__module__", "").startswith(home)}


def lookup(name):
    """The object with this dotted name in the package."""
    value = importlib.import_module("jaxcnn")
    for part in name.split("."):
        value = getattr(value, part)
    return value


def test_public_names_are_all_in_the_table():
    found = public(functional) | public(functional.filters) | public(geometry)
    assert found == SIGNATURES.keys() - METHODS


@pytest.mark.parametrize("family", FAMILIES)
def test_signatures_are_pinned(family):
    bare, found = inspect.Parameter.empty, {}
    for name in FAMILIES[family]:
        signature = inspect.signature(lookup(name))
        parameters = [p.replace(annotation=bare) for p in signature.parameters.values()]
        found[name] = str(signature.replace(parameters=parameters, return_annotation=bare))
    assert found == {name: f"({SIGNATURES[name]})" for name in FAMILIES[family]}


@pytest.mark.parametrize("family", FAMILIES)
def test_defaults_are_keyword_only(family):
    parameters = [p for name in FAMILIES[family] for p in inspect.signature(lookup(name)).parameters.values()]
    loose = {p.name for p in parameters if p.default is not p.empty and p.kind is not p.KEYWORD_ONLY}
    assert family in VALUES or loose <= POSITIONAL


@pytest.mark.parametrize("family", [name for name in FAMILIES if name.startswith("functional.")])
def test_arguments_are_annotated(family):
    for name in FAMILIES[family]:
        signature = inspect.signature(lookup(name))
        plain = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        assert all(p.annotation is not p.empty for p in plain), name
        assert signature.return_annotation is not signature.empty, name


@pytest.mark.parametrize("name", sorted(SIGNATURES.keys() - RANKED))
def test_docstring_exists(name):
    assert len(inspect.getdoc(lookup(name)) or "") > 20


@pytest.mark.parametrize("name", sorted(SIGNATURES.keys() - RANKED - METHODS - NO_EXAMPLE))
def test_docstring_has_an_executed_example(name):
    value = lookup(name)
    found = {test.name for test in doctest.DocTestFinder().find(inspect.getmodule(value)) if test.examples}
    assert f"{value.__module__}.{value.__qualname__}" in found


@pytest.mark.parametrize("family", FAMILIES)
def test_ranked_functions_know_their_names(family):
    for name in RANKED.intersection(FAMILIES[family]):
        assert lookup(name).__name__ == lookup(name).__qualname__ == name.partition(".")[2]


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [("geometry", {"jax", "jaxlib", "numpy", "flax"}), ("functional", {"flax", "optax", "matplotlib"})],
)
def test_import_loads_no_more(module, forbidden):
    program = f"import sys, jaxcnn.{module}; print(*(name.partition('.')[0] for name in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert f"jaxcnn.{module}".partition(".")[0] in loaded.split()
    assert forbidden.isdisjoint(loaded.split())


ROOMS = ("nn", "models", "weights", "interpret", "train", "data", "report", "augment", "commands")
PLAIN = {  # values, aliases and steps of training, whose examples are the tests and the experiments
    "nn": set(),
    "models": set(),
    "interpret": {"Row", "Summary"},
    "train": {"CheckpointError", "DivergedError", "DivergedWarning", "Stopped",
              "EpochRecord", "Fitted", "fit", "fine_tune", "Run", "Metrics", "TrainState", "graph_of", "initialise",
              "make_epoch", "make_evaluate", "make_step", "RangeTest"},
    "data": {"ImageSet", "Preparation", "Split"},
    "report": {"Result", "Variant", "classification_page"},
    "augment": set(),
    "weights": set(),
    "commands": set(),
}  # fmt: skip


def room_names():
    for room in ROOMS:
        module = importlib.import_module(f"jaxcnn.{room}")
        for name, value in vars(module).items():
            if getattr(value, "__module__", "").startswith(f"jaxcnn.{room}") and not name.startswith("_"):
                yield pytest.param(room, name, value, id=f"{room}.{name}")


@pytest.mark.parametrize(("room", "name", "value"), list(room_names()))
def test_names_of_every_room_are_documented_with_an_example(room, name, value):
    text = inspect.getdoc(value) or ""
    assert text.strip()
    assert ">>>" in text or name in PLAIN[room]


@pytest.mark.parametrize(("room", "name", "value"), list(room_names()))
def test_defaults_of_every_room_are_keyword_only(room, name, value):
    parameters = inspect.signature(value.__init__ if isinstance(value, type) else value).parameters.values()
    loose = [p.name for p in parameters if p.default is not p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    of_what = ["target"] if room == "interpret" and "target" in loose else []  # what an attribution is of
    assert loose == {"depthwise_normal": ["dtype"], "log": ["name"]}.get(name, of_what)
