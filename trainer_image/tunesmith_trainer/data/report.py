"""The data report: what a person should know of the data before training on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tunesmith_api.plan import DataReport, ExampleRow, LabelCount
from tunesmith_trainer.data import statistics
from tunesmith_trainer.data.ingest import Intake
from tunesmith_trainer.data.ledger import Facts
from tunesmith_trainer.data.problems import LISTED
from tunesmith_trainer.data.rows import Rows
from tunesmith_trainer.data.warnings import Observed, warnings

RARE = 10


@dataclass(frozen=True)
class Written:
    """A set of rows that is written: the rows, their facts, and what came up on the way."""

    rows: Rows
    facts: Facts
    intake: Intake | None
    """None for rows set aside from the training files."""


def build_report(
    digest: str, train: Written, evaluation: Written | None, *, met: tuple[str, ...], labelled: bool, max_length: int, kept: int
) -> DataReport:
    """Gather everything that was found out; `kept` rows stay in training because the split would have lost their label."""
    intakes = [written.intake for written in (train, evaluation) if written is not None and written.intake is not None]
    judged = evaluation.facts if evaluation is not None else None
    labels = statistics.label_counts(met, train.facts, judged) if labelled else ()
    report = DataReport(
        digest=digest,
        files=tuple(intakes[0].files),
        evaluation_files=tuple(intakes[1].files) if len(intakes) > 1 else (),
        train_rows=len(train.facts),
        evaluation_rows=len(judged) if judged is not None else 0,
        bad_rows=sum(intake.bad.count for intake in intakes),
        bad_row_examples=tuple(row for intake in intakes for row in intake.bad.examples)[:LISTED],
        dropped_too_long=sum(intake.dropped for intake in intakes),
        truncated=sum(intake.truncated for intake in intakes),
        max_length=max_length,
        train_lengths=statistics.lengths(train.facts.tokens),
        evaluation_lengths=statistics.lengths(judged.tokens) if judged is not None else None,
        labels=labels,
        rare_labels=tuple(count.label for count in labels if 0 < count.train < RARE),
        target_mean=None if labelled else float(train.facts.targets.mean()),
        target_std=None if labelled else float(train.facts.targets.std()),
        duplicates=statistics.duplicates(train.facts, train.rows.text, labelled=labelled),
        overlap=statistics.overlap(train.facts, judged),
        oddities=intakes[0].oddities.found(),
        examples=_examples(train, met, max_length, labelled=labelled),
    )
    return report.model_copy(update={"warnings": warnings(report, Observed(kept=kept, lookalikes=_lookalikes(labels)))})


def _examples(train: Written, met: tuple[str, ...], max_length: int, *, labelled: bool) -> tuple[ExampleRow, ...]:
    """Rows spread evenly over the training set."""
    chosen = np.unique(np.linspace(0, len(train.facts) - 1, statistics.SHOWN).astype(int)).tolist()
    return tuple(
        ExampleRow(
            text=train.rows.text(i)[: statistics.CUT],
            label=met[train.facts.targets[i]] if labelled else f"{train.facts.targets[i]:g}",
            tokens=min(max_length, int(train.facts.tokens[i])),
        )
        for i in chosen
    )


def _lookalikes(labels: tuple[LabelCount, ...]) -> tuple[tuple[str, str], ...]:
    """Labels that differ only in case or white space."""
    seen: dict[str, str] = {}
    pairs = []
    for count in labels:
        other = seen.setdefault(" ".join(count.label.lower().split()), count.label)
        if other != count.label:
            pairs.append((other, count.label))
    return tuple(pairs)
