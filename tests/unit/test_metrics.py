"""Metrics agree with scikit-learn and scipy, and stay finite where those have no answer."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import (
    confusion_matrix,
    f1_score,
    log_loss,
    mean_absolute_error,
    mean_squared_error,
    precision_recall_fscore_support,
    r2_score,
)

from tunesmith_api.protocol import Failure, Reason
from tunesmith_api.tuning import CLASSIFICATION_METRICS, REGRESSION_METRICS
from tunesmith_trainer.evaluation import baseline
from tunesmith_trainer.evaluation.metrics import ClassificationScores, classification, regression


def guesses(rows: int, classes: int, seed: int = 0, skill: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, classes, rows)
    logits = rng.normal(size=(rows, classes)).astype(np.float32)
    logits[np.arange(rows), targets] += skill
    return logits, targets


def probabilities(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("rows", "classes"), [(500, 3), (400, 77), (40_000, 5), (1, 2)])
def test_classification_is_what_scikit_learn_says(rows: int, classes: int) -> None:
    logits, targets = guesses(rows, classes)
    scores, predicted = classification(logits, targets), logits.argmax(1)
    assert tuple(scores.scalars) == CLASSIFICATION_METRICS
    assert scores.scalars["accuracy"] == pytest.approx((predicted == targets).mean())
    assert scores.scalars["macroF1"] == pytest.approx(f1_score(targets, predicted, average="macro", zero_division=0))
    assert scores.scalars["loss"] == pytest.approx(log_loss(targets, probabilities(logits), labels=range(classes)), rel=1e-6)
    assert (scores.confusion == confusion_matrix(targets, predicted, labels=range(classes))).all()
    expected = precision_recall_fscore_support(targets, predicted, labels=range(classes), zero_division=0)
    ours = np.array([[c.precision, c.recall, c.f1, c.support] for c in scores.per_class]).T
    np.testing.assert_allclose(ours, np.array(expected))


def test_classes_that_never_appear_do_not_weigh_in_macro_f1() -> None:
    logits = np.eye(10, dtype=np.float32)[[0, 0, 1, 1]]
    scores = classification(logits, np.array([0, 0, 1, 2]))
    assert scores.scalars["macroF1"] == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert scores.per_class[9].f1 == 0.0


def test_calibration_error_by_hand() -> None:
    """Two rows at 0.9, one right: |0.5 - 0.9|; two at 0.6, both right: |1 - 0.6|."""
    logits = np.log(np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]]))
    scores = classification(logits, np.array([0, 1, 0, 0]))
    assert scores.scalars["calibrationError"] == pytest.approx(0.5 * 0.4 + 0.5 * 0.4)
    assert [b.rows for b in scores.bins] == [2, 2]
    assert [b.accuracy for b in scores.bins] == [1.0, 0.5]


def test_certain_and_right_is_perfectly_calibrated() -> None:
    scores = classification(np.array([[1000.0, 0.0], [0.0, 1000.0]]), np.array([0, 1]))
    assert scores.scalars == {"accuracy": 1.0, "macroF1": 1.0, "calibrationError": 0.0, "loss": 0.0}


def test_huge_logits_do_not_overflow() -> None:
    scores = classification(np.array([[3e38, -3e38]], dtype=np.float32), np.array([1]))
    assert scores.scalars["loss"] == pytest.approx(6e38, rel=1e-6)


def test_confused_pairs_are_most_frequent_first() -> None:
    logits = np.eye(3)[[1, 1, 2, 0, 0]]
    scores = classification(logits, np.array([0, 0, 0, 1, 0]))
    assert scores.confused_pairs(2) == [(0, 1, 2), (0, 2, 1)]


def test_regression_is_what_scikit_learn_and_scipy_say() -> None:
    rng = np.random.default_rng(1)
    targets = np.round(rng.normal(3, 2, 300), 1)
    predictions = np.round(targets + rng.normal(size=300), 1).astype(np.float32)
    scores = regression(predictions, targets)
    assert tuple(scores) == REGRESSION_METRICS
    assert scores["mae"] == pytest.approx(mean_absolute_error(targets, predictions))
    assert scores["loss"] == pytest.approx(mean_squared_error(targets, predictions))
    assert scores["rmse"] == pytest.approx(math.sqrt(scores["loss"]))
    assert scores["r2"] == pytest.approx(r2_score(targets, predictions))
    assert scores["spearman"] == pytest.approx(spearmanr(predictions, targets).statistic)


@pytest.mark.parametrize(
    ("predictions", "targets"),
    [([1.0, 2.0], [5.0, 5.0]), ([5.0, 5.0], [5.0, 5.0]), ([1.0, 1.0], [1.0, 2.0]), ([0.1], [0.1]), ([0.1] * 3, [0.1] * 3)],
)
def test_constants_give_numbers_that_json_knows(predictions: list[float], targets: list[float]) -> None:
    scores = regression(np.array(predictions), np.array(targets))
    json.dumps(scores, allow_nan=False)
    assert scores["spearman"] == 0.0
    if len(set(targets)) == 1:
        assert scores["r2"] == 0.0


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_model_that_blew_up_is_a_typed_failure_with_the_count(broken: float) -> None:
    logits, targets = guesses(100, 4)
    logits[3, 2] = logits[7, 0] = broken
    with pytest.raises(Failure, match="2 of 100 rows") as failure:
        classification(logits, targets)
    assert failure.value.reason is Reason.LOSS_DIVERGED
    with pytest.raises(Failure, match="1 of 2 rows"):
        regression(np.array([broken, 0.0]), np.zeros(2))


def test_no_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        classification(np.empty((0, 2)), np.empty(0, dtype=np.int64))


def majority_of(train: list[int], targets: list[int], classes: int) -> ClassificationScores:
    return baseline.majority(np.array(train), np.array(targets), classes)


def test_majority_baseline_answers_with_the_training_frequencies() -> None:
    scores = majority_of([2, 2, 2, 0], [2, 0, 0, 2, 2], 3)
    assert scores.scalars["accuracy"] == 0.6
    expected = np.array([1, 0.5, 3]) / 4.5
    assert scores.scalars["loss"] == pytest.approx(-np.log(expected[[2, 0, 0, 2, 2]]).mean())


def test_majority_baseline_is_finite_for_a_class_without_training_rows() -> None:
    assert math.isfinite(majority_of([0, 0], [1, 1], 2).scalars["loss"])


def test_mean_baseline_comes_from_the_training_targets() -> None:
    scores = baseline.mean(np.array([1.0, 3.0]), np.array([2.0, 4.0]))
    assert scores == {"mae": 1.0, "rmse": math.sqrt(2), "r2": -1.0, "spearman": 0.0, "loss": 2.0}
