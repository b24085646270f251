"""Which columns are wanted of a file, and the message when one is not there."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field

from tunesmith_api.common import Columns
from tunesmith_trainer.data.problems import invalid


@dataclass(frozen=True)
class Wanted:
    """Columns to read, each with the field of the spec that names it."""

    text: str
    label: str
    pair: str | None = None
    slices: tuple[str, ...] = ()
    paths: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Every column once."""
        return list(self.paths)


def wanted(columns: Columns, slices: tuple[str, ...]) -> Wanted:
    """The columns that a spec asks for."""
    paths = dict.fromkeys(slices, "spec.evaluation.slices")
    paths[columns.label] = "spec.dataset.columns.label"
    if columns.text_pair is not None:
        paths[columns.text_pair] = "spec.dataset.columns.textPair"
    paths[columns.text] = "spec.dataset.columns.text"
    return Wanted(columns.text, columns.label, columns.text_pair, slices, dict(reversed(paths.items())))


def locate(wants: Wanted, header: Sequence[str], file: str) -> dict[str, int]:
    """Position of every wanted column in a header; fails for one that is missing or there twice."""
    for name in wants.names:
        if name not in header:
            raise missing(wants, name, list(header), file)
        if header.count(name) > 1:
            places = " and ".join(str(i) for i, other in enumerate(header, start=1) if other == name)
            raise invalid(
                f'{wants.paths[name]}: {file} has more than one column "{name}" (columns {places})', "Rename all but one of them."
            )
    return {name: header.index(name) for name in wants.names}


def missing(wants: Wanted, name: str, present: list[str], file: str) -> Exception:
    """The failure for a column that a file does not have."""
    shown = ", ".join(present[:20]) + (f" and {len(present) - 20} more" if len(present) > 20 else "")
    message = f'{wants.paths[name]}: {file} has no column "{name}" (it has: {shown})'
    lower = {other.lower().strip(): other for other in present}
    near = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.6)
    if len(present) == 1 and any(mark in present[0] for mark in ";\t|"):
        return invalid(message, "Separate the fields by commas (csv) or tabs (tsv), or set format.")
    return invalid(message, f'Name one of them; did you mean "{lower[near[0]]}"?' if near else "Name one of them.")
