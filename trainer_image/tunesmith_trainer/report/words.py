"""Numbers and texts in plain words, with their units."""

from __future__ import annotations

import re
from typing import NamedTuple

from tunesmith_trainer.evaluation.headline import NAMES

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


class MetricWords(NamedTuple):
    """How a metric is spoken of."""

    name: str
    hint: str
    percent: bool


_HINTS = {
    "accuracy": "share of rows answered right",
    "macroF1": "mean F1 of the labels (high when each is found and not given to others); rare labels count like frequent ones",
    "calibrationError": "how far the stated confidence is from how often the answer is right; 0 is perfect, and easy for a constant answer",
    "mae": "mean absolute error: how far a prediction is off on average, in the target's own unit",
    "rmse": "like MAE, but large errors weigh more; in the target's own unit",
    "r2": "share of the target's variance that is explained; 1 is perfect, 0 is no better than the mean",
    "spearman": "how well the order of the rows is met; 1 is the same order",
}
_LOSS_HINTS = {True: "mean surprise at the truth (cross-entropy in nats); 0 is perfect", False: "mean squared error"}


def metric_words(metric: str, classification: bool) -> MetricWords:
    """Name, hint and unit of a metric."""
    name = NAMES.get(metric, metric)
    hint = _LOSS_HINTS[classification] if metric == "loss" else _HINTS.get(metric, "")
    return MetricWords(name[:1].upper() + name[1:], hint, metric in {"accuracy", "calibrationError"})


def metric_value(metric: str, value: float) -> str:
    """A metric's value: a percentage where it is a share of rows, else a number of three decimals or four digits."""
    if metric in {"accuracy", "calibrationError"}:
        return percent(value)
    return f"{value:z.3f}" if abs(value) < 10 else number(value)


def percent(share: float) -> str:
    """A share of 1 as a percentage."""
    return f"{100 * share:.1f} %"


def size(count: int) -> str:
    """Bytes, in the largest unit that leaves a whole number."""
    value, unit = float(count), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:,.0f} {_UNITS[unit]}" if unit == 0 or value >= 100 else f"{value:.1f} {_UNITS[unit]}"


def duration(seconds: float) -> str:
    """A time span in its two largest units."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"


def number(value: float) -> str:
    """A number of at most four digits, thousands apart."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"


def printable(text: str) -> str:
    """The text without characters that neither XML nor HTML may hold."""
    return _UNPRINTABLE.sub("\ufffd", text)


def cut(text: str, most: int = 300) -> str:
    """The text, printable and at most so long."""
    text = printable(text)
    return text if len(text) <= most else text[: most - 1] + "…"
