"""Looking inside a model: what it computes (`summarise`) and what its layers hold (`capture`)."""

from ._capture import capture as capture
from ._summary import Row as Row
from ._summary import Summary as Summary
from ._summary import summarise as summarise
