"""What runs, what `explain` says of it, and the errors of what cannot run."""

import re

import jax
import jax.export
import jax.numpy as jnp
import pytest

from jaxcnn import functional as F
from jaxcnn.functional.lowering import DIRECTIONS, LOWERINGS, _conditions, choose, rank

from .cases import CASES

IMAGE, KERNEL = jnp.ones((1, 8, 8, 64)), jnp.ones((3, 3, 64, 64))


@pytest.mark.parametrize("platform", ["cpu", "gpu", "tpu"])
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("name", CASES)
def test_choice_can_run(name, direction, platform):
    for partitioned in (False, True):
        case = CASES[name].replace(direction=direction, platform=platform, partitioned=partitioned)
        assert LOWERINGS[choose(case)].supports(case) is None
        able = {name for name, module in LOWERINGS.items() if module.supports(case) is None}
        order = [can for _, can, _ in rank(case)]
        assert rank(case)[0][0] == choose(case)
        assert ({name for name, can, _ in rank(case) if can}, order) == (able, sorted(order, reverse=True))


@pytest.mark.parametrize(
    ("shapes", "options", "chosen"),
    [
        (((8, 56, 56, 64), (1, 1, 64, 256)), {}, {"kernel_grad": "patches"}),
        (((64, 8, 8, 32), (9, 9, 32, 64)), {}, {"conv": "patches", "input_grad": "fold", "kernel_grad": "direct"}),
        (((256, 8, 8, 32), (9, 9, 32, 64)), {}, {"input_grad": "patches"}),
        (((64, 9, 9, 32), (9, 9, 32, 64)), {}, {"conv": "direct"}),  # as large as the image
        (((64, 8, 20, 32), (9, 3, 32, 64)), {}, {"conv": "direct"}),  # past one side of it alone
        (((8, 14, 14, 32), (3, 3, 1, 32)), {"groups": 32}, {"conv": "border", "kernel_grad": "row_loop"}),
        (((8, 14, 14, 32), (3, 3, 1, 32)), {"groups": 32, "stride": 2}, {"input_grad": "phases"}),
        (((8, 7, 7, 1024), (3, 3, 32, 1024)), {"groups": 32}, {"conv": "shifted", "input_grad": "shifted"}),
        (((4, 56, 56, 128), (3, 3, 4, 128)), {"groups": 32}, {"kernel_grad": "row_loop"}),
        (((8, 14, 14, 512), (3, 3, 16, 512)), {"groups": 32}, {"conv": "blocks", "kernel_grad": "blocks"}),
        (((4, 56, 56, 256), (3, 3, 8, 256)), {"groups": 32, "stride": 2}, {"conv": "tap_sum", "input_grad": "blocks"}),
        (((2, 16, 32, 512), (7, 7, 16, 256)), {"groups": 32, "stride": 4}, {"input_grad": "phases"}),
        (((8, 13, 13, 256), (3, 3, 32, 64)), {"groups": 8, "stride": 2, "dilation": 2}, {"input_grad": "phases"}),
        (((8, 4000, 32), (3, 4, 64)), {"groups": 8}, {"kernel_grad": "blocks"}),
        (((8, 4000, 64), (3, 2, 64)), {"groups": 32}, {"kernel_grad": "row_loop"}),
        (((32, 56, 56, 64), (3, 3, 64, 64)), {}, {"conv": "direct", "kernel_grad": "images"}),
        (((8, 56, 56, 64), (3, 3, 64, 128)), {}, {"conv": "direct", "kernel_grad": "winograd"}),
        (((32, 16, 16, 128), (3, 3, 128, 128)), {}, {"kernel_grad": "winograd"}),
        (((64, 8, 8, 256), (3, 3, 256, 256)), {}, dict.fromkeys(("conv", "input_grad", "kernel_grad"), "winograd")),
        (
            ((64, 4, 4, 512), (3, 3, 512, 512)),
            {},
            {"conv": "patches", "input_grad": "fold", "kernel_grad": "patches"},
        ),
        (((64, 7, 7, 512), (3, 3, 512, 512)), {"padding": 1}, {"conv": "winograd"}),
        (((32, 32, 32, 64), (3, 3, 64, 128)), {"stride": 2}, {"kernel_grad": "patches"}),
        (((32, 32, 32, 32), (5, 5, 32, 64)), {"stride": 2}, {"kernel_grad": "images"}),
        (((32, 16, 16, 128), (3, 3, 128, 256)), {"stride": 2}, {"kernel_grad": "patches"}),
        (((8, 28, 28, 128), (5, 5, 128, 256)), {"stride": 2}, {"kernel_grad": "direct"}),
        (((32, 32, 32, 64), (5, 5, 64, 128)), {"stride": 2}, {"kernel_grad": "direct"}),
        (((8, 14, 14, 512), (1, 3, 512, 512)), {}, {"conv": "patches", "kernel_grad": "patches"}),
        (((8, 3199, 512), (3, 512, 512)), {"stride": 2}, {"conv": "direct", "kernel_grad": "direct"}),
        (((2, 32, 32, 512), (3, 3, 512, 512)), {"dilation": 2}, {"conv": "direct", "kernel_grad": "patches"}),
        (((8, 56, 56, 128), (3, 3, 128, 256)), {}, {"conv": "winograd", "input_grad": "winograd"}),
        (((8, 14, 14, 64), (3, 3, 64, 64)), {}, {"conv": "direct", "kernel_grad": "direct"}),
        (((8, 56, 56, 64), (3, 3, 64, 64)), {"stride": 2}, {"input_grad": "phases"}),
        (((8, 64, 64, 3), (7, 7, 3, 64)), {"stride": 2}, {"input_grad": "subpixel", "kernel_grad": "planes"}),
        (((1, 7, 7, 512), (3, 3, 512, 512)), {"padding": 1}, {"input_grad": "fold", "kernel_grad": "patches"}),
        (((4, 8, 8, 256), (4, 4, 256, 512)), {"stride": 2, "padding": 1}, {"input_grad": "fold"}),
        (((1, 8, 28, 28, 64), (3, 3, 3, 64, 64)), {}, {"conv": "depth_sum"}),
        (((4, 4, 7, 7, 64), (3, 3, 3, 64, 64)), {}, dict.fromkeys(DIRECTIONS, "depth_sum")),
        (((2, 8, 14, 14, 64), (3, 1, 1, 64, 64)), {}, {"input_grad": "fold", "kernel_grad": "patches"}),
        (((2, 8, 14, 14, 64), (3, 3, 3, 64, 128)), {"stride": 2}, {"conv": "depth_sum", "input_grad": "fold"}),
        (((2, 16, 56, 56, 64), (3, 3, 3, 64, 128)), {"stride": 2}, {"input_grad": "phases"}),  # 173 MiB of fold
        (((1, 16, 112, 112, 3), (3, 7, 7, 3, 64)), {"stride": (1, 2, 2)}, {"input_grad": "phases"}),
        (((8, 8, 7, 7, 48), (7, 7, 7, 48, 24)), {"padding": 0}, {"input_grad": "direct"}),  # outputs of one pixel
        (((8, 13, 13, 24), (2, 2, 24, 512)), {"padding": 1}, {"kernel_grad": "patches"}),  # more outputs than pixels
        (((8, 1000, 4), (4, 4, 384)), {"padding": 2}, {"kernel_grad": "planes"}),
        (((8, 4000, 128), (2, 128, 24)), {"stride": 2}, {"kernel_grad": "patches"}),
        (((2, 64, 128, 8), (3, 3, 8, 192)), {}, {"kernel_grad": "patches"}),
        (((8, 56, 56, 64), (3, 3, 64, 64)), {}, {"input_grad": "direct"}),  # 55 MiB of fold
        (((1, 56, 56, 16), (3, 3, 16, 16)), {}, {"input_grad": "fold"}),
        (((8, 32, 32, 16), (3, 3, 16, 32)), {"dilation": 4}, {"input_grad": "fold"}),
        (((8, 16, 16, 32), (3, 3, 32, 64)), {"stride": 2, "padding": 1}, {"input_grad": "fold"}),
        (((64, 16, 16, 512), (3, 3, 512, 24)), {"stride": 2, "padding": 1}, {"input_grad": "phases"}),
        (((1, 224, 224, 3), (7, 7, 3, 64)), {"stride": 2, "padding": 3}, {"input_grad": "fold"}),
        (((8, 32, 32, 3), (4, 4, 3, 64)), {"stride": 2, "padding": 1}, {"input_grad": "fold"}),
        (((64, 64, 64, 3), (4, 4, 3, 64)), {"stride": 2, "padding": 1}, {"input_grad": "direct"}),
        (((1, 40, 8, 8, 8), (20, 3, 3, 8, 8)), {}, {"conv": "direct"}),  # twenty planes written out
        (((8, 224, 224, 3), (4, 4, 3, 96)), {"stride": 4}, {"conv": "patches"}),
        (((8, 14, 14, 384), (2, 2, 384, 768)), {"stride": 2}, {"conv": "patches", "input_grad": "patches"}),
        (((8, 56, 56, 96), (2, 2, 96, 192)), {"stride": 2}, {"conv": "direct", "input_grad": "patches"}),
        (((8, 64, 64, 64), (2, 2, 64, 64)), {"stride": 2}, {"conv": "direct", "input_grad": "fold"}),
        (((4, 14, 14, 256), (3, 3, 256, 256)), {}, {"input_grad": "winograd"}),
        (((1, 14, 14, 512), (3, 3, 512, 512)), {}, {"input_grad": "fold"}),  # few pixels for the kernel
        (((128, 14, 14, 6), (5, 5, 6, 16)), {"padding": 0}, {"conv": "direct", "input_grad": "rows"}),
        (((32, 12, 12, 8), (3, 3, 8, 16)), {}, {"input_grad": "fold"}),
        (((8, 56, 56, 64), (3, 3, 64, 64)), {"lowering": "patches"}, {"conv": "patches"}),
    ],
)
def test_explain_names_the_choice(shapes, options, chosen, monkeypatch):
    monkeypatch.setattr(_conditions, "NEWER", True)
    explanation = F.explain(F.conv, *shapes, platform="cpu", **options)
    assert {direction: explanation.chosen(direction) for direction in chosen} == chosen


