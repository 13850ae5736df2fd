"""Nothing public is missing from the tables."""

import inspect
import re

import pytest

from jaxcnn import augment, functional, nn
from jaxcnn.functional import filters

from .rows import ROOMS, ROWS

NO_ARRAYS = {  # what computes nothing of arrays in a traced program
    *("Explanation", "explain", "dots_and_convolutions_saveable"),
    *("Augment", "ColourComponents", "colour_components", "OPERATIONS"),
    *("Frozen", "depthwise_normal"),
}
# a function of this name with the number of axes in it calls the one without, and checks the rank
RANKED = re.compile(r"[123]d(?=$|_with_indices$)")


def public(room):
    """Names of the functions and classes that a room exports."""
    things = {name: thing for name, thing in vars(room).items() if not name.startswith("_")}
    return {name for name, thing in things.items() if inspect.isclass(thing) or callable(thing)} - NO_ARRAYS


@pytest.mark.parametrize("room", [functional, augment, nn], ids=lambda room: room.__name__.rpartition(".")[2])
def test_every_public_name_has_a_row(room):
    rows = {name.partition(" ")[0] for name in ROOMS[room.__name__.rpartition(".")[2]]}
    names = {name for name in public(room) if not (RANKED.search(name) and RANKED.sub("", name) in public(room))}
    assert names - rows == set()


def test_every_filter_has_a_row():
    own = {name for name in public(filters) if vars(filters)[name].__module__ == filters.__name__}
    assert {name for name in own if not name.endswith("_kernel")} == {
        name.split(" ")[0].rpartition(".")[2] for name in ROWS if name.startswith("functional.filters.")
    }
