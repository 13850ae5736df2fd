"""What a unit wants: optimised inputs, dataset examples, effective receptive fields."""

from ._effective import Ellipse as Ellipse
from ._effective import effective_receptive_field as effective_receptive_field
from ._effective import two_sigma_area as two_sigma_area
from ._examples import Examples as Examples
from ._examples import examples as examples
from ._invert import caricature as caricature
from ._invert import invert as invert
from ._objectives import Channel as Channel
from ._objectives import Direction as Direction
from ._objectives import Layer as Layer
from ._objectives import Logit as Logit
from ._objectives import Unit as Unit
from ._optimise import Visualised as Visualised
from ._robust import Robust as Robust
from ._visualise import visualise as visualise
