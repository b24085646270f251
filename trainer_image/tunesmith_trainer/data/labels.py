"""Gives labels numbers as they come; the sorted order that the model uses is known at the end."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tunesmith_trainer.data.problems import invalid

MOST = 65_536


class LabelIndex:
    """Labels in the order in which they were met."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}

    def number(self, labels: list[str], field: str) -> NDArray[np.int32]:
        """The provisional id of every label; new ones get the next number."""
        for label in dict.fromkeys(labels):
            self._ids.setdefault(label, len(self._ids))
        if len(self._ids) > MOST:
            raise invalid(
                f"{field}: more than {MOST} different labels; this column looks like an id", "Name the column that holds the label."
            )
        return np.fromiter(map(self._ids.__getitem__, labels), np.int32, len(labels))

    @property
    def met(self) -> tuple[str, ...]:
        """All labels; the position of one is its provisional id."""
        return tuple(self._ids)


def final_ids(met: tuple[str, ...], labels: tuple[str, ...]) -> NDArray[np.int64]:
    """From provisional ids to positions in the sorted labels; -1 for a label that no training row has."""
    places = {label: i for i, label in enumerate(labels)}
    return np.array([places.get(label, -1) for label in met], np.int64)
