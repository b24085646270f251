"""Sets rows aside for evaluation by a hash of their text: duplicates stay on one side, reruns agree."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tunesmith_trainer.data.ledger import Facts
from tunesmith_trainer.data.problems import invalid

FIELD = "spec.dataset.evaluationFraction"


def split(facts: Facts, fraction: float, *, labelled: bool) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Rows to learn from, rows to be judged by, and how many of the first stay there only because no other row has their label."""
    aside = facts.first < np.uint64(min(int(fraction * 2**64), 2**64 - 1))
    stays = 0
    if labelled and len(texts := _of_lost_labels(facts, aside)):
        returned = aside & np.isin(facts.first, texts)
        stays = int(returned.sum())
        aside &= ~returned
    if aside.all() or not aside.any():
        raise _one_sided(f"{FIELD}: {fraction} of {len(facts)} rows sets", emptied=bool(aside.all()), stays=stays)
    return np.flatnonzero(~aside), np.flatnonzero(aside), stays


def _one_sided(which: str, *, emptied: bool, stays: int) -> Exception:
    other = "or give evaluation rows of their own with spec.dataset.evaluation."
    if emptied:
        return invalid(f"{which} all aside and leaves none to learn from", f"Choose another fraction, {other}")
    if stays:
        message = f"{which} none aside: no other row has the labels of the {stays} drawn"
        return invalid(message, f"Check that spec.dataset.columns.label names a column of labels, not one of ids, {other}")
    return invalid(f"{which} none aside", f"Choose another fraction, {other}")


def _of_lost_labels(facts: Facts, aside: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """The texts of labels all of whose rows were set aside: with them there, the label could not be learnt."""
    most = int(facts.targets.max()) + 1
    lost = (np.bincount(facts.targets[~aside], minlength=most) == 0) & (np.bincount(facts.targets[aside], minlength=most) > 0)
    return np.unique(facts.first[aside & lost[facts.targets]])
