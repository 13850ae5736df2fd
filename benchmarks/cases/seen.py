"""More layers of real networks, measured while the rule of "auto" was made: some of its thresholds were set on them.

Shapes that the main table lacks on purpose: oblong kernels, odd channel counts, channel multipliers, groups of 16, large
dilations, a stride that leaves a remainder, 16×16 patches, kernels of 31 and 128 taps.
"""

from itertools import chain

from ._case import Case, layer

VISION = (
    layer("alexnet", "features.0", "dense", (224, 224), (11, 11, 3, 64), stride=4, padding=2),
    layer("googlenet", "inception3a.5x5", "dense", (28, 28), (5, 5, 16, 32), padding=2),
    layer("inception_v3", "Conv2d_1a", "dense", (299, 299), (3, 3, 3, 32), stride=2, batch=8),
    layer("inception_v3", "Mixed_6b.1x7", "dense", (17, 17), (1, 7, 128, 128), padding=(0, 3)),
    layer("inception_v3", "Mixed_6b.7x1", "dense", (17, 17), (7, 1, 128, 192), padding=(3, 0)),
    layer("densenet121", "denselayer2.conv1", "pointwise", (28, 28), (1, 1, 160, 128)),
    layer("densenet121", "denselayer2.conv2", "dense", (28, 28), (3, 3, 128, 32), padding=1),
    layer("squeezenet", "fire2.squeeze", "pointwise", (55, 55), (1, 1, 96, 16)),
    layer("squeezenet", "fire2.expand3x3", "dense", (55, 55), (3, 3, 16, 64), padding=1),
    layer("resnet18", "layer3.0.downsample", "pointwise", (28, 28), (1, 1, 128, 256), stride=2),
    layer("deeplabv3_resnet50", "layer4.1.conv2", "dense", (33, 33), (3, 3, 512, 512), padding=2, dilation=2, batch=1),
    layer("deeplabv3_resnet18", "aspp.12", "dense", (33, 33), (3, 3, 512, 256), padding=12, dilation=12, batch=4),
    layer("efficientnetv2_s", "stages.1.fused", "dense", (75, 75), (3, 3, 48, 192), padding=1, batch=8),
    layer("vit_b16", "patchify", "dense", (224, 224), (16, 16, 3, 768), stride=16),
    layer("srcnn", "conv1", "dense", (33, 33), (9, 9, 1, 64), padding=4),
    layer("edsr", "body.0", "dense", (48, 48), (3, 3, 64, 64), padding=1, batch=16),
    layer("deepspeech2", "conv1", "dense", (161, 300), (41, 11, 1, 32), stride=2, padding=(20, 5), batch=4),
    layer("espcn", "conv3", "dense", (64, 64), (3, 3, 32, 9), padding=1),
)

CHANNELWISE = (
    layer("shufflenetv2", "stage2.1.dw", "depthwise", (28, 28), (3, 3, 1, 58), padding=1, groups=58),
    layer("shufflenetv2", "stage3.0.dw", "depthwise", (28, 28), (3, 3, 1, 116), stride=2, padding=1, groups=116),
    layer("mnasnet", "layers.9.dw", "depthwise", (28, 28), (5, 5, 1, 120), padding=2, groups=120, batch=16),
    layer("mobilenetv3", "features.13.dw", "depthwise", (14, 14), (5, 5, 1, 672), stride=2, padding=2, groups=672),
    layer("mixnet", "dw7_s2", "depthwise", (28, 28), (7, 7, 1, 120), stride=2, padding=3, groups=120, batch=16),
    layer("xception", "block5.sep1", "depthwise", (19, 19), (3, 3, 1, 728), padding=1, groups=728, batch=8),
    layer("eegnet", "depthwise", "depthwise", (64, 128), (64, 1, 1, 16), groups=8),
    layer("conformer", "depthwise", "depthwise", (400,), (31, 1, 256), padding=15, groups=256, batch=8),
    layer("mamba", "conv1d", "depthwise", (1024,), (4, 1, 1536), padding="causal", groups=1536, batch=4),
    layer("x3d", "dw", "depthwise", (13, 28, 28), (3, 3, 3, 1, 108), padding=1, groups=108, batch=4),
    layer("regnetx_400mf", "stage1.conv2", "grouped", (56, 56), (3, 3, 16, 32), padding=1, groups=2, batch=8),
    layer("regnetx_400mf", "stage3.conv2", "grouped", (14, 14), (3, 3, 16, 160), padding=1, groups=10, batch=8),
    layer("alexnet2gpu", "conv2", "grouped", (27, 27), (5, 5, 48, 256), padding=2, groups=2, batch=8),
    layer("shufflenet", "stage2.gconv1", "grouped", (28, 28), (1, 1, 80, 60), groups=3, batch=8),
)

TRANSPOSED = (
    layer("fcn32s", "upscore2", "transposed", (16, 16), (4, 4, 21, 21), stride=2, batch=8),
    layer("fsrcnn", "deconv", "transposed", (32, 32), (9, 9, 1, 56), stride=3, padding=4, output_padding=2),
    layer("cyclegan", "up1", "transposed", (64, 64), (3, 3, 128, 256), stride=2, padding=1, output_padding=1, batch=4),
    layer("hifigan", "ups.1", "transposed", (256,), (16, 128, 256), stride=8, padding=4, batch=8),
    layer("unet3d", "up1", "transposed", (8, 8, 8), (2, 2, 2, 256, 512), stride=2, batch=4),
)

SPEECH = (
    layer("wav2vec2", "conv_layers.0", "1d", (16000,), (10, 1, 512), stride=5, batch=8),
    layer("wav2vec2", "conv_layers.1", "1d", (3199,), (3, 512, 512), stride=2, batch=4),
    layer("wav2vec2", "pos_conv", "grouped", (49,), (128, 48, 768), padding=64, groups=16, batch=1),
    layer("whisper_tiny", "conv1", "1d", (3000,), (3, 80, 384), padding=1, batch=8),
    layer("tcn", "dilated.8", "1d", (784,), (7, 25, 25), padding="causal", dilation=8),
)

VIDEO = (
    layer("r2plus1d_18", "layer1.spatial", "3d", (16, 56, 56), (1, 3, 3, 64, 144), padding=(0, 1, 1), batch=1),
    layer("r2plus1d_18", "layer1.temporal", "3d", (16, 56, 56), (3, 1, 1, 144, 64), padding=(1, 0, 0), batch=1),
    layer("r3d_18", "stem", "3d", (16, 112, 112), (3, 7, 7, 3, 64), stride=(1, 2, 2), padding=(1, 3, 3), batch=1),
)

CASES: tuple[Case, ...] = tuple(chain.from_iterable((*VISION, *CHANNELWISE, *TRANSPOSED, *SPEECH, *VIDEO)))
