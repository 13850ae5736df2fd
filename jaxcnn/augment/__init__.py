"""Augmentation on the device: pure functions of images, random ones with the key first."""

from ._affine import affine as affine
from ._affine import random_affine as random_affine
