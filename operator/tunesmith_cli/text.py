"""How things read: numbers with units, and foreign text made safe for a terminal."""

from __future__ import annotations

import re

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|[@-Z\\-_]?)")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def clean(text: str) -> str:
    """One line without escape sequences, control characters or marks that turn the direction of writing."""
    return _CONTROLS.sub(" ", _ESCAPES.sub("", text)).strip()


def clean_lines(text: str) -> str:
    """The same for a text of several lines, which stay."""
    return "\n".join(clean(line) for line in text.splitlines())


def duration(seconds: float) -> str:
    """A time as people say it: 8 s, 2 min 30 s, 1 h 5 min."""
    whole = max(0, round(seconds))
    minutes, hours = whole // 60, whole // 3600
    if whole < 100:
        return f"{whole} s"
    return f"{minutes} min {whole % 60} s" if hours == 0 else f"{hours} h {minutes % 60} min"


def size(count: float) -> str:
    """Bytes in decimal units: 512 B, 87.3 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}" if unit != "B" else f"{count:.0f} B"
        count /= 1000
    return f"{count:,.2f} TB"


def count(number: float) -> str:
    """A large number in short: 950, 22.7M, 1.24B."""
    for unit in ("", "k", "M", "B"):
        if abs(number) < 1000:
            return f"{number:.3g}{unit}"
        number /= 1000
    return f"{number:,.1f}T"


def several(number: int, noun: str) -> str:
    """A number and its noun: 1 row, 10,003 rows."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def metrics(values: dict[str, float]) -> str:
    """Metrics in one line."""
    return ", ".join(f"{clean(name)} {value:.4g}" for name, value in values.items())
