"""The few numbers that are kept of every row of a set, from which the report and the split are made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith_trainer.data.fingerprints import Fingerprints


@dataclass
class Facts:
    """One number a row, of all rows of a set."""

    exact: Fingerprints
    """Of the text (or pair)."""
    near: NDArray[np.int64]
    """But for case, punctuation and white space."""
    first: Fingerprints
    """Of the first text alone: what the split goes by."""
    targets: NDArray[Any]
    """Provisional label ids, or the numbers."""
    tokens: NDArray[np.int32]
    """Before maxLength cuts."""

    def pick(self, index: NDArray[np.int64]) -> Facts:
        """The facts of some rows."""
        picked = Facts(self.exact, self.near, self.first, self.targets, self.tokens)
        picked.keep(index)
        return picked

    def keep(self, index: NDArray[np.int64]) -> None:
        """Drop the facts of all other rows, one column after another, so that they are never held twice."""
        shared = self.first is self.exact
        self.exact = self.exact[index]
        self.first = self.exact if shared else self.first[index]
        self.near = self.near[index]
        self.targets = self.targets[index]
        self.tokens = self.tokens[index]

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass
class Ledger:
    """Facts while they are gathered, batch by batch."""

    batches: list[Facts] = field(default_factory=list)

    def facts(self) -> Facts:
        """All of them, end to end; the batches are given up."""
        batches, self.batches = self.batches, []
        columns = {name: [getattr(batch, name) for batch in batches] for name in ("near", "targets", "tokens", "exact", "first")}
        shared = all(batch.exact is batch.first for batch in batches)
        batches.clear()
        joined = {name: np.concatenate(columns.pop(name)) for name in ("near", "targets", "tokens", "exact")}
        return Facts(**joined, first=joined["exact"] if shared else np.concatenate(columns["first"]))
