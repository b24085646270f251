"""A learner together with its data and the unit of its targets: what a job trains, judges and publishes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tunesmith_api.methods import Method
from tunesmith_trainer.data.prepare import PreparedData
from tunesmith_trainer.jobs.preflight import Ready
from tunesmith_trainer.models.heads import Scaling, fold_scale, target_scaling
from tunesmith_trainer.models.learner import ModuleLearner
from tunesmith_trainer.models.methods import apply

AS_IS = Scaling(mean=0.0, std=1.0)


@dataclass(frozen=True)
class Subject:
    """The learner answers in labels, or in standardised numbers until `settle` folds the scale into its head."""

    learner: ModuleLearner
    data: PreparedData
    scaling: Scaling

    @property
    def targets(self) -> np.ndarray:
        """What the loss is computed against, [rows]: label ids, or standardised numbers (float32)."""
        targets = self.data.train.targets
        return targets if self.data.labels else ((targets - self.scaling.mean) / self.scaling.std).astype(np.float32)

    def in_units(self, outputs: np.ndarray) -> np.ndarray:
        """The learner's outputs as answers: logits [rows, classes] as they are, numbers [rows] in the unit of the data."""
        return outputs if self.data.labels else outputs[:, 0] * self.scaling.std + self.scaling.mean

    def settle(self) -> None:
        """Change the head so that the published model answers in the unit of the data."""
        if not self.data.labels:
            fold_scale(self.learner.final, self.scaling)


def load_subject(ready: Ready, method: Method) -> Subject:
    """Load the base model and make the method's parameters trainable."""
    learner = apply(ready.base, method, ready.task)
    if ready.data.labels:
        return Subject(learner, ready.data, AS_IS)
    return Subject(learner, ready.data, target_scaling(ready.data.train.targets, has_bias=learner.final.bias is not None))
