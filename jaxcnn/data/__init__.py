"""Sources of images and their way to the device."""

from ._images import ImageSet as ImageSet
from ._images import Split as Split
from ._images import stratified as stratified
from ._prepare import Prepare as Prepare
from ._prepare import preparer as preparer
from ._sources import load as load
