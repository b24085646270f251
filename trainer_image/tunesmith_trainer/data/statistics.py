"""Numbers of the data report: lengths, label balance, duplicates, overlap. Pure functions of the rows' facts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tunesmith_api.plan import Duplicate, Duplicates, LabelCount, Lengths
from tunesmith_trainer.data.ledger import Facts

SHOWN = 5
CUT = 300


def lengths(tokens: NDArray[np.int32]) -> Lengths:
    """Distribution of the tokens of a row."""
    p50, p95, p99 = (int(value) for value in np.percentile(tokens, (50, 95, 99), method="nearest"))
    return Lengths(p50=p50, p95=p95, p99=p99, max=int(tokens.max()), mean=round(float(tokens.mean()), 2))


def label_counts(met: tuple[str, ...], train: Facts, evaluation: Facts | None) -> tuple[LabelCount, ...]:
    """Rows of each label in both sets, most frequent in training first."""
    learnt = np.bincount(train.targets, minlength=len(met))
    judged = np.bincount(evaluation.targets, minlength=len(met)) if evaluation is not None else np.zeros(len(met), np.int64)
    order = sorted(range(len(met)), key=lambda i: (-learnt[i], met[i]))
    return tuple(LabelCount(label=met[i], train=int(learnt[i]), evaluation=int(judged[i])) for i in order)


def duplicates(facts: Facts, text: Callable[[int], str], *, labelled: bool) -> Duplicates:
    """Repeated texts; `text` gives that of a row."""
    order = np.argsort(facts.exact, kind="stable")
    ordered = facts.exact[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    sizes = np.diff(np.append(starts, len(ordered)))
    most = [i for i in np.argsort(-sizes, kind="stable")[:SHOWN] if sizes[i] > 1]
    return Duplicates(
        exact=len(ordered) - len(starts),
        near=max(0, len(starts) - len(np.unique(facts.near))),
        conflicting=_conflicting(facts.targets[order], starts) if labelled else 0,
        examples=tuple(Duplicate(text=text(int(order[starts[i]]))[:CUT], rows=int(sizes[i])) for i in most),
    )


def overlap(train: Facts, evaluation: Facts | None) -> int:
    """Evaluation rows whose text is also in the training rows."""
    return 0 if evaluation is None else int(np.isin(evaluation.exact, train.exact).sum())


def _conflicting(targets: NDArray[np.int32], starts: NDArray[np.int64]) -> int:
    """Groups of equal texts whose targets differ."""
    return int((np.minimum.reduceat(targets, starts) != np.maximum.reduceat(targets, starts)).sum())
