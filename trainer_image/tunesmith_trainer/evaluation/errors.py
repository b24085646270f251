"""The worst errors: where the model was surest and wrong, or furthest off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tunesmith_trainer.evaluation.metrics import ClassificationScores, Doubles, Floats, Ints

WORST = 10


class Texts(Protocol):
    """Rows that can be shown."""

    def text(self, row: int) -> str:
        """Text of a row."""
        ...

    def source(self, row: int) -> tuple[str, int]:
        """File and line that a row came from."""
        ...


@dataclass(frozen=True)
class WorstError:
    """One row that the model got wrong."""

    row: int
    text: str
    truth: str
    predicted: str
    file: str
    line: int
    confidence: float | None = None
    """Classification: the probability that the model gave its wrong answer."""
    error: float | None = None
    """Regression: prediction less truth."""


def worst_answers(
    scores: ClassificationScores, targets: Ints, labels: tuple[str, ...], texts: Texts, most: int = WORST
) -> list[WorstError]:
    """The most confident wrong answers, surest first."""
    wrong = np.flatnonzero(scores.predicted != targets)
    surest = wrong[np.argsort(-scores.confidence[wrong], kind="stable")][:most]
    return [
        WorstError(
            row,
            texts.text(row),
            labels[targets[row]],
            labels[scores.predicted[row]],
            *texts.source(row),
            confidence=float(scores.confidence[row]),
        )
        for row in surest.tolist()
    ]


def worst_numbers(predictions: Floats, targets: Doubles, texts: Texts, most: int = WORST) -> list[WorstError]:
    """The predictions furthest from the truth, furthest first; exact ones are left out."""
    errors = predictions.astype(np.float64) - targets
    furthest = np.argsort(-np.abs(errors), kind="stable")[:most]
    return [
        WorstError(row, texts.text(row), f"{targets[row]:.6g}", f"{predictions[row]:.6g}", *texts.source(row), error=float(errors[row]))
        for row in furthest.tolist()
        if errors[row] != 0
    ]
