"""Checks rows value by value: what stays is text, a label or a finite number; what does not is named with its reason."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith_trainer.data.batch import RawBatch
from tunesmith_trainer.data.columns import Wanted

Reasons = dict[int, str]
SCALARS = (str, bool, int, float)
LARGEST = 1e30
"""Largest target, by its absolute value: a model's float32 must hold its scale."""


@dataclass(frozen=True)
class Checked:
    """Rows that can be used, and those of the same batch that cannot."""

    texts: list[str]
    pairs: list[str] | None
    labels: list[str]
    """Classification; empty for regression."""
    numbers: NDArray[np.float64]
    """Regression; empty for classification."""
    slices: dict[str, list[str]]
    lines: list[int]
    bad: list[tuple[int, str]]


def check(batch: RawBatch, wants: Wanted, objective: str) -> Checked:
    """Sort usable rows from others."""
    reasons: Reasons = {}
    texts = _texts(batch.columns[wants.text], wants.text, reasons)
    pairs = None if wants.pair is None else _texts(batch.columns[wants.pair], wants.pair, reasons)
    labels, numbers = [], np.zeros(0)
    if objective == "classification":
        labels = _labels(batch.columns[wants.label], wants.label, reasons)
    else:
        numbers = _numbers(batch.columns[wants.label], wants.label, reasons)
    slices = {name: _slice(batch.columns[name]) for name in wants.slices}
    if not reasons:
        return Checked(texts, pairs, labels, numbers, slices, batch.lines, batch.bad)
    keep = [i for i in range(len(texts)) if i not in reasons]
    return Checked(
        texts=_pick(texts, keep),
        pairs=None if pairs is None else _pick(pairs, keep),
        labels=_pick(labels, keep) if labels else [],
        numbers=numbers[keep] if len(numbers) else numbers,
        slices={name: _pick(values, keep) for name, values in slices.items()},
        lines=[batch.lines[i] for i in keep],
        bad=batch.bad + [(batch.lines[i], reason) for i, reason in reasons.items()],
    )


def _pick(values: list[str], keep: list[int]) -> list[str]:
    return [values[i] for i in keep]


def _each(values: list[Any], column: str, reasons: Reasons, take: Callable[[Any], Any], fallback: Any) -> list[Any]:
    """Convert row by row; `take` raises ValueError with the reason for a value that cannot be used."""
    taken = []
    for i, value in enumerate(values):
        try:
            taken.append(take(value))
        except ValueError as error:
            reasons.setdefault(i, f'"{column}" {error}')
            taken.append(fallback)
    return taken


def _texts(values: list[Any], column: str, reasons: Reasons) -> list[str]:
    if set(map(type, values)) <= {str} and _encodes("".join(values)):
        return values
    return _each(values, column, reasons, _text, "")


def _text(value: Any) -> str:
    if value is None:
        raise ValueError("is missing")
    if not isinstance(value, str):
        raise ValueError(f"is {_kind(value)}, not text")
    if not _encodes(value):
        raise ValueError("holds half of a surrogate pair (\\ud800 to \\udfff), which is no character")
    return value


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _labels(values: list[Any], column: str, reasons: Reasons) -> list[str]:
    if set(map(type, values)) <= {str} and all(label.strip() and _encodes(label) for label in set(values)):
        return values
    return _each(values, column, reasons, _label, "")


def _label(value: Any) -> str:
    label = _text(value) if value is None or isinstance(value, str) else _scalar(value)
    if not label.strip():
        raise ValueError("is empty")
    return label


def _numbers(values: list[Any], column: str, reasons: Reasons) -> NDArray[np.float64]:
    kinds = set(map(type, values))
    if kinds <= {float, int} or kinds <= {str}:
        try:
            numbers = np.array(list(map(float, values)), np.float64)
        except (ValueError, OverflowError):
            numbers = np.full(1, np.nan)
        if np.isfinite(numbers).all():
            return numbers
    return np.array(_each(values, column, reasons, _number, 0.0), np.float64)


def _number(value: Any) -> float:
    if value is None or value == "":
        raise ValueError("is missing")
    if isinstance(value, bool) or not isinstance(value, SCALARS):
        raise ValueError(f"is {_kind(value)}, not a number")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError("is too large a number") from None
    except ValueError:
        raise ValueError(f"is no number: {str(value)[:40]!r}") from None
    if not math.isfinite(number):
        raise ValueError(f"is {number}, not a finite number")
    if abs(number) > LARGEST:
        raise ValueError(f"is too large a number: {number:g}")
    return number


def _slice(values: list[Any]) -> list[str]:
    if set(map(type, values)) <= {str}:
        return values
    return ["" if value is None else str(value).encode(errors="replace").decode() for value in values]


def _scalar(value: Any) -> str:
    """A label that JSON or parquet gives as a number or a truth value, as JSON would write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("is missing (not a number)")
    if not isinstance(value, SCALARS):
        raise ValueError(f"is {_kind(value)}, not a label")
    return str(value)


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number", bytes: "binary"}
    return kinds.get(type(value), f"of type {type(value).__name__}")
