"""Images that an optimisation moves: by their Fourier coefficients or by their pixels, with decorrelated colour.

    image = sigmoid(C · (irfft2(spectrum / frequency) / 4))        image = sigmoid(C · pixels)

Adam moves every parameter by the same amount a step. Natural images have an amplitude that falls as 1 / frequency, so their
spectrum is stored divided by that. C is the root of the covariance of ImageNet's colours, which makes the three channels of the
parameters independent of each other. Grey images have no C.

Reference: Olah, Mordvintsev & Schubert, Feature visualization (Distill, 2017), and their program Lucid.
"""

from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

Parametrisation = Literal["fourier", "pixels"]
KINDS = get_args(Parametrisation)
DEVIATION = {"fourier": 0.01, "pixels": 0.3}  # of the parameters at the start; both give nearly grey images
COLOURS = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])  # Lucid's, of ImageNet
COLOURS = COLOURS / np.linalg.norm(COLOURS, axis=0).max()


def start(key: Array, shape: tuple[int, ...], kind: str) -> Array:
    """Random parameters of images `(…, h, w, c)`.

    >>> start(jax.random.key(0), (2, 8, 6, 3), "fourier").shape, start(jax.random.key(0), (8, 6, 3), "pixels").shape
    ((2, 2, 8, 4, 3), (8, 6, 3))
    """
    *batch, h, w, c = shape
    stored = (*batch, 2, h, w // 2 + 1, c) if kind == "fourier" else shape  # real and imaginary parts
    return DEVIATION[kind] * jax.random.normal(key, stored)


def image(parameters: Array, size: tuple[int, int], kind: str, *, decorrelate: bool) -> Array:
    """The images in [0, 1] of parameters, `(…, h, w, c)`.

    >>> still = image(jnp.zeros((2, 8, 5, 3)), (8, 8), "fourier", decorrelate=True)
    >>> still.shape, float(still.max())
    ((8, 8, 3), 0.5)
    """
    if kind == "fourier":
        scaled = parameters * spectrum_scale(size)[..., None]  # (…, 2, h, w // 2 + 1, c)
        complex_ = jax.lax.complex(scaled[..., 0, :, :, :], scaled[..., 1, :, :, :])
        values = jnp.fft.irfft2(complex_, s=size, axes=(-3, -2), norm="ortho") / 4  # as Lucid, against saturation
    else:
        values = parameters
    if decorrelate and values.shape[-1] == 3:
        values = jnp.matmul(values, jnp.asarray(COLOURS.T, values.dtype), precision="highest")
    return jax.nn.sigmoid(values)


def spectrum_scale(size: tuple[int, int]) -> np.ndarray:
    """What each Fourier coefficient is multiplied by: 1 / its frequency, at most the longer side, `(h, w // 2 + 1)`.

    >>> spectrum_scale((4, 4)).round(2).tolist()[0]
    [4.0, 4.0, 2.0]
    """
    h, w = size
    frequency = np.hypot(np.fft.fftfreq(h)[:, None], np.fft.rfftfreq(w)[None])
    return (1 / np.maximum(frequency, 1 / max(h, w))).astype(np.float32)
