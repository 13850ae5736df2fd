"""The layers that the choice of a lowering was made on: twelve networks, each layer under its name in the usual code.

Batch 1 and batch 32; a smaller one where 32 takes more than about a second with plain XLA on two cores.
Paddings are those of the PyTorch definitions, so that PyTorch can be timed on the same problem.
"""

from itertools import chain

from ._case import Case, layer

LENET = (  # LeCun et al. 1998
    layer("lenet5", "c1", "dense", (32, 32), (5, 5, 1, 6)),
    layer("lenet5", "c3", "dense", (14, 14), (5, 5, 6, 16)),
)

VGG = (  # Simonyan & Zisserman 2014
    layer("vgg16", "conv1_1", "dense", (224, 224), (3, 3, 3, 64), padding=1, batch=8),
    layer("vgg16", "conv1_2", "dense", (224, 224), (3, 3, 64, 64), padding=1, batch=4),
    layer("vgg16", "conv3_1", "dense", (56, 56), (3, 3, 128, 256), padding=1, batch=8),
    layer("vgg16", "conv5_1", "dense", (14, 14), (3, 3, 512, 512), padding=1, batch=16),
)

RESNET = (  # He et al. 2015
    layer("resnet50", "conv1", "dense", (224, 224), (7, 7, 3, 64), stride=2, padding=3),
    layer("resnet50", "layer1.0.conv1", "pointwise", (56, 56), (1, 1, 64, 64)),
    layer("resnet50", "layer1.0.conv3", "pointwise", (56, 56), (1, 1, 64, 256)),
    layer("resnet50", "layer1.1.conv2", "dense", (56, 56), (3, 3, 64, 64), padding=1),
    layer("resnet50", "layer2.0.conv2", "dense", (56, 56), (3, 3, 128, 128), stride=2, padding=1),
    layer("resnet50", "layer2.0.downsample", "pointwise", (56, 56), (1, 1, 256, 512), stride=2),
    layer("resnet50", "layer4.1.conv2", "dense", (7, 7), (3, 3, 512, 512), padding=1),
)

RESNEXT = (  # Xie et al. 2016, 32×4d
    layer("resnext50", "layer1.0.conv2", "grouped", (56, 56), (3, 3, 4, 128), padding=1, groups=32, batch=4),
    layer("resnext50", "layer2.0.conv2", "grouped", (56, 56), (3, 3, 8, 256), stride=2, padding=1, groups=32, batch=4),
    layer("resnext50", "layer4.1.conv2", "grouped", (7, 7), (3, 3, 32, 1024), padding=1, groups=32, batch=8),
)

MOBILENET = (  # Sandler et al. 2018
    layer("mobilenetv2", "features.1.dw", "depthwise", (112, 112), (3, 3, 1, 32), padding=1, groups=32),
    layer("mobilenetv2", "features.2.expand", "pointwise", (112, 112), (1, 1, 16, 96)),
    layer(
        "mobilenetv2", "features.2.dw", "depthwise", (112, 112), (3, 3, 1, 96), stride=2, padding=1, groups=96, batch=8
    ),
    layer("mobilenetv2", "features.5.dw", "depthwise", (28, 28), (3, 3, 1, 192), padding=1, groups=192),
    layer("mobilenetv2", "features.14.dw", "depthwise", (14, 14), (3, 3, 1, 576), stride=2, padding=1, groups=576),
    layer("mobilenetv2", "features.17.project", "pointwise", (7, 7), (1, 1, 960, 320)),
)

EFFICIENTNET = (  # Tan & Le 2019
    layer("efficientnetb0", "stem", "dense", (224, 224), (3, 3, 3, 32), stride=2, padding=1),
    layer(
        "efficientnetb0",
        "blocks.2.0.dw",
        "depthwise",
        (56, 56),
        (5, 5, 1, 144),
        stride=2,
        padding=2,
        groups=144,
        batch=8,
    ),
    layer("efficientnetb0", "blocks.4.1.dw", "depthwise", (14, 14), (5, 5, 1, 672), padding=2, groups=672, batch=16),
)

CONVNEXT = (  # Liu et al. 2022
    layer("convnext_t", "stem", "dense", (224, 224), (4, 4, 3, 96), stride=4),
    layer("convnext_t", "stages.0.dw", "depthwise", (56, 56), (7, 7, 1, 96), padding=3, groups=96, batch=4),
    layer("convnext_t", "stages.2.dw", "depthwise", (14, 14), (7, 7, 1, 384), padding=3, groups=384, batch=8),
    layer("convnext_t", "downsample.1", "dense", (56, 56), (2, 2, 96, 192), stride=2),
)

UNET = (  # Ronneberger et al. 2015, unpadded; XLA's kernel gradient of up1 takes many seconds for one image
    layer("unet", "down1.conv1", "dense", (572, 572), (3, 3, 1, 64), batch=1),
    layer("unet", "up1", "transposed", (28, 28), (2, 2, 512, 1024), stride=2, batch=1),
    layer("unet", "up4", "transposed", (196, 196), (2, 2, 64, 128), stride=2, batch=1),
    layer("unet", "out", "pointwise", (388, 388), (1, 1, 64, 2), batch=4),
)

DCGAN = (  # Radford et al. 2015, PyTorch's 4×4 kernels
    layer("dcgan", "g.1", "transposed", (1, 1), (4, 4, 1024, 100)),
    layer("dcgan", "g.2", "transposed", (4, 4), (4, 4, 512, 1024), stride=2, padding=1),
    layer("dcgan", "g.4", "transposed", (16, 16), (4, 4, 128, 256), stride=2, padding=1, batch=16),
    layer("dcgan", "g.5", "transposed", (32, 32), (4, 4, 3, 128), stride=2, padding=1),
)

TEXT_CNN = (  # Kim 2014: 300-dimensional words
    layer("textcnn", "conv3", "1d", (56,), (3, 300, 100)),
    layer("textcnn", "conv5", "1d", (56,), (5, 300, 100)),
)

WAVENET = (  # van den Oord et al. 2016: a second of speech at 16 kHz
    layer("wavenet", "dilated.1", "1d", (16000,), (2, 32, 64), padding="causal", batch=8),
    layer("wavenet", "dilated.16", "1d", (16000,), (2, 32, 64), padding="causal", dilation=16, batch=8),
    layer("wavenet", "dilated.512", "1d", (16000,), (2, 32, 64), padding="causal", dilation=512, batch=1),
)

C3D = (  # Tran et al. 2014: 16 frames
    layer("c3d", "conv1a", "3d", (16, 112, 112), (3, 3, 3, 3, 64), padding=1, batch=1),
    layer("c3d", "conv3a", "3d", (8, 28, 28), (3, 3, 3, 128, 256), padding=1, batch=1),
    layer("c3d", "conv5a", "3d", (2, 7, 7), (3, 3, 3, 512, 512), padding=1, batch=8),
)

CASES: tuple[Case, ...] = tuple(
    chain.from_iterable(
        (
            *LENET,
            *VGG,
            *RESNET,
            *RESNEXT,
            *MOBILENET,
            *EFFICIENTNET,
            *CONVNEXT,
            *UNET,
            *DCGAN,
            *TEXT_CNN,
            *WAVENET,
            *C3D,
        )
    )
)
