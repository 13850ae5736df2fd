"""Layers that no choice was made on and no threshold was set on: they say whether the rule of "auto" generalises.

Not one network here is in the other two tables. Whoever changes the rule after looking at these moves them to `seen` and
writes fresh ones.
"""

from itertools import chain

from ._case import Case, layer

VISION = (
    layer("wide_resnet28_10", "block1.conv", "dense", (32, 32), (3, 3, 160, 160), padding=1, batch=16),
    layer("cifar_resnet20", "layer1.conv", "dense", (32, 32), (3, 3, 16, 16), padding=1),
    layer("darknet53", "conv2", "dense", (128, 128), (3, 3, 32, 64), stride=2, padding=1, batch=8),
    layer("hrnet_w18", "stage2.branch0", "dense", (56, 56), (3, 3, 18, 18), padding=1),
    layer("nin", "mlpconv2", "dense", (27, 27), (5, 5, 96, 256), padding=2, batch=8),
    layer("erfnet", "encoder.3x1", "dense", (64, 128), (3, 1, 64, 64), padding=(1, 0), batch=8),
    layer("erfnet", "encoder.1x3_d4", "dense", (64, 128), (1, 3, 64, 64), padding=(0, 4), dilation=(1, 4), batch=8),
    layer("vggish", "conv1_1", "dense", (96, 64), (3, 3, 1, 64), padding=1, batch=8),
    layer("mlp_mixer_s8", "stem", "dense", (224, 224), (8, 8, 3, 512), stride=8, batch=16),
    layer("senet154", "fc1", "pointwise", (1, 1), (1, 1, 512, 32)),
    layer("yolov3", "detect", "pointwise", (13, 13), (1, 1, 1024, 255), batch=16),
    layer("fpn", "lateral2", "pointwise", (56, 56), (1, 1, 256, 256), batch=8),
)

CHANNELWISE = (
    layer("ghostnet", "cheap", "depthwise", (56, 56), (3, 3, 1, 36), padding=1, groups=36, batch=16),
    layer("replknet", "stage3.large", "depthwise", (14, 14), (27, 27, 1, 256), padding=13, groups=256, batch=4),
    layer("convmixer", "dw", "depthwise", (32, 32), (9, 9, 1, 256), padding=4, groups=256, batch=8),
    layer("fbnet_c", "xif5_0.dw", "depthwise", (28, 28), (5, 5, 1, 384), stride=2, padding=2, groups=384, batch=8),
    layer("quartznet", "b3.dw", "depthwise", (500,), (63, 1, 512), padding=31, groups=512, batch=4),
    layer("conv_tasnet", "dw.d32", "depthwise", (1000,), (3, 1, 512), padding=32, dilation=32, groups=512, batch=4),
    layer("se_resnext101", "layer2.conv2", "grouped", (28, 28), (3, 3, 8, 256), padding=1, groups=32, batch=8),
    layer("resnest50", "splat", "grouped", (28, 28), (3, 3, 64, 256), padding=1, groups=2, batch=8),
    layer("condensenet", "g4", "grouped", (16, 16), (3, 3, 32, 32), padding=1, groups=4),
)

TRANSPOSED = (
    layer("pix2pix", "up5", "transposed", (32, 32), (4, 4, 128, 512), stride=2, padding=1, batch=4),
    layer("vae", "decoder.3", "transposed", (14, 14), (3, 3, 32, 64), stride=2, padding=1, output_padding=1),
    layer("demucs", "decoder.2", "transposed", (400,), (8, 128, 256), stride=4, batch=4),
)

SEQUENCES_AND_VOLUMES = (
    layer("encodec", "encoder.res", "1d", (2000,), (3, 64, 32), padding="causal", batch=8),
    layer("jasper", "b1", "1d", (500,), (11, 256, 256), padding=5, batch=4),
    layer("bytenet", "d8", "1d", (512,), (5, 256, 256), padding="causal", dilation=8, batch=4),
    layer("vnet", "down2", "3d", (16, 32, 32), (5, 5, 5, 32, 32), padding=2, batch=1),
    layer("i3d", "mixed4.b1", "3d", (4, 14, 14), (3, 3, 3, 96, 208), padding=1, batch=4),
)

CASES: tuple[Case, ...] = tuple(chain.from_iterable((*VISION, *CHANNELWISE, *TRANSPOSED, *SEQUENCES_AND_VOLUMES)))
