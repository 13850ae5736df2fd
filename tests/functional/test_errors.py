"""Bad input of every public function: the type of the error and its one line, under the name the user called."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import functional as F
from jaxcnn.functional import filters

X, KERNEL = jnp.ones((2, 7, 5, 6)), jnp.ones((3, 3, 6, 4))
DEPTH, POINT = jnp.ones((3, 3, 6, 2)), jnp.ones((12, 4))
COLUMN, ROW = jnp.ones((3, 6, 2)), jnp.ones((3, 2, 4))
HALF = jnp.bfloat16
WORDS = '"same", "valid", "full", "causal"'
MODES = '"zeros", "reflect", "replicate", "circular", "symmetric"'
FORMS = "an int, or one int or (low, high) an axis"

# functions that take x first, and the arguments that make a good call
CONVS = {
    "conv": (F.conv, KERNEL),
    "conv2d": (F.conv2d, KERNEL),
    "convolve": (F.convolve, KERNEL),
    "depthwise_conv": (F.depthwise_conv, DEPTH),
    "separable_conv": (F.separable_conv, DEPTH, POINT),
    "spatially_separable_conv": (F.spatially_separable_conv, COLUMN, ROW),
}
POOLS = {
    f"{kind}_pool{rank}": (getattr(F, f"{kind}_pool{rank}"), 2)
    for kind in ("max", "min", "sum", "avg")
    for rank in ("", "2d")
}
WEIGHTED = {
    "weighted_pool": (F.weighted_pool, jnp.ones((2, 2))),
    "soft_pool": (F.soft_pool, 2),
    "mixed_pool": (F.mixed_pool, 2, 0.5),
}
POOLS |= WEIGHTED
FILTERS = {
    "edge": (filters.edge,),
    "prewitt": (filters.prewitt,),
    "sobel": (filters.sobel,),
    "scharr": (filters.scharr, 30),
    "gradient_magnitude": (filters.gradient_magnitude,),
    "line": (filters.line,),
    "laplacian": (filters.laplacian,),
    "gaussian": (filters.gaussian, 1.0),
    "box": (filters.box, 3),
    "sharpen": (filters.sharpen,),
    "edge_enhance": (filters.edge_enhance,),
    "apply": (filters.apply, np.ones((3, 3))),
    "apply_separable": (filters.apply_separable, np.ones(3), np.ones(3)),
}
REDUCTIONS = {"pad": (F.pad, 1), "global_avg_pool": (F.global_avg_pool,), "global_max_pool": (F.global_max_pool,)}
REDUCTIONS |= {"spatial_pyramid_pool": (F.spatial_pyramid_pool,)}
REGIONS = {
    name: (getattr(F, name), jnp.ones((4, 4)), jnp.zeros(4, jnp.int32), (2, 1))
    for name in ("roi_align", "ps_roi_align", "roi_pool", "ps_roi_pool")
}
EVERY = CONVS | POOLS | FILTERS | REDUCTIONS | REGIONS
SLIDING = CONVS | POOLS | {"reduce_window": (F.reduce_window, 0.0, jnp.add, 2)}
TAPS = dict.fromkeys(CONVS, 3)  # the pools take windows of 2
C_OUT = dict.fromkeys(CONVS, 4) | {"depthwise_conv": 12}


def refuses(error, message, function, *args, **options):
    """The call fails with exactly this one line."""
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        function(*args, **options)


def rows(table):
    return [pytest.param(name, *entry[:1], entry[1:], id=name) for name, entry in table.items()]


@pytest.mark.parametrize(("name", "function", "rest"), rows(EVERY))
def test_list_is_no_array(name, function, rest):
    message = f"{name}: x is a list; it must be an array, jnp.asarray makes one"
    refuses(TypeError, message, function, [[1.0]], *rest)


@pytest.mark.parametrize(("name", "function", "rest"), rows(EVERY))
def test_strings_are_no_numbers(name, function, rest):
    message = f"{name}: x is <U1[1,1,1,1]; it must hold numbers"
    refuses(TypeError, message, function, np.full((1, 1, 1, 1), "a"), *rest)


@pytest.mark.parametrize(("name", "function", "rest"), rows(EVERY))
def test_image_without_batch_or_pixels_is_refused(name, function, rest):
    with pytest.raises(
        ValueError, match=rf"^{name}: x is float32\[5,6\]; it must have the axes .*, one image is x\[None\]$"
    ):
        function(X[0, 0], *rest)
    message = f"{name}: x is float32[2,0,5,6]: a spatial axis has no pixel; every one needs at least 1"
    refuses(ValueError, message, function, X[:, :0], *rest)


@pytest.mark.parametrize("base", ["conv", "max_pool", "min_pool", "sum_pool", "avg_pool"])
@pytest.mark.parametrize(
    ("rank", "axes", "shape"),
    [("1d", "(n, w, c)", (2, 7, 5, 6)), ("2d", "(n, h, w, c)", (2, 5, 6)), ("3d", "(n, d, h, w, c)", (2, 7, 5, 6))],
)
def test_rank_is_exact(base, rank, axes, shape):
    described = ",".join(map(str, shape))
    message = f"{base}{rank}: x is float32[{described}]; it must have the axes {axes}, one image is x[None]"
    refuses(ValueError, message, getattr(F, f"{base}{rank}"), jnp.ones(shape), KERNEL)


@pytest.mark.parametrize(("name", "function", "rest"), rows(SLIDING))
def test_unknown_words_are_refused(name, function, rest):
    message = f"{name}: padding_mode='mirror' is unknown; use {MODES}"
    refuses(ValueError, message, function, X, *rest, padding_mode="mirror")
    with pytest.raises(ValueError, match=rf"^{name}: padding=.*'half'.* is unknown; use {WORDS}, {re.escape(FORMS)}$"):
        function(X, *rest, padding="half")


@pytest.mark.parametrize(("name", "function", "rest"), rows(SLIDING))
@pytest.mark.parametrize("bad", [0, -2])
@pytest.mark.parametrize("option", ["stride", "dilation"])
def test_numbers_below_one_are_refused(name, function, rest, option, bad):
    with pytest.raises(ValueError, match=rf"^{name}: {option}=.*{bad}.* must be at least 1 on every axis$"):
        function(X, *rest, **{option: bad})


@pytest.mark.parametrize(("name", "function", "rest"), rows(SLIDING))
def test_numbers_of_the_wrong_kind_are_refused(name, function, rest):
    with pytest.raises(TypeError, match=rf"^{name}: stride=.*1\.5.* must be an int or 2 ints$"):
        function(X, *rest, stride=1.5)
    with pytest.raises(ValueError, match=rf"^{name}: .*\(1, 2, 3\).* one (entry )?for each of 2 (spatial )?axes$"):
        function(X, *rest, padding=(1, 2, 3))
    with pytest.raises(
        ValueError, match=rf"^{name}: padding \(-9, 9\) crops spatial axis 0 of 7 pixels to nothing; .*$"
    ):
        function(X, *rest, padding=((-9, 9), (0, 0)))


@pytest.mark.parametrize(("name", "function", "rest"), rows(SLIDING))
def test_window_larger_than_image_is_refused(name, function, rest):
    with pytest.raises(
        ValueError, match=rf"^{name}: window \(.*spans 9.* on spatial axis 0, which has 7 and padding \(0, 0\)"
    ):
        function(X, *rest, dilation=({2: 8, 3: 4}[TAPS.get(name, 2)], 1), padding="valid")


@pytest.mark.parametrize(("name", "function", "rest"), rows(CONVS))
def test_lowering_is_known(name, function, rest):
    with pytest.raises(ValueError, match=rf'^{name}: lowering=\'fast\' is unknown; use "auto", "direct"') as caught:
        function(X, *rest, lowering="fast")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "function", "rest"), rows(CONVS))
def test_dtypes_are_not_mixed(name, function, rest):
    kernel = {"separable_conv": "depthwise_kernel", "spatially_separable_conv": "column"}.get(name, "kernel")
    message = rf"^{name}: x is bfloat16\[.*\] but {kernel} is float32\[.*\]; cast one, {kernel}\.astype"
    with pytest.raises(TypeError, match=message):
        function(X.astype(HALF), *rest)
    message = f"{name}: x is bool[2,7,5,6]; cast it to a number, x.astype(jnp.float32)"
    refuses(TypeError, message, function, X > 0, *rest)


@pytest.mark.parametrize(("name", "function", "rest"), rows(CONVS))
def test_bias_fits(name, function, rest):
    c_out = C_OUT[name]
    refuses(
        ValueError, f"{name}: bias is float32[3]; it must have the shape ({c_out},)", function, X, *rest, jnp.ones(3)
    )
    message = f"{name}: bias is a list; it must be an array, jnp.asarray makes one"
    refuses(TypeError, message, function, X, *rest, [1.0] * c_out)
    with pytest.raises(
        TypeError, match=rf"^{name}: x is float32\[.*\] but bias is bfloat16\[{c_out}\]; cast one, bias\.astype"
    ):
        function(X, *rest, jnp.ones(c_out, HALF))


@pytest.mark.parametrize(
    ("name", "function", "rest"),
    rows(
        FILTERS
        | {
            "avg_pool2d": (F.avg_pool2d, 2),
            **WEIGHTED,
            "blur_pool": (F.blur_pool, 3),
            "global_avg_pool": (F.global_avg_pool,),
        }
    ),
)
def test_fractions_need_floats(name, function, rest):
    message = f"{name}: x is int32[2,7,5,6]; it must be floating point, x.astype(jnp.float32)"
    refuses(TypeError, message, function, X.astype(int), *rest)


@pytest.mark.parametrize(("name", "function", "rest"), rows(FILTERS))
def test_filter_padding_is_known(name, function, rest):
    with pytest.raises(ValueError, match=rf"^{name}: padding=.*'half'.* is unknown; use {WORDS}, {re.escape(FORMS)}$"):
        function(X, *rest, padding="half")
    refuses(
        ValueError, f"{name}: padding_mode='mirror' is unknown; use {MODES}", function, X, *rest, padding_mode="mirror"
    )


@pytest.mark.parametrize("name", ["ps_roi_align", "ps_roi_pool"])
def test_channels_that_are_no_multiple_of_the_bins_are_refused(name):
    function, boxes, index, _ = REGIONS[name]
    message = f"{name}: x is float32[2,7,5,6]; its channels must be a multiple of the 4 bins of output_size=(2, 2)"
    refuses(ValueError, message, function, X, boxes, index, 2)


@pytest.mark.parametrize(("name", "function", "rest"), rows(REGIONS))
def test_boxes_that_do_not_fit_are_refused(name, function, rest):
    boxes, index, size = rest
    message = f"{name}: boxes is float32[4,3]; it must have the axes (k, 4), y0, x0, y1, x1"
    refuses(ValueError, message, function, X, boxes[:, :3], index, size)
    message = f"{name}: box_index reaches from 2 to 2; x has 2 images, use 0 to 1"
    refuses(ValueError, message, function, X, boxes, index + 2, size)
    refuses(ValueError, f"{name}: spatial_scale=0 must be positive", function, X, *rest, spatial_scale=0)


DROPS = {"drop_block": (F.drop_block, 2), "channel_dropout": (F.channel_dropout,)}


@pytest.mark.parametrize(("name", "function", "rest"), rows(DROPS))
def test_what_cannot_be_dropped_is_refused(name, function, rest):
    key = jax.random.key(0)
    refuses(ValueError, f"{name}: rate=1.5 must be from 0 to 1", function, key, X, 1.5, *rest)
    refuses(TypeError, f"{name}: rate='half' must be a number", function, key, X, "half", *rest)
    message = f"{name}: rate is float32[2]; give one number"
    refuses(ValueError, message, function, key, X, jnp.ones(2), *rest)
    message = f"{name}: x is int32[2,7,5,6]; it must be floating point, x.astype(jnp.float32)"
    refuses(TypeError, message, function, key, X.astype("int32"), 0.5, *rest)
    message = f"{name}: key is a NoneType; it must be one random key, as jax.random.key(0)"
    refuses(TypeError, message, function, None, X, 0.5, *rest)
    message = f"{name}2d: x is float32[7,5,6]; it must have the axes (n, h, w, c), one image is x[None]"
    refuses(ValueError, message, getattr(F, f"{name}2d"), key, X[0], 0.5, *rest)


def test_blocks_without_a_pixel_are_refused():
    message = "drop_block: block_size=(3, 0) must be at least 1 on every axis"
    refuses(ValueError, message, F.drop_block, jax.random.key(0), X, 0.5, (3, 0))
