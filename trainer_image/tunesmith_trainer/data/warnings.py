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
    return tuple([*_rows(report, observed), *_labels(report, observed), *_repeats(report), *_oddities(report)])


def _rows(report: DataReport, observed: Observed) -> Iterator[str]:
    total = report.train_rows + report.evaluation_rows
    if report.bad_rows:
        yield f"{_share(report.bad_rows, total + report.bad_rows)} cannot be used and {_verb(report.bad_rows, 'is', 'are')} left out."
    if report.truncated:
        yield f"{_share(report.truncated, total)} {_verb(report.truncated, 'is', 'are')} longer than {report.max_length} tokens and will be cut."
    if report.dropped_too_long:
        dropped = report.dropped_too_long
        yield f"{_share(dropped, total + dropped)} {_verb(dropped, 'is', 'are')} longer than {report.max_length} tokens and left out."
    if not report.evaluation_rows:
        yield "There are no evaluation rows, so nothing will tell how good the model is; give dataset.evaluation or dataset.evaluationFraction."
    elif report.evaluation_rows < FEW_EVALUATION_ROWS:
        yield f"There are only {report.evaluation_rows} evaluation rows; a score on so few is a rough guess."
    if observed.kept:
        yield f"{_rows_word(observed.kept)} would have been set aside for evaluation but stay in training, since no other row has their label."


def _labels(report: DataReport, observed: Observed) -> Iterator[str]:
    if report.rare_labels:
        count = len(report.rare_labels)
        yield f"{count} {_verb(count, 'label has', 'labels have')} fewer than 10 training rows: {_some(report.rare_labels)}."
    if report.labels and report.labels[0].train > UNBALANCED * max(1, report.labels[-1].train):
        most, least = report.labels[0], report.labels[-1]
        yield f'The labels are unbalanced: "{most.label}" has {most.train:,} training rows, "{least.label}" has {least.train:,}.'
    if len(report.labels) > max(20, report.train_rows // 4):
        yield f"There are {len(report.labels)} labels for {report.train_rows:,} training rows; is this the right column?"
    unseen = [count.label for count in report.labels if not count.evaluation] if report.evaluation_rows else []
    if unseen:
        yield f"{len(unseen)} {_verb(len(unseen), 'label has', 'labels have')} no evaluation row, so nothing tells how well they are learnt: {_some(unseen)}."
    for one, other in observed.lookalikes[:5]:
        yield f"The labels {one!r} and {other!r} differ only in case or white space; they are learnt as two."


def _repeats(report: DataReport) -> Iterator[str]:
    found = report.duplicates
    if found.exact * 100 > report.train_rows:
        yield f"{_share(found.exact, report.train_rows, 'training ')} {_verb(found.exact, 'repeats', 'repeat')} an earlier one."
    if found.near * 100 > report.train_rows:
        verb = _verb(found.near, "differs", "differ")
        yield f"{_share(found.near, report.train_rows, 'training ')} {verb} from an earlier one only in case, punctuation or white space."
    if found.conflicting:
        yield f"{found.conflicting} {_verb(found.conflicting, 'text carries', 'texts carry')} more than one label; the model cannot learn both."
    if report.overlap:
        verb = _verb(report.overlap, "is", "are")
        yield f"{_share(report.overlap, report.evaluation_rows, 'evaluation ')} {verb} also in the training rows; the score will flatter the model."


def _oddities(report: DataReport) -> Iterator[str]:
    for odd in report.oddities:
        yield f"{_rows_word(odd.rows)} {EXPLAINED[odd.kind]}, first at {odd.example}."


def _share(rows: int, total: int, kind: str = "") -> str:
    share = 100 * rows / max(1, total)
    return f"{_rows_word(rows, kind)} ({'under 0.1' if share < 0.1 else f'{share:.1f}'} %)"


def _rows_word(rows: int, kind: str = "") -> str:
    return f"{rows:,} {kind}{'row' if rows == 1 else 'rows'}"


def _verb(count: int, one: str, many: str) -> str:
    return one if count == 1 else many


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:10]) + (f" and {len(listed) - 10} more" if len(listed) > 10 else "")
