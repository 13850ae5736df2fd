"""What is known of every name of the registry: parameters, millions of multiply-adds, receptive field, names of its taps.

Parameters and multiply-adds of an image of the model's size are torchvision's publications of its weights to the last digit that
these have (EfficientNet-B2's are of 288×288 pixels, GoogLeNet's parameters are with the auxiliary heads that it drops); MobileNet
v1 has 4.2 million and 569 million in the paper's table 4, a quarter of its width at 128×128 pixels 0.47 and 14 million in the
authors' list, CIFAR ResNets 0.27 to 1.7 million in the paper's table 6, U-Net is counted by hand. The MobileNets of TensorFlow
Lite have as many numbers as their files.

The field is that of the last map before one that sees the whole image, as a global average does, and squeeze-excitation. 195,
212, 315 and 1311 pixels of AlexNet, VGG-16, MobileNet v1 and Inception v3 are those of Araujo, Norris & Sim, Computing receptive
fields of convolutional neural networks (2019); its ResNet-50, 101 and 152 see 483, 1027 and 1507, 56 more, as their strides come
a convolution earlier. U-Net's 188 and 204 are derived in `tests/geometry/test_receptive.py`.

`layer1.0-2` means layer1.0, layer1.1 and layer1.2.
"""

import re

TABLE = """\
lenet5; 61,706; 0.417; pool2: 16×16 every 4
    conv1 pool1 conv2 pool2 dense1-2 logits
lenet5_1998; 60,000; 0.416; c5: 32×32 every 4
    c1 s2 c3 s4 c5 f6 output
dense; 266,610; 0.266
    dense1-2 logits
plain; 288,170; 29; conv3_2: 32×32 every 4
    conv1_1-2 pool1 conv2_1-2 pool2 conv3_1-2 average logits
airbench; 1,971,352; 118; largest: 67×67 every 24
    whitened group1-3 largest logits
cifar_resnet20; 269,722; 41; layer3.2: 81×81 every 4
    conv1 layer1.0-2 layer2.0-2 layer3.0-2 average logits
cifar_resnet32; 464,154; 69; layer3.4: 137×137 every 4
    conv1 layer1.0-4 layer2.0-4 layer3.0-4 average logits
cifar_resnet44; 658,586; 97; layer3.6: 193×193 every 4
    conv1 layer1.0-6 layer2.0-6 layer3.0-6 average logits
cifar_resnet56; 853,018; 125; layer3.8: 249×249 every 4
    conv1 layer1.0-8 layer2.0-8 layer3.0-8 average logits
cifar_resnet110; 1,727,962; 253; layer3.17: 501×501 every 4
    conv1 layer1.0-17 layer2.0-17 layer3.0-17 average logits
alexnet; 61,100,840; 714; pool5: 195×195 every 32
    conv1 pool1 conv2 pool2 conv3-5 pool5 fc6-7 logits
vgg11; 132,863,336; 7609; pool5: 150×150 every 32
    conv1_1 pool1 conv2_1 pool2 conv3_1-2 pool3 conv4_1-2 pool4 conv5_1-2 pool5 fc6-7 logits
vgg13; 133,047,848; 11308; pool5: 156×156 every 32
    conv1_1-2 pool1 conv2_1-2 pool2 conv3_1-2 pool3 conv4_1-2 pool4 conv5_1-2 pool5 fc6-7 logits
vgg16; 138,357,544; 15470; pool5: 212×212 every 32
    conv1_1-2 pool1 conv2_1-2 pool2 conv3_1-3 pool3 conv4_1-3 pool4 conv5_1-3 pool5 fc6-7 logits
vgg19; 143,667,240; 19632; pool5: 268×268 every 32
    conv1_1-2 pool1 conv2_1-2 pool2 conv3_1-4 pool3 conv4_1-4 pool4 conv5_1-4 pool5 fc6-7 logits
vgg11_bn; 132,868,840; 7609; pool5: 150×150 every 32
    conv1_1 pool1 conv2_1 pool2 conv3_1-2 pool3 conv4_1-2 pool4 conv5_1-2 pool5 fc6-7 logits
vgg13_bn; 133,053,736; 11308; pool5: 156×156 every 32
    conv1_1-2 pool1 conv2_1-2 pool2 conv3_1-2 pool3 conv4_1-2 pool4 conv5_1-2 pool5 fc6-7 logits
vgg16_bn; 138,365,992; 15470; pool5: 212×212 every 32
    conv1_1-2 pool1 conv2_1-2 pool2 conv3_1-3 pool3 conv4_1-3 pool4 conv5_1-3 pool5 fc6-7 logits
vgg19_bn; 143,678,248; 19632; pool5: 268×268 every 32
    conv1_1-2 pool1 conv2_1-2 pool2 conv3_1-4 pool3 conv4_1-4 pool4 conv5_1-4 pool5 fc6-7 logits
resnet18; 11,689,512; 1814; layer4.1: 435×435 every 32
    conv1 pool1 layer1.0-1 layer2.0-1 layer3.0-1 layer4.0-1 average logits
resnet34; 21,797,672; 3664; layer4.2: 899×899 every 32
    conv1 pool1 layer1.0-2 layer2.0-3 layer3.0-5 layer4.0-2 average logits
resnet50; 25,557,032; 4089; layer4.2: 427×427 every 32
    conv1 pool1 layer1.0-2 layer2.0-3 layer3.0-5 layer4.0-2 average logits
resnet101; 44,549,160; 7801; layer4.2: 971×971 every 32
    conv1 pool1 layer1.0-2 layer2.0-3 layer3.0-22 layer4.0-2 average logits
resnet152; 60,192,808; 11514; layer4.2: 1451×1451 every 32
    conv1 pool1 layer1.0-2 layer2.0-7 layer3.0-35 layer4.0-2 average logits
resnext50_32x4d; 25,028,904; 4230; layer4.2: 427×427 every 32
    conv1 pool1 layer1.0-2 layer2.0-3 layer3.0-5 layer4.0-2 average logits
resnext101_32x8d; 88,791,336; 16414; layer4.2: 971×971 every 32
    conv1 pool1 layer1.0-2 layer2.0-3 layer3.0-22 layer4.0-2 average logits
resnext101_64x4d; 83,455,272; 15460; layer4.2: 971×971 every 32
    conv1 pool1 layer1.0-2 layer2.0-3 layer3.0-22 layer4.0-2 average logits
wide_resnet50_2; 68,883,240; 11398; layer4.2: 427×427 every 32
    conv1 pool1 layer1.0-2 layer2.0-3 layer3.0-5 layer4.0-2 average logits
wide_resnet101_2; 126,886,696; 22753; layer4.2: 971×971 every 32
    conv1 pool1 layer1.0-2 layer2.0-3 layer3.0-22 layer4.0-2 average logits
densenet121; 7,978,856; 2834; norm5: 2071×2071 every 32
    conv0 pool0 denseblock1.denselayer1-6 transition1 denseblock2.denselayer1-12 transition2 denseblock3.denselayer1-24
    transition3 denseblock4.denselayer1-16 norm5 average logits
densenet161; 28,681,000; 7728; norm5: 2967×2967 every 32
    conv0 pool0 denseblock1.denselayer1-6 transition1 denseblock2.denselayer1-12 transition2 denseblock3.denselayer1-36
    transition3 denseblock4.denselayer1-24 norm5 average logits
densenet169; 14,149,480; 3360; norm5: 3351×3351 every 32
    conv0 pool0 denseblock1.denselayer1-6 transition1 denseblock2.denselayer1-12 transition2 denseblock3.denselayer1-32
    transition3 denseblock4.denselayer1-32 norm5 average logits
densenet201; 20,013,928; 4291; norm5: 3863×3863 every 32
    conv0 pool0 denseblock1.denselayer1-6 transition1 denseblock2.denselayer1-12 transition2 denseblock3.denselayer1-48
    transition3 denseblock4.denselayer1-32 norm5 average logits
squeezenet1_0; 1,248,424; 819; conv10: 155×155 every 16
    conv1 pool1 fire2-4 pool4 fire5-8 pool8 fire9 conv10 logits
squeezenet1_1; 1,235,496; 349; conv10: 207×207 every 16
    conv1 pool1 fire2-3 pool3 fire4-5 pool5 fire6-9 conv10 logits
mobilenet_v1; 4,231,976; 569; features.13: 315×315 every 32
    features.0-13 average logits
tflite_mobilenet_v1_025; 467,593; 14; features.13: 315×315 every 32
    features.0-13 average logits
mobilenet_v2; 3,504,872; 301; features.18: 491×491 every 32
    features.0-18 average logits
tflite_mobilenet_v2; 3,489,097; 301; features.18: 491×491 every 32
    features.0-18 average logits
mobilenet_v3_large; 5,483,032; 217; features.3: 19×19 every 4
    features.0-16 average hidden logits
mobilenet_v3_small; 2,542,856; 57; features.0: 3×3 every 2
    features.0-12 average hidden logits
efficientnet_b0; 5,288,548; 386; features.0: 3×3 every 2
    features.0 features.1.0 features.2.0-1 features.3.0-1 features.4.0-2 features.5.0-2 features.6.0-3 features.7.0
    features.8 average logits
efficientnet_b1; 7,794,184; 687; features.0: 3×3 every 2
    features.0 features.1.0-1 features.2.0-2 features.3.0-2 features.4.0-3 features.5.0-3 features.6.0-4 features.7.0-1
    features.8 average logits
efficientnet_b2; 9,109,994; 1088; features.0: 3×3 every 2
    features.0 features.1.0-1 features.2.0-2 features.3.0-2 features.4.0-3 features.5.0-3 features.6.0-4 features.7.0-1
    features.8 average logits
efficientnet_b3; 12,233,232; 1827; features.0: 3×3 every 2
    features.0 features.1.0-1 features.2.0-2 features.3.0-2 features.4.0-4 features.5.0-4 features.6.0-5 features.7.0-1
    features.8 average logits
efficientnet_b4; 19,341,616; 4394; features.0: 3×3 every 2
    features.0 features.1.0-1 features.2.0-3 features.3.0-3 features.4.0-5 features.5.0-5 features.6.0-7 features.7.0-1
    features.8 average logits
efficientnet_b5; 30,389,784; 10266; features.0: 3×3 every 2
    features.0 features.1.0-2 features.2.0-4 features.3.0-4 features.4.0-6 features.5.0-6 features.6.0-8 features.7.0-2
    features.8 average logits
efficientnet_b6; 43,040,704; 19068; features.0: 3×3 every 2
    features.0 features.1.0-2 features.2.0-5 features.3.0-5 features.4.0-7 features.5.0-7 features.6.0-10 features.7.0-2
    features.8 average logits
efficientnet_b7; 66,347,960; 37746; features.0: 3×3 every 2
    features.0 features.1.0-3 features.2.0-6 features.3.0-6 features.4.0-9 features.5.0-9 features.6.0-12 features.7.0-3
    features.8 average logits
efficientnet_v2_s; 21,458,488; 8366; features.3.3: 95×95 every 8
    features.0 features.1.0-1 features.2.0-3 features.3.0-3 features.4.0-5 features.5.0-8 features.6.0-14 features.7
    average logits
efficientnet_v2_m; 54,139,356; 24582; features.3.4: 123×123 every 8
    features.0 features.1.0-2 features.2.0-4 features.3.0-4 features.4.0-6 features.5.0-13 features.6.0-17
    features.7.0-4 features.8 average logits
efficientnet_v2_l; 118,515,272; 56080; features.3.6: 175×175 every 8
    features.0 features.1.0-3 features.2.0-6 features.3.0-6 features.4.0-9 features.5.0-18 features.6.0-24
    features.7.0-6 features.8 average logits
convnext_tiny; 28,589,128; 4456; features.7.2: 1688×1688 every 32
    features.0 features.1.0-2 features.2 features.3.0-2 features.4 features.5.0-8 features.6 features.7.0-2 average
    logits
convnext_small; 50,223,688; 8684; features.7.2: 3416×3416 every 32
    features.0 features.1.0-2 features.2 features.3.0-2 features.4 features.5.0-26 features.6 features.7.0-2 average
    logits
convnext_base; 88,591,464; 15355; features.7.2: 3416×3416 every 32
    features.0 features.1.0-2 features.2 features.3.0-2 features.4 features.5.0-26 features.6 features.7.0-2 average
    logits
convnext_large; 197,767,336; 34361; features.7.2: 3416×3416 every 32
    features.0 features.1.0-2 features.2 features.3.0-2 features.4 features.5.0-26 features.6 features.7.0-2 average
    logits
googlenet; 13,004,888; 1498; inception5b: 379×379 every 32
    conv1 pool1 conv2-3 pool2 inception3a inception3b pool3 inception4a inception4b inception4c inception4d inception4e
    pool4 inception5a inception5b average logits
inception_v3; 27,161,264; 5713; Mixed_7c: 1311×1311 every 32
    Conv2d_1a_3x3 Conv2d_2a_3x3 Conv2d_2b_3x3 pool1 Conv2d_3b_1x1 Conv2d_4a_3x3 pool2 Mixed_5b Mixed_5c Mixed_5d
    Mixed_6a Mixed_6b Mixed_6c Mixed_6d Mixed_6e Mixed_7a Mixed_7b Mixed_7c average logits
shufflenet_v2_x0_5; 1,366,792; 40; conv5: 527×527 every 32
    conv1 pool1 stage2.0-3 stage3.0-7 stage4.0-3 conv5 average logits
shufflenet_v2_x1_0; 2,278,604; 145; conv5: 527×527 every 32
    conv1 pool1 stage2.0-3 stage3.0-7 stage4.0-3 conv5 average logits
shufflenet_v2_x1_5; 3,503,624; 296; conv5: 527×527 every 32
    conv1 pool1 stage2.0-3 stage3.0-7 stage4.0-3 conv5 average logits
shufflenet_v2_x2_0; 7,393,996; 583; conv5: 527×527 every 32
    conv1 pool1 stage2.0-3 stage3.0-7 stage4.0-3 conv5 average logits
mnasnet0_5; 2,218,512; 104; head: 843×843 every 32
    stem layers.8.0-2 layers.9.0-2 layers.10.0-2 layers.11.0-1 layers.12.0-3 layers.13.0 head average logits
mnasnet0_75; 3,170,208; 215; head: 843×843 every 32
    stem layers.8.0-2 layers.9.0-2 layers.10.0-2 layers.11.0-1 layers.12.0-3 layers.13.0 head average logits
mnasnet1_0; 4,383,312; 314; head: 843×843 every 32
    stem layers.8.0-2 layers.9.0-2 layers.10.0-2 layers.11.0-1 layers.12.0-3 layers.13.0 head average logits
mnasnet1_3; 6,282,256; 526; head: 843×843 every 32
    stem layers.8.0-2 layers.9.0-2 layers.10.0-2 layers.11.0-1 layers.12.0-3 layers.13.0 head average logits
regnet_x_400mf; 5,495,976; 414; block4.11: 975×975 every 32
    stem block1.0 block2.0-1 block3.0-6 block4.0-11 average logits
regnet_x_800mf; 7,259,656; 800; block4.4: 543×543 every 32
    stem block1.0 block2.0-2 block3.0-6 block4.0-4 average logits
regnet_x_1_6gf; 9,190,136; 1603; block4.1: 471×471 every 32
    stem block1.0-1 block2.0-3 block3.0-9 block4.0-1 average logits
regnet_x_3_2gf; 15,296,552; 3177; block4.1: 663×663 every 32
    stem block1.0-1 block2.0-5 block3.0-14 block4.0-1 average logits
regnet_x_8gf; 39,572,648; 7995; block4.0: 583×583 every 32
    stem block1.0-1 block2.0-4 block3.0-14 block4.0 average logits
regnet_x_16gf; 54,278,536; 15941; block4.0: 535×535 every 32
    stem block1.0-1 block2.0-5 block3.0-12 block4.0 average logits
regnet_x_32gf; 107,811,560; 31736; block4.0: 551×551 every 32
    stem block1.0-1 block2.0-6 block3.0-12 block4.0 average logits
regnet_y_400mf; 4,344,144; 402; stem: 3×3 every 2
    stem block1.0 block2.0-2 block3.0-5 block4.0-5 average logits
regnet_y_800mf; 6,432,512; 834; stem: 3×3 every 2
    stem block1.0 block2.0-2 block3.0-7 block4.0-1 average logits
regnet_y_1_6gf; 11,202,430; 1612; stem: 3×3 every 2
    stem block1.0-1 block2.0-5 block3.0-16 block4.0-1 average logits
regnet_y_3_2gf; 19,436,338; 3176; stem: 3×3 every 2
    stem block1.0-1 block2.0-4 block3.0-12 block4.0 average logits
regnet_y_8gf; 39,381,472; 8473; stem: 3×3 every 2
    stem block1.0-1 block2.0-3 block3.0-9 block4.0 average logits
regnet_y_16gf; 83,590,140; 15912; stem: 3×3 every 2
    stem block1.0-1 block2.0-3 block3.0-10 block4.0 average logits
regnet_y_32gf; 145,046,770; 32280; stem: 3×3 every 2
    stem block1.0-1 block2.0-4 block3.0-11 block4.0 average logits
regnet_y_128gf; 644,812,894; 127518; stem: 3×3 every 2
    stem block1.0-1 block2.0-6 block3.0-16 block4.0 average logits
unet; 31,030,658; 150428; logits: 188–204×188–204
    down1-5 up1-4 logits
"""


def rows() -> dict[str, tuple[int, float, str, list[str]]]:
    """By name: parameters, millions of multiply-adds, "layer: field" or "", taps in the order of computation."""
    found = {}
    for entry in re.split(r"\n(?=\w)", TABLE.strip()):
        head, *taps = entry.split("\n")
        name, parameters, millions, *field = head.split("; ")
        names = [name for word in " ".join(taps).split() for name in _spread(word)]
        found[name] = int(parameters.replace(",", "")), float(millions), "".join(field), names
    return found


def _spread(word: str) -> list[str]:
    run = re.fullmatch(r"(.*?)(\d+)-(\d+)", word)
    return [f"{run[1]}{number}" for number in range(int(run[2]), int(run[3]) + 1)] if run else [word]
