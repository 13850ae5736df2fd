"""The trilinear form as NumPy float64 sums over taps, and the error that a direct method may make."""

import numpy as np


def windows(x, window, outputs):
    """For each tap the pixels that the outputs see, zeros where there is no image: pairs `(at, (n, *outputs, c))`."""
    for at in np.ndindex(window.size):
        places = []
        for t, s, d, (low, _), o in zip(at, window.stride, window.dilation, window.padding, outputs):
            places.append(np.arange(o) * s - low + t * d)
        inside = [(p >= 0) & (p < n) for p, n in zip(places, x.shape[1:-1])]
        picked = x[:, *np.ix_(*(np.where(i, p, 0) for i, p in zip(inside, places)))]
        mask = np.ones((), bool)
        for i in inside:
            mask = mask[..., None] & i
        yield at, picked * mask[..., None]


def split(v, groups):
    """`(…, g·c)` to `(…, g, c)`."""
    return v.reshape(*v.shape[:-1], groups, v.shape[-1] // groups)


def conv(x, kernel, case):
    """y."""
    x, kernel = np.asarray(x, np.float64), np.asarray(kernel, np.float64)
    y = np.zeros((case.n, *case.outputs, case.groups, case.c_out_of_group))
    for at, seen in windows(x, case.window, case.outputs):
        y += np.einsum("...gi,igo->...go", split(seen, case.groups), split(kernel[at], case.groups))
    return y.reshape(case.y_shape)


def kernel_grad(x, g, case):
    """dk."""
    x, g = np.asarray(x, np.float64), np.asarray(g, np.float64)
    dk = np.zeros(case.kernel_shape)
    for at, seen in windows(x, case.window, case.outputs):
        pair = split(seen, case.groups), split(g, case.groups)
        flat = [v.reshape(-1, *v.shape[-2:]) for v in pair]  # (n·outputs, g, c)
        dk[at] = np.einsum("mgi,mgo->igo", *flat).reshape(dk[at].shape)
    return dk


def input_grad(g, kernel, case):
    """dx."""
    g, kernel = np.asarray(g, np.float64), np.asarray(kernel, np.float64)
    (low, high), window = np.transpose(case.window.padding), case.window
    room = [(max(a, 0) + k, max(b, 0) + k + s) for a, b, k, s in zip(low, high, window.span, window.stride)]
    dx = np.zeros((case.n, *(n + a + b for n, (a, b) in zip(case.space, room)), case.c_in))
    for at in np.ndindex(window.size):
        part = np.einsum("...go,igo->...gi", split(g, case.groups), split(kernel[at], case.groups))
        first = [t * d - a + r for t, d, a, (r, _) in zip(at, window.dilation, low, room)]
        to = tuple(slice(f, f + (o - 1) * s + 1, s) for f, o, s in zip(first, case.outputs, window.stride))
        dx[:, *to] += part.reshape(case.n, *case.outputs, case.c_in)
    return dx[:, *(slice(a, a + n) for n, (a, _) in zip(case.space, room))]


EXACT = {"conv": conv, "input_grad": input_grad, "kernel_grad": kernel_grad}


def terms(case):
    """How many products each entry of the result sums."""
    return {
        "conv": case.taps * case.c_in_of_group,
        "input_grad": case.taps * case.c_out_of_group,
        "kernel_grad": case.positions,
    }[case.direction]


def bound(a, b, case, unit, rounding=0.0):
    """Componentwise `γ_K · (|a| ⋆ |b|)` of a sum of K products in any order, plus one rounding of the result."""
    absolute = EXACT[case.direction](np.abs(np.asarray(a, np.float64)), np.abs(np.asarray(b, np.float64)), case)
    k = terms(case) + 1
    return (k * unit / (1 - k * unit) + rounding) * absolute + 1e-300


def operands(case, seed=0):
    """Random operands of the case's dtype."""
    import jax.numpy as jnp

    random = np.random.default_rng(seed)
    shapes = {"conv": (case.x_shape, case.kernel_shape), "input_grad": (case.y_shape, case.kernel_shape)}
    pair = shapes.get(case.direction, (case.x_shape, case.y_shape))
    return [jnp.asarray(random.standard_normal(shape), case.dtype) for shape in pair]