@pytest.mark.parametrize(
    ("shapes", "options", "chosen"),
    [
        (((32, 56, 56, 64), (3, 3, 64, 64)), {}, dict.fromkeys(DIRECTIONS, "winograd")),
        (((8, 112, 112, 64), (3, 3, 64, 64)), {}, {"conv": "direct", "input_grad": "direct"}),  # two tiles of a row
        (((8, 28, 28, 64), (3, 3, 64, 128)), {}, {"conv": "winograd", "input_grad": "winograd"}),
        (((8, 56, 56, 64), (3, 3, 64, 128)), {}, {"conv": "direct", "input_grad": "winograd"}),  # two of the channels
        (((8, 28, 28, 128), (3, 3, 128, 128)), {}, {"conv": "direct", "input_grad": "direct"}),
        (((8, 56, 56, 32), (3, 3, 32, 32)), {}, {"conv": "direct", "input_grad": "direct"}),  # too few channels
        (((2, 8, 8, 64), (3, 3, 64, 64)), {}, {"conv": "direct"}),  # too little work
        (((64, 32, 32, 64), (3, 3, 64, 64)), {}, {"conv": "winograd", "kernel_grad": "images"}),
        (((8, 56, 56, 96), (2, 2, 96, 192)), {"stride": 2}, {"conv": "patches"}),
        (((8, 56, 56, 256), (1, 1, 256, 512)), {"stride": 2}, {"conv": "patches"}),
        (((8, 56, 56, 16), (2, 2, 16, 16)), {"stride": 2}, {"conv": "direct"}),
    ],
)
def test_one_core_is_avoided_before_jax_0_12(shapes, options, chosen, monkeypatch):
    monkeypatch.setattr(_conditions, "NEWER", False)
    monkeypatch.setattr(_conditions, "PAYS", _conditions.DEEP)
    explanation = F.explain(F.conv, *shapes, platform="cpu", **options)
    assert {direction: explanation.chosen(direction) for direction in chosen} == chosen


