"""Whether an attribution is right: what it promises, measured."""

from ._curves import Curve as Curve
from ._curves import blurred as blurred
from ._curves import deletion as deletion
from ._curves import insertion as insertion
from ._faithful import completeness_error as completeness_error
from ._faithful import sensitivity_n as sensitivity_n
from ._localised import energy_in_box as energy_in_box
from ._localised import pointing_game as pointing_game
from ._sanity import SanityCheck as SanityCheck
from ._sanity import sanity_check as sanity_check
