"""Reads jsonl and json: one object a row, never more of the file in memory than one record and a block."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import Any

from tunesmith_trainer.data.batch import ROWS, RawBatch
from tunesmith_trainer.data.columns import Wanted, missing
from tunesmith_trainer.data.formats import UTF8_BOM, Source
from tunesmith_trainer.data.lines import BLOCK, MAX_RECORD, Lines
from tunesmith_trainer.data.problems import invalid

Bad = list[tuple[int, str]]
Objects = list[tuple[int, dict[str, Any]]]
KINDS = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}


def read_jsonl(lines: Lines, wants: Wanted) -> Iterator[RawBatch]:
    """The objects of a file with one on each line; blank lines are passed over."""
    number = 0
    objects: Objects = []
    bad: Bad = []
    first = True
    for block in lines.blocks():
        for line in block:
            number += 1
            _parse(line, number, lines, objects, bad)
            if len(objects) + len(bad) >= ROWS:
                yield _batch(objects, bad, wants, lines.name, first=first)
                objects, bad, first = [], [], False
        if objects or bad:
            yield _batch(objects, bad, wants, lines.name, first=first)
            objects, bad, first = [], [], False


def _parse(line: str, number: int, lines: Lines, objects: Objects, bad: Bad) -> None:
    if number in lines.unusable:
        bad.append((number, lines.unusable.pop(number)))
        return
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        if line.strip():
            bad.append((number, _malformed(error)))
        return
    if isinstance(value, dict):
        objects.append((number, value))
    else:
        bad.append((number, f"is {KINDS[type(value)]}, not an object"))


def _malformed(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        position = min(error.pos, len(error.doc.rstrip("\r\n")))
        return f"malformed JSON: {error.msg} at character {position + 1}"
    return f"malformed JSON: {error}"


def read_json(source: Source, wants: Wanted) -> Iterator[RawBatch]:
    """The objects of a file that is one array of them; the place of a row is its number."""
    objects: Objects = []
    bad: Bad = []
    first = True
    window, block = _Window(source), 0
    for number, value in enumerate(_elements(window), start=1):
        if isinstance(value, dict):
            objects.append((number, value))
        else:
            bad.append((number, f"is {KINDS[type(value)]}, not an object"))
        if len(objects) + len(bad) >= ROWS or window.blocks_read != block:
            yield _batch(objects, bad, wants, source.name, first=first)
            objects, bad, first, block = [], [], False, window.blocks_read
    if objects or bad:
        yield _batch(objects, bad, wants, source.name, first=first)


def _elements(window: _Window) -> Iterator[Any]:
    """The elements of one JSON array, decoded one by one from a buffer of at most one record and a block."""
    if window.next_mark() != "[":
        raise window.malformed("expected an array of objects: [{...}, ...]")
    window.advance(1)
    if window.next_mark() == "]":
        return
    while True:
        yield window.element()
        mark = window.next_mark()
        if mark == "]":
            return
        if mark != ",":
            raise window.malformed('expected "," or "]" after this row' if mark else "the array is never closed; the file ends early")
        window.advance(1)


class _Window:
    """The part of a JSON text that is being decoded, and the line it starts on."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._decode = codecs.getincrementaldecoder("utf-8")()
        self._text = ""
        self._position = 0
        self._line = 1
        self._ended = False
        self._row = 0
        self.blocks_read = 0
        self._raw = json.JSONDecoder().raw_decode

    def next_mark(self) -> str:
        """The next character that is no white space; it stays. Empty at the end of the file."""
        while True:
            while self._position < len(self._text) and self._text[self._position] in " \t\r\n":
                self._position += 1
            if self._position < len(self._text) or not self._more():
                return self._text[self._position : self._position + 1]

    def advance(self, by: int) -> None:
        """Pass over characters."""
        self._position += by

    def element(self) -> Any:
        """Decode one value, reading on while it is cut off by the end of the window."""
        self.next_mark()
        self._row += 1
        while True:
            try:
                value, end = self._raw(self._text, self._position)
            except (ValueError, RecursionError) as error:
                if len(self._text) - self._position > MAX_RECORD or not self._more():
                    raise self.malformed(error.msg if isinstance(error, json.JSONDecodeError) else str(error)) from error
                continue
            if end < len(self._text) or not self._more():
                self._position = end
                return value

    def malformed(self, why: str) -> Exception:
        """The failure for a text that cannot be decoded further."""
        line = self._line + self._text.count("\n", 0, self._position)
        return invalid(
            f"{self._source.name}:{line}: malformed JSON in row {max(1, self._row)}: {why}",
            "Fix the file, or write one object a line (jsonl).",
        )

    def _more(self) -> bool:
        """Drop what is done with and read a block; False at the end of the file."""
        if self._ended:
            return False
        data = self._source.read(BLOCK)
        self.blocks_read += 1
        data = data.removeprefix(UTF8_BOM) if not self._text else data
        self._line += self._text.count("\n", 0, self._position)
        try:
            self._text = self._text[self._position :] + self._decode.decode(data, final=not data)
        except UnicodeDecodeError as error:
            line = self._line + self._text.count("\n", self._position) + data.count(b"\n", 0, error.start)
            message = f"{self._source.name}:{line}: is not UTF-8: byte 0x{error.object[error.start]:02x}"
            raise invalid(message, "Convert the file to UTF-8, for instance with iconv.") from error
        self._position = 0
        self._ended = not data
        return bool(data)


def _batch(objects: Objects, bad: Bad, wants: Wanted, name: str, *, first: bool) -> RawBatch:
    values = [value for _, value in objects]
    if first and values:
        _require_columns(values, wants, name)
    return RawBatch({column: [value.get(column) for value in values] for column in wants.names}, [line for line, _ in objects], bad)


def _require_columns(values: list[dict[str, Any]], wants: Wanted, name: str) -> None:
    """A column that none of the first rows has is named wrongly, not missing here and there."""
    present = list(dict.fromkeys(key for value in values for key in value))
    for column in wants.names:
        if column not in present:
            raise missing(wants, column, present, name)