@pytest.mark.parametrize(("streams", "chosen"), [(True, "direct"), (False, "patches")])
def test_large_point_convolutions_to_fewer_channels_go_by_version(streams, chosen, monkeypatch):
    monkeypatch.setattr(_conditions, "STREAMS", streams)
    case = CASES["point"].replace(n=1, space=(1024, 256), c_in=64, c_out=16)
    wider = case.replace(c_in=16, c_out=64)
    assert choose(case) == choose(wider.replace(direction="input_grad")) == chosen
    assert (
        choose(wider)
        == choose(case.replace(direction="kernel_grad"))
        == choose(case.replace(n=1, space=(16, 256)))
        == "patches"
    )


@pytest.mark.parametrize(("pays", "chosen"), [((128, 1 << 28), "winograd"), (_conditions.DEEP, "direct")])
def test_small_maps_of_128_channels_go_by_version(pays, chosen, monkeypatch):
    monkeypatch.setattr(_conditions, "PAYS", pays)
    assert choose(CASES["dense"].replace(n=32, space=(16, 16), c_in=128, c_out=128)) == chosen


def test_explain_prints_every_lowering_with_a_reason():
    lines = str(F.explain(F.separable_conv, (2, 8, 8, 16), (3, 3, 16, 1), (16, 32), platform="cpu")).splitlines()
    assert lines.count("  kernel_grad") == 2
    words = [line.strip().removeprefix("not ").split(": ")[0] for line in lines]
    assert {name: words.count(name) for name in LOWERINGS} == dict.fromkeys(LOWERINGS, 6)


