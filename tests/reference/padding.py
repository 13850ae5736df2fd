"""Padding by naming, for every new pixel, the pixel of the image that it repeats."""

import numpy as np


def source(p, n, mode):
    """The pixel of an axis of n that position p repeats; None where it repeats none."""
    bounce = (p % (2 * n - 2)) if n > 1 else 0
    mirror = p % (2 * n)
    inside = p if 0 <= p < n else None
    return {
        "zeros": inside,
        "replicate": min(max(p, 0), n - 1),
        "circular": p % n,
        "reflect": min(bounce, 2 * n - 2 - bounce) if n > 1 else 0,
        "symmetric": min(mirror, 2 * n - 1 - mirror),
    }[mode]


def pad(x, pairs, mode="zeros", value=0.0):
    """x (n, *space, c) with `pairs` of new pixels, in float64."""
    x = np.asarray(x, np.float64)
    for axis, (low, high) in enumerate(pairs, start=1):
        n = x.shape[axis]
        where = [source(p, n, mode) for p in range(-low, n + high)]
        blank = np.full_like(np.take(x, 0, axis), value)
        x = np.stack([blank if p is None else np.take(x, p, axis) for p in where], axis)
    return x


def rule(word, n, span, s):
    """The pair that a padding word means; "same" by search for the least padding with one output a step."""
    totals = (total for total in range(span) if len(range(0, n + total - span + 1, s)) == len(range(0, n, s)))
    least = next(totals)
    words = {"valid": (0, 0), "full": (span - 1, span - 1), "causal": (span - 1, 0)}
    return {"same": (least // 2, least - least // 2), **words}[word.lower()]


def resolve(space, size, *, stride=1, padding="same", dilation=1):
    """A user's words as stride, pairs and dilation with one entry an axis."""
    stride, dilation = ((v,) * len(space) if isinstance(v, int) else v for v in (stride, dilation))
    entries = (padding,) * len(space) if isinstance(padding, (int, str)) else padding
    pairs = []
    for entry, n, k, s, d in zip(entries, space, size, stride, dilation):
        known = entry if isinstance(entry, tuple) else (entry, entry)
        pairs.append(rule(entry, n, (k - 1) * d + 1, s) if isinstance(entry, str) else known)
    return {"stride": tuple(stride), "pairs": pairs, "dilation": tuple(dilation)}
