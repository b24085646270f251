"""From scores to the sections of a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunesmith_trainer.evaluation.errors import WorstError
from tunesmith_trainer.evaluation.metrics import ClassificationScores
from tunesmith_trainer.evaluation.slices import Slice
from tunesmith_trainer.report.document import BinReport, ClassReport, ConfusedPair, ErrorReport, SliceReport

MOST_CONFUSION_LABELS = 256
MOST_PAIRS = 50


def classification_sections(scores: ClassificationScores, labels: tuple[str, ...]) -> dict[str, Any]:
    """The fields of Report that only a classifier has."""
    matrix = tuple(map(tuple, scores.confusion.tolist())) if len(labels) <= MOST_CONFUSION_LABELS else ()
    return {
        "labels": labels,
        "per_class": tuple(
            ClassReport(label=label, precision=c.precision, recall=c.recall, f1=c.f1, support=c.support)
            for label, c in zip(labels, scores.per_class, strict=True)
        ),
        "confusion": matrix,
        "confused_pairs": tuple(
            ConfusedPair(truth=labels[truth], predicted=labels[predicted], rows=rows)
            for truth, predicted, rows in scores.confused_pairs(MOST_PAIRS)
        ),
        "calibration": tuple(
            BinReport(lower=b.lower, upper=b.upper, rows=b.rows, confidence=b.confidence, accuracy=b.accuracy) for b in scores.bins
        ),
    }


def error_reports(errors: Sequence[WorstError]) -> tuple[ErrorReport, ...]:
    """The worst errors as the report shows them."""
    return tuple(
        ErrorReport(text=e.text, truth=e.truth, predicted=e.predicted, file=e.file, line=e.line, confidence=e.confidence, error=e.error)
        for e in errors
    )


def slice_reports(slices: Sequence[Slice]) -> tuple[SliceReport, ...]:
    """The slices of one column as the report shows them."""
    return tuple(SliceReport(value=s.value, rows=s.rows, metrics=s.scalars, small=s.small, folded=s.folded) for s in slices)
