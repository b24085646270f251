"""Metrics apart for each value of a column, so that a bias is seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tunesmith_trainer.evaluation.metrics import Ints

OTHER = "(other)"
FEW_ROWS = 30


@dataclass(frozen=True)
class Slice:
    """The rows that share one value of a column."""

    value: str
    rows: int
    scalars: dict[str, float]
    small: bool
    """Fewer than 30 rows: the numbers may be chance."""
    folded: int = 0
    """How many rare values this slice stands for; 0 for a value of its own."""


def by_value(values: list[str], score: Callable[[Ints], dict[str, float]], max_values: int = 20) -> list[Slice]:
    """Score the rows of each value, most frequent first; beyond max_values the rarest share one slice "(other)"."""
    if not values:
        return []
    names, member, counts = np.unique(np.asarray(values, dtype=object), return_inverse=True, return_counts=True)
    order = sorted(range(len(names)), key=lambda i: (-counts[i], names[i]))
    shown = order if len(order) <= max_values else order[: max_values - 1]
    slices = [_slice(str(names[i]), np.flatnonzero(member == i), score) for i in shown]
    rest = order[len(shown) :]
    return [*slices, _slice(OTHER, np.flatnonzero(np.isin(member, rest)), score, len(rest))] if rest else slices


def _slice(value: str, rows: Ints, score: Callable[[Ints], dict[str, float]], folded: int = 0) -> Slice:
    return Slice(value, len(rows), score(rows), len(rows) < FEW_ROWS, folded)
