"""Pictures, tables and one self-contained page a run (needs matplotlib)."""

from ._activations import activations as activations
from ._classification import Result as Result
from ._classification import classification_page as classification_page
from ._classification import confusion_counts as confusion_counts
from ._classification import worst as worst
from ._comparison import Variant as Variant
from ._comparison import comparison_page as comparison_page
from ._comparison import deviation as deviation
from ._comparison import over_seeds as over_seeds
from ._contact_sheet import contact_sheet as contact_sheet
from ._figures import confusion as confusion
from ._figures import learning_curves as learning_curves
from ._figures import range_figure as range_figure
from ._filters import filters as filters
from ._heatmap import heatmap as heatmap
from ._heatmap import heatmaps as heatmaps
from ._mistakes import mistakes as mistakes
from ._page import Page as Page
from ._predictions import predictions as predictions
from ._receptive_field import receptive_field as receptive_field
from ._roc import Roc as Roc
from ._roc import roc as roc
from ._roc import roc_figure as roc_figure
from ._roc import threshold_for as threshold_for
from ._units import UnitRow as UnitRow
from ._units import units as units
