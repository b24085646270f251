"""Numbers of the data report: lengths, label balance, duplicates, overlap. Pure functions of the rows' facts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith_api.plan import Duplicate, Duplicates, LabelCount, Lengths
from tunesmith_trainer.data.ledger import Facts

SHOWN = 5
CUT = 300
SPAN = 1_000_000
"""Rows compared at once."""


def lengths(tokens: NDArray[np.int32]) -> Lengths:
    """Distribution of the tokens of a row."""
    p50, p95, p99 = (int(value) for value in np.percentile(tokens, (50, 95, 99), method="nearest"))
    return Lengths(p50=p50, p95=p95, p99=p99, max=int(tokens.max()), mean=round(float(tokens.mean()), 2))


def label_counts(met: tuple[str, ...], train: Facts, evaluation: Facts | None) -> tuple[LabelCount, ...]:
    """Rows of each label in both sets, most frequent in training first; not of one whose rows were all left out."""
    learnt = np.bincount(train.targets, minlength=len(met))
    judged = np.bincount(evaluation.targets, minlength=len(met)) if evaluation is not None else np.zeros(len(met), np.int64)
    order = sorted(np.flatnonzero(learnt + judged).tolist(), key=lambda i: (-learnt[i], met[i]))
    return tuple(LabelCount(label=met[i], train=int(learnt[i]), evaluation=int(judged[i])) for i in order)


def duplicates(facts: Facts, text: Callable[[int], str], *, labelled: bool) -> Duplicates:
    """Repeated texts; `text` gives that of a row."""
    order = np.argsort(facts.exact, kind="stable")
    starts = _group_starts(facts.exact[order])
    sizes = np.diff(starts, append=len(order))
    repeated = np.flatnonzero(sizes > 1)
    most = repeated[np.argsort(-sizes[repeated], kind="stable")[:SHOWN]]
    examples = tuple(Duplicate(text=text(int(order[starts[i]]))[:CUT], rows=int(sizes[i])) for i in most)
    del sizes
    conflicting = _conflicting(facts.targets[order], starts) if labelled else 0
    del order
    near = max(0, len(starts) - len(_group_starts(np.sort(facts.near))))
    return Duplicates(exact=len(facts) - len(starts), near=near, conflicting=conflicting, examples=examples)


def overlap(train: Facts, evaluation: Facts | None) -> int:
    """Evaluation rows whose text is also in the training rows."""
    if evaluation is None:
        return 0
    texts, row_text = np.unique(evaluation.exact, return_inverse=True)
    seen = np.zeros(len(texts), np.bool_)
    for start in range(0, len(train), SPAN):
        some = train.exact[start : start + SPAN]
        place = np.minimum(np.searchsorted(texts, some), len(texts) - 1)
        seen[place[texts[place] == some]] = True
    return int(seen[row_text].sum())


def _group_starts(ordered: NDArray[Any]) -> NDArray[np.int64]:
    """Where in sorted values a new one begins."""
    return np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))


def _conflicting(targets: NDArray[np.int32], starts: NDArray[np.int64]) -> int:
    """Groups of equal texts whose targets differ."""
    return int((np.minimum.reduceat(targets, starts) != np.maximum.reduceat(targets, starts)).sum())
