"""What a reader gives: some rows of a file, column by column, unchecked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

ROWS = 10_000


@dataclass(frozen=True)
class RawBatch:
    """Values by column, the line (or row number) of each row, and rows that could not be read at all."""

    columns: dict[str, list[Any]]
    lines: list[int]
    bad: list[tuple[int, str]] = field(default_factory=list)
