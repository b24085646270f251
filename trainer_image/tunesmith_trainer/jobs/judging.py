"""How a learner is judged during training and at its end, in the unit and the names of the user's data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tunesmith_api.tuning import SMALLER_IS_BETTER, TuningSpec
from tunesmith_trainer.data.prepare import PreparedData
from tunesmith_trainer.data.rows import Rows
from tunesmith_trainer.engine.loop import Judge
from tunesmith_trainer.evaluation import baseline
from tunesmith_trainer.evaluation.errors import WorstError, worst_answers, worst_numbers
from tunesmith_trainer.evaluation.metrics import ClassificationScores, classification, regression
from tunesmith_trainer.evaluation.slices import Slice, by_value
from tunesmith_trainer.models.heads import Scaling
from tunesmith_trainer.models.learner import ModuleLearner
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


class Examiner:
    """Measures one learner on the evaluation rows."""

    def __init__(self, learner: ModuleLearner, data: PreparedData, rows: Rows, scaling: Scaling) -> None:
        self._learner = learner
        self._data = data
        self._rows = rows
        self._scaling = scaling

    def metrics(self) -> dict[str, float]:
        """The scalars of the learner as it is now."""
        return self._scalars(self._outputs(), self._rows.targets)

    def verdict(self, slices: tuple[str, ...]) -> Verdict:
        """All that the report shows of the learner as it is now."""
        outputs, targets = self._outputs(), self._rows.targets
        scores = classification(outputs, targets) if self._data.labels else None
        worst = worst_answers(scores, targets, self._data.labels, self._rows) if scores else worst_numbers(outputs, targets, self._rows)
        return Verdict(
            metrics=scores.scalars if scores else self._scalars(outputs, targets),
            base_metrics=self._baseline(),
            worst=worst,
            slices={
                column: by_value(self._rows.slice_values(column), lambda rows: self._scalars(outputs[rows], targets[rows]))
                for column in slices
            },
            classification=scores,
        )

    def _outputs(self) -> np.ndarray:
        """Logits [rows, classes], or numbers [rows] in the unit of the targets."""
        outputs = predict(self._learner, self._rows)
        return outputs if self._data.labels else outputs[:, 0] * self._scaling.std + self._scaling.mean

    def _scalars(self, outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        return classification(outputs, targets).scalars if self._data.labels else regression(outputs, targets)

    def _baseline(self) -> dict[str, float]:
        train, targets = self._data.train.targets, self._rows.targets
        if self._data.labels:
            return baseline.majority(train, targets, len(self._data.labels)).scalars
        return baseline.mean(train, targets)


def judge(spec: TuningSpec, examiner: Examiner, *, steps_per_epoch: int) -> Judge:
    """The examiner's part in training, as the spec asks for it."""
    policy = spec.evaluation
    return Judge(
        evaluate=examiner.metrics,
        metric=spec.selection_metric,
        smaller_is_better=spec.selection_metric in SMALLER_IS_BETTER,
        every_steps=policy.every_steps or steps_per_epoch,
        patience=policy.early_stopping.patience if policy.early_stopping else None,
    )
