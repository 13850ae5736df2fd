"""Convolution, the winners of maxima and the sums of windows as JAX primitives, closed under every transformation."""

from ._doubling import LONG as LONG
from ._doubling import Combine as Combine
from ._doubling import doubled as doubled
from ._doubling import doubled_in_turn as doubled_in_turn
from ._doubling import steps_of as steps_of
from ._long import pixel_numbers as pixel_numbers
from ._lower import case_of as case_of
from ._primitives import FAMILY as FAMILY
from ._primitives import conv as conv
from ._primitives import conv_input_grad as conv_input_grad
from ._primitives import conv_kernel_grad as conv_kernel_grad
from ._primitives import convolutions as convolutions
from ._sharding import placed as placed
from ._sharding import reshaped as reshaped
from ._sharding import whole as whole
from ._stored import stored as stored
from ._stored import unmerged as unmerged
from ._taylor import through_formula as through_formula
from ._total import spread as spread
from ._total import total as total
from ._winner import extreme as extreme
from ._winner import extreme_winner as extreme_winner
from ._winner import take as take
from ._winner import tap_dtype as tap_dtype
