"""Looking inside a model: what it computes, what its layers hold, what decides, what its units want."""

from ._capture import capture as capture
from ._forward import after as after
from ._forward import until as until
from ._summary import Row as Row
from ._summary import Summary as Summary
from ._summary import summarise as summarise
from .attribution import gradient as gradient
from .attribution import input_x_gradient as input_x_gradient
