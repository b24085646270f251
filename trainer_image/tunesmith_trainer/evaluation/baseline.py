"""What a model that never reads its input would score: the majority class, or the mean, of the training rows."""

from __future__ import annotations

import numpy as np

from tunesmith_trainer.evaluation.metrics import ClassificationScores, Doubles, Ints, classification, regression


def majority(train_targets: Ints, targets: Ints, classes: int) -> ClassificationScores:
    """Score the training rows' class frequencies as the answer to every row: its top class is the most frequent one.

    A class without a training row counts as half a row, so that the loss is finite.
    """
    counts = np.maximum(np.bincount(train_targets, minlength=classes), 0.5)
    frequencies = np.log(counts / counts.sum())
    return classification(np.broadcast_to(frequencies, (len(targets), classes)), targets)


def mean(train_targets: Doubles, targets: Doubles) -> dict[str, float]:
    """Score the mean of the training targets as the answer to every row."""
    return regression(np.full(len(targets), train_targets.mean()), targets)
