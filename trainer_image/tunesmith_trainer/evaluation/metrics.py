"""Scores of predictions: pure numpy, finite always (JSON knows no NaN), equal to scikit-learn's where that is defined."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tunesmith_api.protocol import Failure, Reason

CALIBRATION_BINS = 15
_ROWS_AT_ONCE = 16_384

Floats = NDArray[np.floating]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class ClassScore:
    """How well one class is told from the others; a ratio without a denominator is 0."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class CalibrationBin:
    """The rows whose top probability lies in (lower, upper]: how sure the model was, and how often it was right."""

    lower: float
    upper: float
    rows: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class ClassificationScores:
    """What a classifier's logits are worth on rows whose labels are known."""

    scalars: dict[str, float]
    """accuracy, macroF1, calibrationError, loss."""
    per_class: tuple[ClassScore, ...]
    """By class id; a class that is neither in truth nor in a prediction has all zeros."""
    bins: tuple[CalibrationBin, ...]
    """Of equal width, lowest first; those without rows are left out."""
    targets: Ints
    """Class id of the truth, shape [rows]."""
    predicted: Ints
    """Class id of the largest logit, shape [rows]."""
    confidence: Doubles
    """Probability of that class, shape [rows]."""

    @cached_property
    def confusion(self) -> Ints:
        """Rows by truth (first axis) and prediction (second), shape [classes, classes]; made when asked for, classes may be many."""
        classes = len(self.per_class)
        return np.bincount(self.targets * classes + self.predicted, minlength=classes * classes).reshape(classes, classes)

    def confused_pairs(self, most: int) -> list[tuple[int, int, int]]:
        """The most frequent confusions as (truth, predicted, rows), most rows first."""
        classes = len(self.per_class)
        wrong = self.targets != self.predicted
        pairs, rows = np.unique(self.targets[wrong] * classes + self.predicted[wrong], return_counts=True)
        order = np.argsort(-rows, kind="stable")[:most]
        return [(pair // classes, pair % classes, count) for pair, count in zip(pairs[order].tolist(), rows[order].tolist(), strict=True)]


def classification(logits: Floats, targets: Ints) -> ClassificationScores:
    """Score logits [rows, classes] against class ids [rows].

    macroF1 is the mean over the classes that appear in truth or prediction (scikit-learn's default), loss the mean
    cross-entropy in nats, calibrationError the expected calibration error of the top label (arXiv 1706.04599, eq. 3).
    """
    _require_rows(logits, targets)
    predicted, confidence, losses = _predictions(logits, targets)
    correct = predicted == targets
    per_class, macro_f1 = _per_class(targets, predicted, logits.shape[1])
    bins = _calibration_bins(confidence, correct)
    scalars = {
        "accuracy": float(correct.mean()),
        "macroF1": macro_f1,
        "calibrationError": sum(b.rows * abs(b.accuracy - b.confidence) for b in bins) / len(targets),
        "loss": float(losses.mean()),
    }
    return ClassificationScores(scalars, per_class, bins, targets, predicted, confidence)


def regression(predictions: Floats, targets: Doubles) -> dict[str, float]:
    """Score numbers [rows] against targets [rows]: mae, rmse, r2, spearman and loss (the mean squared error).

    r2 is 0 where all targets are equal; spearman gives ties their mean rank and is 0 where either side is constant.
    """
    _require_rows(predictions, targets)
    errors = predictions.astype(np.float64) - targets
    mse = float(np.mean(errors**2))
    spread = float(np.mean((targets - targets.mean()) ** 2))
    return {
        "mae": float(np.abs(errors).mean()),
        "rmse": mse**0.5,
        "r2": 0.0 if np.ptp(targets) == 0 else 1.0 - mse / spread,
        "spearman": _correlation(_mean_ranks(predictions), _mean_ranks(targets)),
        "loss": mse,
    }


def _require_rows(outputs: Floats, targets: Doubles | Ints) -> None:
    if len(outputs) != len(targets) or len(targets) == 0:
        raise ValueError(f"{len(outputs)} outputs for {len(targets)} targets: needs one for each of at least one row")
    broken = sum(
        np.count_nonzero(~np.isfinite(outputs[rows].reshape(rows.stop - rows.start, -1)).all(axis=1)) for rows in _chunks(len(outputs))
    )
    if broken:
        raise Failure(
            Reason.LOSS_DIVERGED,
            f"evaluation: the model's output is not a finite number on {broken:,} of {len(outputs):,} rows",
            "Lower hyperparameters.learningRate (try a tenth) or set hyperparameters.precision: fp32, and run again.",
        )


def _chunks(rows: int) -> Iterator[slice]:
    return (slice(start, min(start + _ROWS_AT_ONCE, rows)) for start in range(0, rows, _ROWS_AT_ONCE))


def _predictions(logits: Floats, targets: Ints) -> tuple[Ints, Doubles, Doubles]:
    """Top class, its probability and the cross-entropy of each row, in float64 a chunk at a time."""
    predicted = logits.argmax(axis=1).astype(np.int64)
    confidence, losses = np.empty(len(logits)), np.empty(len(logits))
    for rows in _chunks(len(logits)):
        chunk = logits[rows].astype(np.float64)
        top = chunk.max(axis=1, keepdims=True)
        log_sum = np.log(np.exp(chunk - top).sum(axis=1))
        confidence[rows] = np.exp(-log_sum)
        losses[rows] = log_sum + top[:, 0] - chunk[np.arange(len(chunk)), targets[rows]]
    return predicted, confidence, losses


def _per_class(targets: Ints, predicted: Ints, classes: int) -> tuple[tuple[ClassScore, ...], float]:
    """Scores of each class, and the mean F1 of those that appear at all."""
    support, guesses, hits = (np.bincount(ids, minlength=classes) for ids in (targets, predicted, targets[targets == predicted]))
    precision = hits / np.maximum(guesses, 1)
    recall = hits / np.maximum(support, 1)
    f1 = 2 * hits / np.maximum(support + guesses, 1)
    scores = tuple(ClassScore(*row) for row in zip(precision.tolist(), recall.tolist(), f1.tolist(), support.tolist(), strict=True))
    return scores, float(f1[support + guesses > 0].mean())


def _calibration_bins(confidence: Doubles, correct: NDArray[np.bool_]) -> tuple[CalibrationBin, ...]:
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
    index = np.digitize(confidence, edges[1:-1], right=True)
    members = ((i, index == i) for i in np.unique(index))
    return tuple(
        CalibrationBin(float(edges[i]), float(edges[i + 1]), int(m.sum()), float(confidence[m].mean()), float(correct[m].mean()))
        for i, m in members
    )


def _mean_ranks(values: Floats) -> Doubles:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def _correlation(a: Doubles, b: Doubles) -> float:
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(np.clip(a @ b / scale, -1, 1)) if scale else 0.0
