"""Direct convolution: XLA's own, whatever that is on the platform."""

from jax import Array, lax

from jaxcnn.geometry import Window

_SPECS = {1: ("NWC", "WIO", "NWC"), 2: ("NHWC", "HWIO", "NHWC"), 3: ("NDHWC", "DHWIO", "NDHWC")}


def conv(x: Array, kernel: Array, window: Window, groups: int) -> Array:
    """`y[n, o, c] = Σ_t Σ_i x[n, window.pixels(o)[t], i] · kernel[t, i, c]`, channels in `groups` blocks."""
    return lax.conv_general_dilated(
        x,
        kernel,
        window.stride,
        window.padding,
        rhs_dilation=window.dilation,
        dimension_numbers=_SPECS[window.rank],
        feature_group_count=groups,
    )
