"""Flax NNX modules over `jaxcnn.functional`: parameters and one call each."""

from ._conv import Conv as Conv
from ._conv import DepthwiseConv as DepthwiseConv
from ._conv import SeparableConv as SeparableConv
from ._conv import SpatiallySeparableConv as SpatiallySeparableConv
from ._conv import depthwise_normal as depthwise_normal
from ._conv_transpose import ConvTranspose as ConvTranspose
from ._dense import Dense as Dense
from ._dense import Dropout as Dropout
from ._dense import StochasticDepth as StochasticDepth
from ._frozen import Frozen as Frozen
from ._norm import BatchNorm as BatchNorm
from ._norm import LayerNorm as LayerNorm
from ._pool import AvgPool as AvgPool
from ._pool import FractionalMaxPool as FractionalMaxPool
from ._pool import MaxPool as MaxPool
from ._pool import MixedPool as MixedPool
from ._pool import StochasticPool as StochasticPool
from ._pool import WeightedPool as WeightedPool
