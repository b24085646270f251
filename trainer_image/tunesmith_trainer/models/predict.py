"""Outputs for many rows at once, without gradients."""

from __future__ import annotations

import numpy as np
import torch

from tunesmith_trainer.data.batches import length_sorted
from tunesmith_trainer.data.rows import Rows
from tunesmith_trainer.models.learner import ModuleLearner

ROWS = 128
"""Rows computed at once."""


def predict(learner: ModuleLearner, rows: Rows) -> np.ndarray:
    """The learner's outputs for every row, in the order of the rows: [rows, outputs], float32.

    Rows are computed with others of about their length, so that little is padding.
    """
    was_training = learner.module.training
    learner.module.eval()
    outputs: np.ndarray | None = None
    with torch.no_grad():
        for indices in length_sorted(rows.lengths, ROWS):
            values = learner.logits(learner.inputs(rows, indices)).cpu().numpy()
            if outputs is None:
                outputs = np.empty((len(rows), values.shape[1]), dtype=np.float32)
            outputs[indices] = values
    learner.module.train(was_training)
    return outputs if outputs is not None else np.empty((0, 0), dtype=np.float32)
