"""Receptive fields against propagating sets of pixels, and known values of published networks."""

from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jaxcnn.geometry import Node, ReceptiveField, Transposed, Window, chain, graph


@st.composite
def windows(draw, stride=None):
    """A window of one axis as the constructor takes it: receptive fields need no image size."""
    k, s, d = draw(st.integers(1, 4)), stride or draw(st.integers(1, 3)), draw(st.integers(1, 3))
    return Window((k,), (s,), ((draw(st.integers(0, 4)), draw(st.integers(0, 4))),), (d,))


def through(window, units):
    """The units below that a set of units sees."""
    if isinstance(window, Transposed):
        below = {p for unit in units for p in window.window.pixels(0, unit)}
        return {p // window.input_dilation[0] for p in below if not p % window.input_dilation[0]}
    return {p for unit in units for p in window.pixels(0, unit)}


def pixels_of(layers, unit):
    """The pixels of the image that `unit` of the last layer sees."""
    units = {unit}
    for window in reversed(layers):
        units = through(window, units)
    return units


def window(k, s=1, p=0):
    return Window.resolve(k, (512, 512), stride=s, padding=p)


@given(st.lists(windows(), min_size=1, max_size=5), st.integers(0, 6))
def test_chain_spans_the_propagated_pixels(layers, unit):
    seen, field = pixels_of(layers, unit), chain(layers)
    assert field.first((unit,)) == (min(seen),)
    assert field.last((unit,)) == (max(seen),)
    assert field.size == (max(seen) - min(seen) + 1,)


def test_chain_takes_what_can_be_read_once():
    assert chain(iter([window(3), window(3)])) == chain([window(3), window(3)])


@given(windows(), st.integers(-9, 9))
def test_adjoint_of_a_window_sees_the_outputs_that_see_it(layer, pixel):
    seen = {output for output in range(-30, 30) if pixel in layer.pixels(0, output)}
    assert through(layer.transposed((512,)), {pixel}) == seen


@st.composite
def ways(draw):
    """Windows down and, as their adjoints, up again, in any order."""
    layers = draw(st.lists(st.tuples(windows(), st.booleans()), min_size=1, max_size=4))
    return [layer.transposed((512,)) if up else layer for layer, up in layers]


@given(ways(), st.integers(-9, 40))
def test_chain_through_adjoints_spans_the_propagated_pixels(layers, unit):
    seen, field = pixels_of(layers, unit), chain(layers)
    first, last = field.first((unit,))[0], field.last((unit,))[0]
    assert last - first + 1 == (max(seen) - min(seen) + 1 if seen else 0)
    assert not seen or (first, last) == (min(seen), max(seen))


# all units that see are dropped, and what is left steps by half a pixel
LEFT_OUT = [
    Window((1,), (1,), ((0, 0),), (1,)).transposed((512,)),
    Window((1,), (2,), ((0, 0),), (1,)).transposed((512,)),
]
LEFT_OUT += [Window((1,), (2,), ((-1, 0),), (1,)), Window((1,), (2,), ((0, 1),), (1,)).transposed((512,))]


@given(ways(), st.integers(0, 4))
@example(LEFT_OUT, 0)
def test_phases_are_as_few_as_they_can_be(layers, shift):
    field = chain(layers)
    (spans,) = field.phases or (((field.start[0], field.size[0]),),)
    see = lambda unit: field.first((unit,))[0] if field.last((unit,))[0] >= field.first((unit,))[0] else None
    for period in range(1, len(spans)):
        moved = Fraction(field.jump[0] * period, len(spans))  # a period of a fraction of a pixel cannot be written
        units = range(shift, shift + len(spans))
        pairs = [(spans[u % len(spans)], spans[(u + period) % len(spans)], see(u), see(u + period)) for u in units]
        assert moved.denominator > 1 or any(a[1] != b[1] or (a[1] and y - x != moved) for a, b, x, y in pairs)
    assert field.size == (max(n for _, n in spans),)
    assert field.step == (field.jump[0] / Fraction(len(spans)),)


def test_field_of_units_between_those_that_see_is_empty():
    """Every second unit of an image that was spread apart, from the second one on."""
    spread, odd = Window((1,), (2,), ((0, 0),), (1,)).transposed((512,)), Window((1,), (2,), ((-1, 0),), (1,))
    field = chain([spread, odd])
    assert (field.size, field.start, field.phases) == ((0,), (0,), ())


def test_union_with_a_wider_field_has_no_phases_left():
    """Down by two and up again units see in pairs, (0, 1), (0, 1), (2, 3), …, of which seven pixels about each see all."""
    pairs = Window((2,), (2,), ((0, 0),), (1,))
    coarse, fine = chain([pairs, pairs.transposed((512,))]), chain([Window((7,), (1,), ((3, 3),), (1,))])
    assert coarse.phases == (((0, 2), (0, 2)),)
    assert coarse.union(fine) == fine.union(coarse) == fine


@given(ways(), windows(), st.integers(0, 12))
def test_union_with_phases_spans_both(layers, beside, unit):
    deep = chain(layers)
    flat = ReceptiveField.of_pixel(1).through(Window((3,), (deep.step[0].numerator,), ((1, 1),), (1,)))
    flat = flat.through(Window((1,), (deep.step[0].denominator,), ((0, 0),), (1,)).transposed((512,)))
    spans = [field.first((unit,)) + field.last((unit,)) for field in (deep, flat)]
    spans = [(first, last) for first, last in spans if last >= first]
    both = deep.union(flat)
    assert both.step == deep.step
    found = both.first((unit,)) + both.last((unit,))
    assert found == (min(a for a, _ in spans), max(b for _, b in spans)) if spans else found[1] < found[0]


@given(st.lists(windows(), min_size=1, max_size=5), st.integers(0, 6))
def test_chain_jump_is_the_step_of_one_unit(layers, unit):
    step = min(pixels_of(layers, unit + 1)) - min(pixels_of(layers, unit))
    assert chain(layers).jump == (step,)


@given(windows(), windows(1), windows(1), windows(1), windows(), st.integers(0, 6))
def test_graph_spans_the_pixels_of_all_branches(stem, left, right, deeper, head, unit):
    nodes = {
        "head": Node(("left", "deeper", "stem"), head),
        "left": Node(("stem",), left),
        "deeper": Node(("right",), deeper),
        "right": Node(("stem",), right),
        "stem": Node(("image",), stem),
    }
    merged = through(head, {unit})
    under = through(left, merged) | through(right, through(deeper, merged)) | merged
    seen, field = through(stem, under), graph(nodes, rank=1)["head"]
    assert (field.first((unit,)), field.last((unit,))) == ((min(seen),), (max(seen),))


@given(st.lists(windows(), min_size=1, max_size=4))
def test_graph_of_a_line_is_its_chain(layers):
    names = ["image", *map(str, range(len(layers)))]
    nodes = {name: Node((below,), layer) for below, name, layer in zip(names, names[1:], layers)}
    assert graph(nodes, rank=1)[names[-1]] == chain(layers)


def test_graph_knows_the_source_by_its_name():
    fields = graph({"sum": Node(("photo", "photo"))}, rank=3, source="photo")
    assert fields == {"photo": ReceptiveField.of_pixel(3), "sum": ReceptiveField.of_pixel(3)}


def test_chain_keeps_axes_apart():
    field = chain([Window.resolve((3, 5), (11, 13), stride=(2, 1), padding=((1, 0), (2, 2))), window((2, 1), (1, 3))])
    assert field == ReceptiveField((5, 5), (2, 3), (-1, -2))


@pytest.mark.parametrize(("count", "size"), [(1, 3), (2, 5), (3, 7), (4, 9)])
def test_chain_of_3x3(count, size):
    assert chain([window(3)] * count).size == (size, size)


@pytest.mark.parametrize(
    ("network", "size", "jump"),
    [
        ([window(3, p=1)] * 2 + [window(2, 2)], 6, 2),
        (sum(([window(3, p=1)] * n + [window(2, 2)] for n in (2, 2, 3, 3, 3)), []), 212, 32),
        ([window(11, 4), window(3, 2), window(5), window(3, 2), *[window(3)] * 3, window(3, 2)], 195, 32),
        ([window(5), window(2, 2), window(5), window(2, 2), window(5)], 32, 4),
    ],
    ids=["vgg-block", "vgg16", "alexnet", "lenet5"],
)
def test_chain_known_network(network, size, jump):
    field = chain(network)
    assert (field.size, field.jump) == ((size, size), (jump, jump))


def test_graph_unet_sees_188_or_204():
    """Five sizes of two 3×3 without padding, pools and adjoints of 2×2 between them, what was skipped joined from the middle."""
    nodes, below = {}, "image"
    crop = lambda low: Window((1,), (1,), ((-low, -low),), (1,))
    for level in range(5):
        halved = Node((below,), Window((2,), (2,), ((0, 0),), (1,)))
        nodes[f"pool{level}"] = halved if level else Node((below,))
        nodes[f"one{level}"] = Node((f"pool{level}",), Window((3,), (1,), ((0, 0),), (1,)))
        nodes[f"down{level}"] = Node((f"one{level}",), Window((3,), (1,), ((0, 0),), (1,)))
        below = f"down{level}"
    for level, border in zip((3, 2, 1, 0), (4, 16, 40, 88)):  # pixels that the way down and up has lost on a side
        nodes[f"enlarged{level}"] = Node((below,), Window((2,), (2,), ((0, 0),), (1,)).transposed((512,)))
        nodes[f"skipped{level}"] = Node((f"down{level}",), crop(border))
        nodes[f"first{level}"] = Node((f"enlarged{level}", f"skipped{level}"), Window((3,), (1,), ((0, 0),), (1,)))
        nodes[f"up{level}"] = Node((f"first{level}",), Window((3,), (1,), ((0, 0),), (1,)))
        below = f"up{level}"
    fields = graph(nodes, rank=1)
    assert (fields["down4"].size, fields["down4"].jump) == ((140,), (16,))
    assert fields["up0"].phases == ((*[(0, 188)] * 4, *[(0, 204)] * 12),)


def resnet50(first_stride, second_stride):
    """Nodes of ResNet-50; the strides of a stage's first 1×1 and 3×3, where its first block halves the image."""
    nodes = {"stem": Node(("image",), window(7, 2, 3)), "0": Node(("stem",), window(3, 2, 1))}
    steps = [(b == 0 and stage > 0) for stage, blocks in enumerate((3, 4, 6, 3)) for b in range(blocks)]
    for i, halved in enumerate(steps):
        one, three = (first_stride, second_stride) if halved else (1, 1)
        nodes[f"{i}a"] = Node((f"{i}",), window(1, one))
        nodes[f"{i}b"] = Node((f"{i}a",), window(3, three, 1))
        nodes[f"{i}c"] = Node((f"{i}b",), window(1))
        nodes[f"{i}short"] = Node((f"{i}",), window(1, one * three))
        nodes[f"{i + 1}"] = Node((f"{i}c", f"{i}short"))
    return nodes


@pytest.mark.parametrize(("strides", "size"), [((2, 1), 483), ((1, 2), 427)], ids=["original", "v1.5"])
def test_graph_resnet50(strides, size):
    field = graph(resnet50(*strides))["16"]
    assert (field.size, field.jump) == ((size, size), (32, 32))
