"""The engine's contract with objectives, models and data: batches in, loss sums and counts out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Loss:
    """A loss summed over what it counts, so that the engine can divide by the count of the whole global batch."""

    sum: Tensor
    """Scalar with a gradient, in nats or squared units."""
    count: int
    """Rows (or tokens) that the sum runs over."""


@dataclass(frozen=True)
class Batch:
    """Rows that are computed together."""

    rows: np.ndarray
    """Indices into the training rows, shape [rows]."""
    inputs: Mapping[str, Tensor]
    """What the learner computes from, each of shape [rows, tokens, ...]."""
    targets: Tensor
    """Shape [rows]: label ids (int64) or numbers (float32)."""
    tokens: int
    """Tokens without padding."""
    padded_tokens: int
    """Tokens with padding."""


class Learner(Protocol):
    """A model of which some parameters are trained."""

    @property
    def module(self) -> nn.Module:
        """The module that holds every parameter."""

    def logits(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Outputs of shape [rows, outputs], float32."""

    def is_head(self, name: str) -> bool:
        """Whether the parameter belongs to the head, which has a learning rate of its own."""


Objective = Callable[[Learner, Batch], Loss]


def trainable(module: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that training changes, by name, in the module's order."""
    return {name: p for name, p in module.named_parameters() if p.requires_grad}


def device_of(module: nn.Module) -> torch.device:
    """The device that the module lives on."""
    return next(module.parameters()).device
