"""The contact sheet of pipelines."""

import jax
import numpy as np
import pytest

from jaxcnn.report import contact_sheet

X = np.random.default_rng(0).random((2, 5, 7, 3)).astype(np.float32)
PIPELINES = {"as it is": lambda key, x: x, "mirrored": lambda key, x: x[:, :, ::-1]}


def test_contact_sheet_shows_every_pipeline():
    axes = contact_sheet(jax.random.key(0), X, PIPELINES, columns=3).axes
    shown = [np.asarray(axis.images[0].get_array()) for axis in axes]
    for found, expected in zip(shown, [X[0], X[0], X[1], X[0], X[0], *X[[0, 1, 0], :, ::-1]]):
        np.testing.assert_allclose(found, expected)
    assert [axis.get_title("left") for axis in axes[::4]] == list(PIPELINES)


@pytest.mark.parametrize(
    ("x", "pipelines", "message"),
    [(X[0], PIPELINES, "contact_sheet: x is float32"), (X, {}, "contact_sheet: 0 pipelines in 8 columns")],
)
def test_contact_sheet_refuses(x, pipelines, message):
    with pytest.raises(ValueError, match=message):
        contact_sheet(jax.random.key(0), x, pipelines)
