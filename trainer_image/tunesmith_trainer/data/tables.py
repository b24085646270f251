"""Reads csv and tsv: every record with the line it starts on, whatever stands in its fields."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import chain
from operator import itemgetter
from typing import Any

from tunesmith_trainer.data.batch import ROWS, RawBatch
from tunesmith_trainer.data.columns import Wanted, locate
from tunesmith_trainer.data.lines import MAX_RECORD, Lines
from tunesmith_trainer.data.problems import invalid

DELIMITERS = {"csv": ",", "tsv": "\t"}


def read_table(lines: Lines, form: str, wants: Wanted) -> Iterator[RawBatch]:
    """The rows below the header, in batches."""
    csv.field_size_limit(MAX_RECORD)
    table = _Table(lines, DELIMITERS[form])
    header = table.header()
    places = locate(wants, header, lines.name)
    while not table.done:
        records, starts, bad = table.take(len(header))
        yield RawBatch({name: list(map(itemgetter(place), records)) for name, place in places.items()}, starts, bad)


class _Table:
    """The csv module's reader, and the line that the next record starts on."""

    def __init__(self, lines: Lines, delimiter: str) -> None:
        self._lines = lines
        self._reader: Any = csv.reader(chain.from_iterable(lines.blocks()), delimiter=delimiter, strict=True)
        self._start = 1
        self.done = False

    def header(self) -> list[str]:
        name = self._lines.name
        try:
            header: list[str] = next(record for record in self._reader if record or self._reader.line_num in self._lines.unusable)
        except csv.Error as error:
            raise invalid(f"{name}:1: the header cannot be read: {error}", "Fix the first line: it must name the columns.") from error
        except StopIteration:
            raise invalid(f"{name}: is empty", "Give a file that holds rows.") from None
        if reason := self._lines.unusable.get(self._reader.line_num):
            raise invalid(f"{name}:{self._reader.line_num}: the header {reason}", "Fix the first line: it must name the columns, in UTF-8.")
        self._start = self._reader.line_num + 1
        return header

    def take(self, width: int) -> tuple[list[list[str]], list[int], list[tuple[int, str]]]:
        """Some records of this width with the line that each starts on, and those that cannot be used."""
        records: list[list[str]] = []
        starts: list[int] = []
        bad: list[tuple[int, str]] = []
        full = False
        while not full:
            try:
                full = self._fill(records, starts)
            except csv.Error as error:
                self._refuse_open_quote(error)
                bad.append((self._start, str(error)))
                self._start = self._reader.line_num + 1
        if self._lines.unusable or set(map(len, records)) != {width}:
            return self._sort_out(records, starts, bad, width)
        return records, starts, bad

    def _fill(self, records: list[list[str]], starts: list[int]) -> bool:
        """Append records until there are 10,000, a block of the file is used up (rows may be long), or the file ends."""
        reader, lines, start = self._reader, self._lines, self._start
        block = lines.blocks_read
        try:
            for record in reader:
                records.append(record)
                starts.append(start)
                start = reader.line_num + 1
                if len(records) >= ROWS or lines.blocks_read != block:
                    return True
            self.done = True
            return True
        finally:
            self._start = start

    def _refuse_open_quote(self, error: csv.Error) -> None:
        """A quote that never ends has swallowed the rest of the file: no policy can skip that."""
        if "unexpected end of data" in str(error) or "field limit" in str(error):
            message = f'{self._lines.name}:{self._start}: a quote (") that is opened in this row is never closed'
            raise invalid(message, 'Close it; inside a quoted field a quote is written twice ("").') from error

    def _sort_out(
        self, records: list[list[str]], starts: list[int], bad: list[tuple[int, str]], width: int
    ) -> tuple[list[list[str]], list[int], list[tuple[int, str]]]:
        """Leave out blank lines, and as bad the records of another width and those that an unusable line is part of."""
        unusable = self._lines.unusable
        spoiled = {line: unusable.pop(line) for line in sorted(unusable) if line < self._start}
        bad = [*bad, *spoiled.items()]
        good: list[int] = []
        ends = [*starts[1:], self._start] if starts else []
        for i, (record, end) in enumerate(zip(records, ends, strict=True)):
            if any(starts[i] <= line < end for line in spoiled):
                continue
            if len(record) == width:
                good.append(i)
            elif record:
                bad.append((starts[i], f"has {len(record)} fields, the header has {width}"))
        return [records[i] for i in good], [starts[i] for i in good], bad
