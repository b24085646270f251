"""A loaded model as the engine, the evaluation and publishing see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tunesmith_trainer.data.batches import collate
from tunesmith_trainer.data.rows import Rows
from tunesmith_trainer.engine.types import Batch, device_of
from tunesmith_trainer.run import Run


@dataclass(frozen=True)
class Task:
    """What a method needs to know besides the base model."""

    labels: tuple[str, ...]
    """Names of the labels in id order; empty for regression."""
    dtype: torch.dtype
    device: torch.device
    dropout: float
    activation_checkpointing: bool
    seed: int
    attention: str
    """transformers' name of the attention to use."""
    pad_id: int
    max_length: int
    """Most tokens of a row."""
    skeleton: bool = False
    """Build the modules without their weights (on torch's meta device), to count and measure."""


class ModuleLearner:
    """A transformers (or PEFT) sequence classifier."""

    def __init__(self, module: nn.Module, *, final: nn.Linear, head: frozenset[str], pad_id: int, write: Callable[[Path], None]) -> None:
        self.module = module
        self.final = final
        """The layer that gives the outputs."""
        self._head = head
        self._pad_id = pad_id
        self._write = write

    def is_head(self, name: str) -> bool:
        """Whether the parameter belongs to the fresh head, which has a learning rate of its own."""
        return name in self._head

    def logits(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Outputs of shape [rows, outputs], float32."""
        outputs: Any = self.module(**inputs)
        logits: Tensor = outputs.logits
        return logits.float()

    def cache(self, rows: Rows, run: Run) -> None:
        """Compute once what no training step changes; here nothing is."""

    def inputs(self, rows: Rows, indices: np.ndarray) -> dict[str, Tensor]:
        """What logits() takes for the rows, padded to the longest of them, on the module's device."""
        device = device_of(self.module)
        arrays = collate(rows, indices, self._pad_id)
        return {name: torch.from_numpy(array).to(device, non_blocking=True) for name, array in arrays.items()}

    def write(self, folder: Path) -> None:
        """Write the artifact's model/ or adapter/ below the folder, in Hugging Face layout."""
        self._write(folder)


def assemble(learner: ModuleLearner, rows: Rows, targets: np.ndarray, indices: np.ndarray) -> Batch:
    """The batch of the given rows; targets has one value for each of all rows."""
    lengths = rows.lengths[indices]
    return Batch(
        rows=indices,
        inputs=learner.inputs(rows, indices),
        targets=torch.from_numpy(targets[indices]).to(device_of(learner.module)),
        tokens=int(lengths.sum()),
        padded_tokens=int(lengths.max()) * len(indices),
    )
