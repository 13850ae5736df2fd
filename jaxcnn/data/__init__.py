"""Sources of images and their way to the device."""

from ._decode import UnreadableImage as UnreadableImage
from ._decode import decode as decode
from ._folder import ENDINGS as PICTURE_ENDINGS  # noqa: F401
from ._folder import class_folders as class_folders
from ._folder import labelled_files as labelled_files
from ._folder import split_folders as split_folders
from ._folder import split_named as split_named
from ._images import ImageSet as ImageSet
from ._images import Split as Split
from ._images import class_weights as class_weights
from ._images import stratified as stratified
from ._prepare import Preparation as Preparation
from ._prepare import Prepare as Prepare
from ._prepare import card_for as card_for
from ._prepare import preparer as preparer
from ._sources import classes_of as classes_of
from ._sources import is_path as is_path
from ._sources import load as load
from ._sources import records as records
from ._stream import RandomAccess as RandomAccess
from ._stream import Stream as Stream
from ._stream import StreamedSet as StreamedSet
