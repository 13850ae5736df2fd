"""Augmentations in NumPy float64, as their formulas: one image `(h, w, 3)` in [0, 1]."""

import numpy as np

LUMA = np.array([0.299, 0.587, 0.114])


def blend(x, reference, factor):
    return np.clip(factor * x + (1 - factor) * reference, 0, 1)


def brightness(x, factor):
    return blend(x, 0.0, factor)


def contrast(x, factor):
    return blend(x, (x @ LUMA).mean(), factor)


def saturation(x, factor):
    return blend(x, (x @ LUMA)[..., None], factor)


def blur(x, sigma, size):
    """The whole square kernel at once, over an image whose border goes on."""
    reach = size // 2
    t = np.arange(-reach, reach + 1)
    line = np.exp(-(t**2) / (2 * sigma**2))
    kernel = np.outer(line, line) / np.outer(line, line).sum()
    padded = np.pad(x, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    h, w, _ = x.shape
    y = np.zeros_like(x)
    for i, j in np.ndindex(size, size):
        y += kernel[i, j] * padded[i : i + h, j : j + w]
    return y


def fancy_pca(x, alpha, pixels):
    """From the covariance of the pixels `(n, 3)`; alpha goes with the variances, largest first."""
    values, vectors = np.linalg.eigh(np.cov(pixels.T, bias=True))
    order = np.argsort(values)[::-1]
    vectors = vectors[:, order]
    vectors = vectors * np.sign([v[np.abs(v).argmax()] for v in vectors.T])
    return np.clip(x + vectors @ (alpha * values[order]), 0, 1)
