"""Cases of every kind, on sizes that are small and differ pairwise."""

from jaxcnn.functional.lowering import Case
from jaxcnn.geometry import Window


def case(space, c_in, c_out, size, *, n=2, groups=1, **options):
    """A forward case in float32."""
    return Case("conv", Window.resolve(size, space, **options), space, n, c_in, c_out, groups)


CASES = {
    "dense": case((7, 5), 3, 11, 3, padding="same"),
    "strided": case((7, 5), 3, 11, (3, 2), stride=2, padding=[(2, 0), (1, 3)]),
    "wide-stride": case((11, 7), 3, 5, 2, stride=3),
    "dilated": case((11, 7), 3, 5, (3, 2), dilation=(2, 3), padding="same"),
    "dilated-strided": case((11, 7), 3, 5, 3, stride=2, dilation=3, padding=4),
    "point": case((7, 5), 3, 11, 1),
    "point-strided": case((7, 5), 3, 11, 1, stride=2, padding=[(1, 0), (0, 2)]),
    "patchify": case((8, 9), 3, 11, (2, 3), stride=(2, 3)),
    "patchify-ragged": case((9, 11), 3, 5, (2, 3), stride=(2, 3)),
    "one-channel": case((7, 5), 1, 6, 5, padding="same"),
    "depthwise": case((7, 5), 11, 11, 3, groups=11, padding="same", n=3),
    "depthwise-strided": case((11, 7), 5, 5, (3, 2), groups=5, stride=(2, 3), padding=1),
    "depthwise-border": case((7, 5), 5, 5, (3, 2), groups=5, padding=[(4, 3), (0, 1)], dilation=(2, 1)),
    "depthwise-border-alone": case((3, 2), 5, 5, (5, 4), groups=5, padding=3, stride=(2, 1)),
    "depthwise-taps-beside-the-image": case((2, 2), 5, 5, 7, groups=5, padding=3),
    "depthwise-strided-beside": case((2, 3), 5, 5, (3, 9), groups=5, padding=4, stride=2),
    "multiplier": case((7, 5), 3, 6, 3, groups=3, padding="same"),
    "grouped": case((7, 5), 6, 15, (2, 3), groups=3, padding="same"),
    "grouped-many": case((5, 7), 40, 60, 3, groups=20, padding="same"),
    "grouped-strided-dilated": case((11, 7), 6, 12, (3, 2), groups=3, stride=(2, 3), dilation=(2, 1), padding=2),
    "line": case((13,), 5, 7, 3, dilation=2, padding="causal"),
    "line-depthwise-strided": case((13,), 3, 3, 3, groups=3, stride=2, padding=1),
    "volume": case((4, 5, 6), 2, 7, (2, 3, 1), stride=(1, 2, 2), padding="same"),
    "volume-depthwise": case((4, 5, 3), 5, 5, (2, 3, 1), groups=5, padding="same"),
    "window-over-image": case((3, 4), 2, 5, 5, padding=3),
    "window-is-image": case((5, 7), 3, 11, (5, 7)),
    "volume-dense": case((4, 5, 6), 2, 7, (2, 3, 1), padding="same"),
    "volume-two-taps": case((4, 2, 7), 5, 2, (2, 3, 3), stride=(2, 1, 2), padding=1),
    "odd-batch": case((7, 6), 3, 11, 3, n=5, padding="same"),
    "grouped-runs": case((3, 5), 288, 297, (2, 1), groups=9),
    "one-image": case((7, 5), 3, 11, 3, n=1, padding="full"),
}
CASES["cropped"] = CASES["dense"].replace(window=Window((3, 2), (2, 1), ((-1, 1), (0, -2)), (1, 2)), space=(9, 8))