def test_gpu_runs_direct_but_for_known_holes():
    options = {"platform": "cuda", "groups": 16}
    assert F.explain(F.conv2d, (2, 8, 8, 16), (3, 3, 1, 16), **options).chosen() == "direct"
    assert F.explain(F.conv2d, (2, 8, 8, 16), (3, 3, 1, 16), dilation=2, **options).chosen() == "tap_sum"
    assert F.explain(F.conv2d, (2, 224, 224, 3), (16, 16, 3, 64), stride=16, platform="cuda").chosen() == "direct"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"lowering": "row_loop"},
            '^conv: lowering "row_loop" cannot run this: it computes kernel gradients alone; "direct"',
        ),
        ({"lowering": "blocks"}, '^conv: lowering "blocks" cannot run this: there are no groups to block; "direct"'),
        ({"lowering": "fast"}, '^conv: lowering=\'fast\' is unknown; use "auto", "direct"'),
        ({"padding": 2**31}, "^conv: an axis of 4294967302 pixels overflows 32 bits; "),
        ({"padding": 2**20}, "^conv: the padded input .* takes .* GiB; "),
    ],
)
def test_what_cannot_run_says_why(options, message):
    with pytest.raises(ValueError, match=message):
        F.conv(IMAGE, KERNEL, **options)


def test_forced_lowering_runs_and_gradients_take_what_they_can():
    forced = jax.grad(lambda k: F.conv(IMAGE, k, lowering="patches").sum())(KERNEL)
    free = jax.grad(lambda k: F.conv(IMAGE, k).sum())(KERNEL)
    assert jnp.allclose(forced, free, rtol=1e-5)


@pytest.mark.parametrize(
    ("shapes", "options"),
    [
        (((1, 4000, 1), (256, 1, 129)), {"stride": 64, "padding": "valid"}),  # a spectrogram
        (((8, 32, 32, 3), (32, 32, 3, 64)), {"padding": "valid"}),
        (((2, 7, 5, 6), (3, 3, 6, 4)), {"stride": 1000}),
        (((1, 900, 4), (400, 1, 4)), {"groups": 4, "stride": 300, "padding": "valid"}),
    ],
)
def test_long_windows_and_strides_make_short_programs(shapes, options):
    """What is written out tap by tap takes seconds to compile, and minutes from a thousand taps on."""
    x, kernel = map(jnp.ones, shapes)
    loss = lambda x, kernel: F.conv(x, kernel, **options).sum()
    text = jax.jit(jax.value_and_grad(loss, (0, 1))).lower(x, kernel).as_text()
    assert text.count("\n") < 300


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize(("lowering", "options"), [("auto", {"groups": 16, "dilation": 2}), ("fft", {"groups": 16})])
def test_sums_outside_a_unit_are_of_float32_on_every_platform(platform, dtype, lowering, options):
    x, kernel = jnp.ones((2, 16, 16, 16), dtype), jnp.ones((5, 5, 1, 16), dtype)
    call = jax.jit(lambda x, kernel: F.conv(x, kernel, **options, lowering=lowering))
    text = jax.export.export(call, platforms=[platform])(x, kernel).mlir_module()
    word = "bf16" if dtype == jnp.bfloat16 else "f16"
    assert not re.search(rf"stablehlo.add.*x{word}>", text)
    assert ("stablehlo.fft" in text) == (lowering == "fft")
    assert call(x, kernel).dtype == dtype


@pytest.mark.parametrize("function", [F.conv, F.conv_transpose])
@pytest.mark.parametrize("vmapped", [False, True])
def test_precision_of_the_call_holds_for_its_gradients(function, vmapped):
    def loss(x, kernel):
        with jax.default_matmul_precision("highest"):
            return (function(x, kernel) ** 2).sum()

    step = jax.grad(loss, (0, 1))
    step = jax.vmap(step, (0, None)) if vmapped else step
    x, kernel = jnp.ones((3,) * vmapped + (2, 9, 9, 8)), jnp.ones((3, 3, 8, 8))
    text = jax.export.export(jax.jit(step), platforms=["cuda"])(x, kernel).mlir_module()
    convolutions = re.findall(r"stablehlo.convolution.*", text)
    assert len(convolutions) == 3
    assert all("HIGHEST" in line for line in convolutions)
    plain = jax.export.export(jax.jit(jax.grad(lambda x, k: function(x, k).sum(), 1)), platforms=["cuda"])
    assert "HIGHEST" not in plain(jnp.ones((2, 9, 9, 8)), kernel).mlir_module()


def test_explain_refuses_what_there_is_not():
    with pytest.raises(ValueError, match="explain: platform='Cpu' is unknown; use cpu, gpu"):
        F.explain(F.conv2d, (2, 8, 8, 16), (3, 3, 16, 16), platform="Cpu")
    found = F.explain(F.conv2d, (2, 8, 8, 16), (3, 3, 16, 16))
    with pytest.raises(
        ValueError, match="no direction 'forward' of convolution 0; there are 1 convolutions, each with conv, "
    ):
        found.chosen("forward")
    with pytest.raises(ValueError, match="of convolution 0; there are 0 convolutions"):
        F.explain(lambda x: x + 1, (2, 8, 8, 16)).chosen()
