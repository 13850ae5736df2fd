"""Importing and saving parameters; cards of known weights and their preprocessing; what transfer learning changes in a model."""

from ._cards import CARDS as CARDS
from ._cards import Card as Card
from ._cards import card as card
from ._cards import card_with_sha256 as card_with_sha256
from ._cards import cards_of as cards_of
from ._download import cache_folder as cache_folder
from ._download import fetch as fetch
from ._download import sha256_of as sha256_of
from ._files import Description as Description
from ._files import WeightFileError as WeightFileError
from ._files import description as description
from ._files import opened as opened
from ._load import load as load
from ._load import save as save
from ._preprocess import cut as cut
from ._preprocess import normalise as normalise
from ._preprocess import preparation as preparation
from ._preprocess import preprocess as preprocess
from ._transfer import Headed as Headed
from ._transfer import all_but as all_but
from ._transfer import freeze as freeze
from ._transfer import head_of as head_of
from ._transfer import headless as headless
from ._transfer import layer as layer
from ._transfer import replace_head as replace_head
from ._transfer import selection as selection
