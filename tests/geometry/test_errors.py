"""Every error of `geometry`: its type and its one line."""

import re

import pytest

from jaxcnn.geometry import Node, Window, chain, graph, per_axis

WORDS = '"same", "valid", "full", "causal"'
FORMS = "an int, or one int or (low, high) an axis"
PIXEL = Window.resolve(1, (5, 5))
STEP = Window.resolve(1, (5, 5), stride=2)


def axis(value):
    return lambda: per_axis(value, 2, what="stride", name="conv2d", least=1)


def resolve(*args, **options):
    return lambda: Window.resolve(*args, **options)


ERRORS = {
    "entry": (axis("two"), TypeError, "conv2d: stride='two' must be an int or 2 ints"),
    "float": (axis(1.5), TypeError, "conv2d: stride=1.5 must be an int or 2 ints"),
    "float inside": (axis((1, 2.0)), TypeError, "conv2d: stride=(1, 2.0) must be an int or 2 ints"),
    "none": (axis(None), TypeError, "conv2d: stride=None must be an int or 2 ints"),
    "length": (
        axis((1, 2, 3)),
        ValueError,
        "conv2d: stride=(1, 2, 3) has 3 entries; give an int or one for each of 2 axes",
    ),
    "zero": (axis(0), ValueError, "conv2d: stride=0 must be at least 1 on every axis"),
    "negative": (axis((1, -2)), ValueError, "conv2d: stride=(1, -2) must be at least 1 on every axis"),
    "space": (resolve(1, (5, 0), padding=3), ValueError, "Window: space=(5, 0) must be at least 1 on every axis"),
    "size": (resolve(0, (5, 5)), ValueError, "Window: window size=0 must be at least 1 on every axis"),
    "stride": (resolve(1, (5,), stride=-1), ValueError, "Window: stride=-1 must be at least 1"),
    "dilation": (resolve(1, (5,), dilation=0), ValueError, "Window: dilation=0 must be at least 1"),
    "large": (
        resolve(3, (7, 5), dilation=(2, 3), padding=((0, 0), (1, 0)), name="max_pool2d"),
        ValueError,
        "max_pool2d: window (3, 3) (dilation (2, 3)) spans 7 pixels on spatial axis 1, which has 5 and padding (1, 0); "
        "use a smaller window or more padding",
    ),
    "padding length": (
        resolve(3, (7, 5), padding=(1, 2, 3)),
        ValueError,
        "Window: padding=(1, 2, 3) has 3 entries; give one for each of 2 spatial axes",
    ),
    "padding word": (
        resolve(3, (7, 5), padding="half"),
        ValueError,
        f"Window: padding='half' is unknown; use {WORDS}, {FORMS}",
    ),
    "padding word inside": (
        resolve(3, (7, 5), padding=(1, "half")),
        ValueError,
        f"Window: padding=(1, 'half') is unknown; use {WORDS}, {FORMS}",
    ),
    "padding type": (resolve(3, (7,), padding=1.5), TypeError, f"Window: padding=1.5 must be {WORDS}, {FORMS}"),
    "padding none": (resolve(3, (7,), padding=None), TypeError, f"Window: padding=None must be {WORDS}, {FORMS}"),
    "padding triple": (
        resolve(3, (7,), padding=((1, 2, 3),)),
        TypeError,
        f"Window: padding=((1, 2, 3),) must be {WORDS}, {FORMS}",
    ),
    "padding negative": (
        resolve(3, (7,), padding=((3, -7),)),
        ValueError,
        "Window: padding (3, -7) crops spatial axis 0 of 7 pixels to nothing; crop by less",
    ),
    "chain": (
        lambda: chain([]),
        ValueError,
        "chain: no window given; ReceptiveField.of_pixel(rank) is the field of no layer",
    ),
    "branches": (
        lambda: graph({"a": Node(("image",), STEP), "b": Node(("image", "a"))}),
        ValueError,
        "ReceptiveField.union: branches step (1, 1) and (2, 2) pixels a unit; merged branches need the same step",
    ),
    "unknown input": (
        lambda: graph({"a": Node(("imgae",), PIXEL)}),
        ValueError,
        'graph: node "a" reads "imgae", which is neither a node nor the source "image"',
    ),
    "reads nothing": (
        lambda: graph({"a": Node(())}),
        ValueError,
        'graph: node "a" reads nothing; name the node or the source "image" below it',
    ),
    "rank": (
        lambda: chain([PIXEL, Window.resolve(3, (5,))]),
        ValueError,
        "ReceptiveField.through: a window of 1 axes cannot follow a field of 2",
    ),
    "cycle": (
        lambda: graph({"a": Node(("a",), PIXEL)}),
        ValueError,
        "graph: the nodes a -> a form a cycle; a network must not",
    ),
}


@pytest.mark.parametrize(("call", "error", "message"), ERRORS.values(), ids=ERRORS)
def test_error_is_one_line(call, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        call()
