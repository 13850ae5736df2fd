"""What of an image decides: one attribution a file."""

from ._gradient import gradient as gradient
from ._gradient import input_x_gradient as input_x_gradient
