"""Losses of a head over labelled rows."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from tunesmith_trainer.engine.types import Batch, Learner, Loss, Objective


def cross_entropy(logits: Tensor, targets: Tensor, *, smoothing: float = 0.0) -> Loss:
    """Cross-entropy with label smoothing (arXiv 1512.00567, section 7).

    logits: [rows, classes]; targets: [rows], int64. Of an untrained head (all logits equal) the mean is ln(classes), smoothed or not.
    """
    return Loss(sum=F.cross_entropy(logits.float(), targets, label_smoothing=smoothing, reduction="sum"), count=len(targets))


def squared_error(outputs: Tensor, targets: Tensor) -> Loss:
    """Squared error of [rows, 1] outputs against [rows] standardised targets; a head that answers 0 has a mean of 1."""
    return Loss(sum=F.mse_loss(outputs.float().squeeze(-1), targets.float(), reduction="sum"), count=len(targets))


def classification(smoothing: float) -> Objective:
    """Predict one label of a set."""

    def loss(learner: Learner, batch: Batch) -> Loss:
        return cross_entropy(learner.logits(batch.inputs), batch.targets, smoothing=smoothing)

    return loss


def regression() -> Objective:
    """Predict a number."""

    def loss(learner: Learner, batch: Batch) -> Loss:
        return squared_error(learner.logits(batch.inputs), batch.targets)

    return loss
