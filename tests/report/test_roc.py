"""The ROC curve against scikit-learn, its standard error against drawing new examples, the threshold."""

import numpy as np
import pytest

from jaxcnn.report import Roc, roc, roc_figure, threshold_for


def example(n=60, ties=True, seed=0, shift=1.0):
    rng = np.random.default_rng(seed)
    positive = np.arange(n) % 3 == 0
    scores = rng.normal(size=n) + shift * positive
    return (scores.round(0 if ties else 9), positive)


@pytest.mark.parametrize("ties", [False, True])
def test_roc_is_scikit_learns(ties):
    metrics = pytest.importorskip("sklearn.metrics")
    scores, positive = example(ties=ties)
    curve = roc(scores, positive)
    fpr, tpr, thresholds = metrics.roc_curve(positive, scores, drop_intermediate=False)
    np.testing.assert_allclose(curve.false_positive, fpr)
    np.testing.assert_allclose(curve.true_positive, tpr)
    np.testing.assert_array_equal(curve.thresholds, thresholds)
    np.testing.assert_allclose(curve.area, metrics.roc_auc_score(positive, scores))
    np.testing.assert_allclose(curve.area, np.trapezoid(tpr, fpr))


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_error_is_the_spread_over_new_examples(shift):
    found = [roc(*example(90, ties=False, seed=seed, shift=shift)) for seed in range(400)]
    spread = np.std([curve.area for curve in found])
    assert abs(np.mean([curve.error for curve in found]) / spread - 1) < 0.1
    inside = [low <= np.mean([c.area for c in found]) <= high for low, high in (c.interval for c in found)]
    assert 0.91 < np.mean(inside) < 0.99


@pytest.mark.parametrize("sensitivity", [0.2, 0.9, 1.0])
def test_threshold_finds_enough_and_is_the_largest(sensitivity):
    scores, positive = example()
    threshold = threshold_for(roc(scores, positive), sensitivity)
    found = lambda at: (scores[positive] >= at).mean()
    assert found(threshold) >= sensitivity
    assert all(found(higher) < sensitivity for higher in scores if higher > threshold)


def test_interval_stays_between_0_and_1():
    assert Roc(np.zeros(1), np.zeros(1), np.zeros(1), 0.99, 0.05).interval == (0.892, 1.0)
    assert roc(np.array([0.0, 1.0]), np.array([False, True])).interval == (1.0, 1.0)


def test_roc_figure_marks_the_threshold():
    scores, positive = example()
    curve = roc(scores, positive)
    figure = roc_figure(curve, at=threshold_for(curve, 0.9))
    x, y = figure.axes[0].lines[-1].get_xydata()[0]
    assert y >= 0.9
    assert x == (scores[~positive] >= threshold_for(curve, 0.9)).mean()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: roc(np.zeros(3), np.zeros(3, bool)), "0 of 3 positive; give as many, and both classes"),
        (lambda: roc(np.zeros(2), np.zeros(3, bool)), r"roc: \(2,\) scores"),
        (lambda: threshold_for(roc(*example()), 1.5), "threshold_for: sensitivity=1.5 must be above 0"),
    ],
)
def test_roc_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()
