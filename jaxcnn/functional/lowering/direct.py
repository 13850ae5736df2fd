"""Direct convolution: XLA's own, whatever that is on the platform, always written in the canonical form.

XLA:CPU has one fast convolution, for operands that lie as `NHWC · HWIO → NHWC`, and brings others into that form only at the
top level of a program: inside a loop a kernel gradient, whose batch and channel axes are exchanged, runs the naive
path, 40 to 80 times slower (jax#12868). So all three directions are written with explicit transposes:

* input gradient: the flipped kernel over the outputs, spread `stride` apart;
* kernel gradient: x with channels as batch, convolved with g as the kernel: batch is what is contracted.
"""

from jax import Array, lax

from ._case import Case, adjoint_kernel

SPECS = {1: ("NWC", "WIO", "NWC"), 2: ("NHWC", "HWIO", "NHWC"), 3: ("NDHWC", "DHWIO", "NDHWC")}


def supports(case: Case) -> str | None:
    """Every case."""
    return None


def spreads(case: Case) -> bool:
    """XLA:CPU writes batch groups as one convolution of all groups times a mask."""
    return case.direction == "kernel_grad" and case.groups > 1 and case.platform == "cpu"


def conv(x: Array, kernel: Array, case: Case) -> Array:
    """`y[n, o, c] = Σ_t Σ_i x[n, window.pixels(o)[t], i] · kernel[t, i, c]`, channels in `groups` blocks."""
    window = case.window
    return lax.conv_general_dilated(
        x,
        kernel,
        window.stride,
        window.padding,
        rhs_dilation=window.dilation,
        dimension_numbers=SPECS[window.rank],
        feature_group_count=case.groups,
    )


def input_grad(g: Array, kernel: Array, case: Case) -> Array:
    """The flipped kernel at stride 1 over the outputs spread `stride` apart."""
    transposed = case.window.transposed(case.space)
    axes = zip(transposed.window.size, transposed.input_dilation, transposed.window.padding)
    # XLA (0.10.2) takes two taps over pixels 2 apart for groups and aborts, unless the axis is padded: one pixel more, cut off
    pairs = [(low, high + int(k == d == 2 and low == high == 0)) for k, d, (low, high) in axes]
    dx = lax.conv_general_dilated(
        g,
        adjoint_kernel(kernel, case),
        transposed.window.stride,
        pairs,
        lhs_dilation=transposed.input_dilation,
        rhs_dilation=transposed.window.dilation,
        dimension_numbers=SPECS[case.rank],
        feature_group_count=case.groups,
    )
    padded = tuple(pairs) != transposed.window.padding
    return lax.slice(dx, (0,) * dx.ndim, (dx.shape[0], *case.space, dx.shape[-1])) if padded else dx


def kernel_grad(x: Array, g: Array, case: Case) -> Array:
    """x with channels as batch, convolved with g as the kernel; stride and dilation exchange their places."""
    window, space = case.window, range(1, case.rank + 1)
    pairs = []
    for n, o, k, s, d, (low, _) in zip(
        case.space, case.outputs, window.size, window.stride, window.dilation, window.padding
    ):
        pairs.append((low, (o - 1) * s + 1 + (k - 1) * d - n - low))
    swapped = x.transpose(x.ndim - 1, *space, 0)  # (c_in, *space, n)
    spread = g.transpose(*space, 0, g.ndim - 1)  # (*outputs, n, c_out)
    if case.groups > 1:
        return _grouped_kernel_grad(x, g, case, pairs)
    dk = lax.conv_general_dilated(
        swapped, spread, window.dilation, pairs, rhs_dilation=window.stride, dimension_numbers=SPECS[case.rank]
    )
    return dk.transpose(*space, 0, dk.ndim - 1)  # (*size, c_in, c_out)


def _grouped_kernel_grad(x: Array, g: Array, case: Case, pairs) -> Array:
    """XLA's batch groups, in the order that its own transpose rule uses."""
    rank, (batch, channel) = case.rank, (0, x.ndim - 1)
    space = tuple(range(1, rank + 1))
    numbers = lax.ConvDimensionNumbers(
        (channel, batch, *space), (channel, batch, *space), (channel, rank, *range(rank))
    )
    numbers = numbers._replace(out_spec=(rank, rank + 1, *range(rank)))
    return lax.conv_general_dilated(
        x,
        g,
        case.window.dilation,
        pairs,
        rhs_dilation=case.window.stride,
        dimension_numbers=numbers,
        batch_group_count=case.groups,
    )
