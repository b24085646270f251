"""Which rows a step learns from: a pure function of (data digest, seed, step)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np

from tunesmith_trainer.engine.types import Batch


class Feed:
    """The global batches of a training, in order, cut into micro-batches on demand.

    batches(epoch) gives the epoch's global batches as row indices; assemble(indices) computes a batch of them.
    """

    def __init__(self, batches: Callable[[int], list[np.ndarray]], assemble: Callable[[np.ndarray], Batch], *, epochs: int) -> None:
        self._batches = lru_cache(maxsize=1)(batches)
        self._assemble = assemble
        self.steps_per_epoch = len(self._batches(0))
        self.total_steps = self.steps_per_epoch * epochs

    def rows(self, step: int) -> np.ndarray:
        """Indices of the rows of the global batch at the step, counted from 0."""
        epoch, position = divmod(step, self.steps_per_epoch)
        return self._batches(epoch)[position]

    def micro_batches(self, step: int, size: int) -> Iterator[Batch]:
        """The step's rows in batches of at most `size` rows."""
        rows = self.rows(step)
        for start in range(0, len(rows), size):
            yield self._assemble(rows[start : start + size])
