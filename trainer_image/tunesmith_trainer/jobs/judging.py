"""How a learner is judged during training and at its end, in the unit and the names of the user's data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tunesmith_api.tuning import SMALLER_IS_BETTER, TuningSpec
from tunesmith_trainer.data.rows import Rows
from tunesmith_trainer.engine.loop import Judge
from tunesmith_trainer.evaluation import baseline
from tunesmith_trainer.evaluation.errors import WorstError, worst_answers, worst_numbers
from tunesmith_trainer.evaluation.metrics import ClassificationScores, classification, regression
from tunesmith_trainer.evaluation.slices import Slice, by_value
from tunesmith_trainer.jobs.subject import Subject
from tunesmith_trainer.models.predict import predict


@dataclass(frozen=True)
class Verdict:
    """What the evaluation rows say about the model."""

    metrics: dict[str, float]
    base_metrics: dict[str, float]
    worst: list[WorstError]
    slices: dict[str, list[Slice]]
    classification: ClassificationScores | None
    """The details, where labels are predicted."""


def judge(spec: TuningSpec, subject: Subject, *, steps_per_epoch: int) -> Judge | None:
    """The evaluation's part in training, as the spec asks for it; None without evaluation rows."""
    rows, policy = subject.data.evaluation, spec.evaluation
    if rows is None:
        return None
    return Judge(
        evaluate=lambda: _scalars(subject, _answers(subject, rows), rows.targets),
        metric=spec.selection_metric,
        smaller_is_better=spec.selection_metric in SMALLER_IS_BETTER,
        every_steps=policy.every_steps or steps_per_epoch,
        patience=policy.early_stopping.patience if policy.early_stopping else None,
    )


def examine(subject: Subject, slices: tuple[str, ...]) -> Verdict | None:
    """All that the report shows of the learner as it is now; None without evaluation rows."""
    rows = subject.data.evaluation
    if rows is None:
        return None
    answers, targets = _answers(subject, rows), rows.targets
    scores = classification(answers, targets) if subject.data.labels else None
    return Verdict(
        metrics=scores.scalars if scores else _scalars(subject, answers, targets),
        base_metrics=_baseline(subject, targets),
        worst=worst_answers(scores, targets, subject.data.labels, rows) if scores else worst_numbers(answers, targets, rows),
        slices={
            column: by_value(rows.slice_values(column), lambda some: _scalars(subject, answers[some], targets[some])) for column in slices
        },
        classification=scores,
    )


def _answers(subject: Subject, rows: Rows) -> np.ndarray:
    return subject.in_units(predict(subject.learner, rows))


def _scalars(subject: Subject, answers: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    return classification(answers, targets).scalars if subject.data.labels else regression(answers, targets)


def _baseline(subject: Subject, targets: np.ndarray) -> dict[str, float]:
    train = subject.data.train.targets
    if subject.data.labels:
        return baseline.majority(train, targets, len(subject.data.labels)).scalars
    return baseline.mean(train, targets)
