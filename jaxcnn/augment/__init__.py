"""Augmentation on the device: pure functions of images, random ones with the key first.

Images `(n, h, w, c)`, floating point in [0, 1]; each image of a batch gets its own random amounts, and an amount may be one
number or one an image `(n,)`. Everything runs under `jit`, `vmap` and `grad` and keeps the dtype; what changes colours clips
them to [0, 1].
"""

from jaxcnn.functional import rotate as rotate

from ._affine import affine as affine
from ._affine import random_affine as random_affine
from ._affine import random_rotate as random_rotate
from ._colour import brightness as brightness
from ._colour import colour_jitter as colour_jitter
from ._colour import contrast as contrast
from ._colour import greyscale as greyscale
from ._colour import hue as hue
from ._colour import random_brightness as random_brightness
from ._colour import random_colour_jitter as random_colour_jitter
from ._colour import random_contrast as random_contrast
from ._colour import random_greyscale as random_greyscale
from ._colour import random_hue as random_hue
from ._colour import random_saturation as random_saturation
from ._colour import saturation as saturation
from ._compose import Augment as Augment
from ._compose import compose as compose
from ._compose import sometimes as sometimes
from ._crop import center_crop as center_crop
from ._crop import crop as crop
from ._crop import random_crop as random_crop
from ._erase import cutout as cutout
from ._erase import erase as erase
from ._erase import random_cutout as random_cutout
from ._erase import random_erase as random_erase
from ._flip import alternating_flip_left_right as alternating_flip_left_right
from ._flip import flip_left_right as flip_left_right
from ._flip import flip_up_down as flip_up_down
from ._flip import random_flip_left_right as random_flip_left_right
from ._flip import random_flip_up_down as random_flip_up_down
from ._mix import cutmix as cutmix
from ._mix import mixup as mixup
from ._mix import random_cutmix as random_cutmix
from ._mix import random_mixup as random_mixup
from ._pca import ColourComponents as ColourComponents
from ._pca import colour_components as colour_components
from ._pca import fancy_pca as fancy_pca
from ._pca import random_fancy_pca as random_fancy_pca
from ._policy import OPERATIONS as OPERATIONS
from ._policy import apply_operation as apply_operation
from ._policy import rand_augment as rand_augment
from ._policy import trivial_augment as trivial_augment
from ._resized_crop import random_resized_crop as random_resized_crop
from ._resized_crop import resized_crop as resized_crop
from ._sharpness import blur as blur
from ._sharpness import edge_enhance as edge_enhance
from ._sharpness import random_blur as random_blur
from ._sharpness import random_edge_enhance as random_edge_enhance
from ._sharpness import random_sharpness as random_sharpness
from ._sharpness import sharpness as sharpness
from ._tone import autocontrast as autocontrast
from ._tone import equalize as equalize
from ._tone import invert as invert
from ._tone import posterize as posterize
from ._tone import solarize as solarize
