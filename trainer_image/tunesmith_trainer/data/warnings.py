"""What in a data report deserves a person's attention, in sentences with numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tunesmith_api.plan import DataReport
from tunesmith_trainer.data.oddities import EXPLAINED

FEW_EVALUATION_ROWS = 100
UNBALANCED = 20


@dataclass(frozen=True)
class Observed:
    """What was seen beside the numbers of the report."""

    kept: int
    """Rows that stay in training because the split would have lost their label."""
    lookalikes: tuple[tuple[str, str], ...]
    """Labels that differ only in case or white space."""


def warnings(report: DataReport, observed: Observed) -> tuple[str, ...]:
    """Every warning that the report gives rise to."""
    return (*_left_out(report), *_evaluation(report, observed), *_labels(report, observed), *_repeats(report), *_oddities(report))


def _left_out(report: DataReport) -> Iterator[str]:
    total = report.train_rows + report.evaluation_rows
    bad, dropped, cut = report.bad_rows, report.dropped_too_long, report.truncated
    if bad:
        yield f"{_share(bad, total + bad)} cannot be used and {_are(bad)} left out."
    if cut:
        yield f"{_share(cut, total)} {_are(cut)} longer than {report.max_length} tokens and will be cut."
    if dropped:
        yield f"{_share(dropped, total + dropped)} {_are(dropped)} longer than {report.max_length} tokens and left out."


def _evaluation(report: DataReport, observed: Observed) -> Iterator[str]:
    if not report.evaluation_rows:
        yield "There are no evaluation rows, so nothing will tell how good the model is: see dataset.evaluation and evaluationFraction."
    elif report.evaluation_rows < FEW_EVALUATION_ROWS:
        count = report.evaluation_rows
        yield f"There {_are(count)} only {_rows(count, 'evaluation ')}; a score on so few is a rough guess."
    if observed.kept:
        yield f"{_rows(observed.kept)} meant for evaluation {_verb(observed.kept, 'stays', 'stay')} in training: no other has the label."
    if report.overlap:
        share = _share(report.overlap, report.evaluation_rows, "evaluation ")
        yield f"{share} {_are(report.overlap)} also in the training rows; the score will flatter the model."


def _labels(report: DataReport, observed: Observed) -> Iterator[str]:
    if rare := report.rare_labels:
        yield f"{len(rare)} {_verb(len(rare), 'label has', 'labels have')} fewer than 10 training rows: {_some(rare)}."
    if report.labels and report.labels[0].train > UNBALANCED * max(1, report.labels[-1].train):
        most, least = report.labels[0], report.labels[-1]
        yield f'The labels are unbalanced: "{most.label}" has {most.train:,} training rows, "{least.label}" has {least.train:,}.'
    if len(report.labels) > max(20, report.train_rows // 4):
        yield f"There are {len(report.labels)} labels for {report.train_rows:,} training rows; is this the right column?"
    unseen = [count.label for count in report.labels if not count.evaluation] if report.evaluation_rows else []
    if unseen:
        verb = _verb(len(unseen), "label has", "labels have")
        yield f"{len(unseen)} {verb} no evaluation row, so nothing tells how well they are learnt: {_some(unseen)}."
    for one, other in observed.lookalikes[:5]:
        yield f"The labels {one!r} and {other!r} differ only in case or white space; they are learnt as two."


def _repeats(report: DataReport) -> Iterator[str]:
    found, rows = report.duplicates, report.train_rows
    if found.exact * 100 > rows:
        yield f"{_share(found.exact, rows, 'training ')} {_verb(found.exact, 'repeats', 'repeat')} an earlier one."
    if found.near * 100 > rows:
        share = _share(found.near, rows, "training ")
        yield f"{share} {_verb(found.near, 'repeats', 'repeat')} an earlier one but for case, punctuation or white space."
    if found.conflicting:
        verb = _verb(found.conflicting, "text carries", "texts carry")
        yield f"{found.conflicting} {verb} more than one label; the model cannot learn both."


def _oddities(report: DataReport) -> Iterator[str]:
    for odd in report.oddities:
        yield f"{_rows(odd.rows)} {_verb(odd.rows, *EXPLAINED[odd.kind])}, first at {odd.example}."


def _share(rows: int, total: int, kind: str = "") -> str:
    share = 100 * rows / max(1, total)
    return f"{_rows(rows, kind)} ({'under 0.1' if share < 0.1 else f'{share:.1f}'} %)"


def _rows(rows: int, kind: str = "") -> str:
    return f"{rows:,} {kind}{'row' if rows == 1 else 'rows'}"


def _are(count: int) -> str:
    return _verb(count, "is", "are")


def _verb(count: int, one: str, many: str) -> str:
    return one if count == 1 else many


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:10]) + (f" and {len(listed) - 10} more" if len(listed) > 10 else "")
