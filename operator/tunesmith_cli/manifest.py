"""Manifests as people write them: YAML 1.2 documents, each field with its line, every slip a problem and never a traceback."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

MOST_BYTES = 1 << 20
MOST_NODES = 100_000
MOST_DEPTH = 64

Location = tuple[str | int, ...]
Yaml = None | bool | int | float | str | list["Yaml"] | dict[str, "Yaml"]

_TAG = "tag:yaml.org,2002:"
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_BOOLEAN = re.compile(r"true|True|TRUE|false|False|FALSE")
_NULL = re.compile(r"null|Null|NULL|~|")


class Slip(NamedTuple):
    """What is wrong with the YAML itself, and where."""

    location: Location
    line: int
    message: str


@dataclass(frozen=True)
class Document:
    """One document of a file: its data, the line of each field, and what is wrong with its YAML."""

    index: int
    """Which of the file's documents, from 1."""
    start: int
    data: dict[str, Yaml] = field(default_factory=dict)
    lines: dict[Location, int] = field(default_factory=dict)
    slips: list[Slip] = field(default_factory=list)

    def line(self, location: Location) -> int:
        """The line of a field; of the nearest section around it where it is missing."""
        for length in range(len(location), 0, -1):
            if line := self.lines.get(location[:length]):
                return line
        return self.start


class Unreadable(Exception):
    """A file that no document can be read from."""


class _Loader(yaml.SafeLoader):
    """Composes nodes with YAML 1.2's core scalars, and no deeper than a manifest can need."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012
    depth = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        """Compose one node, refusing one that is nested too deep."""
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise yaml.MarkedYAMLError(problem=f"is nested more than {MOST_DEPTH} deep", problem_mark=self.peek_event().start_mark)  # type: ignore[no-untyped-call]
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


for _tag, _pattern in (("null", _NULL), ("bool", _BOOLEAN), ("int", _INTEGER), ("float", _FLOAT)):
    _Loader.add_implicit_resolver(_TAG + _tag, re.compile(rf"(?:{_pattern.pattern})\Z"), None)


def load(path: Path) -> list[Document]:
    """The documents of a file; raises Unreadable where there is no such file or no text in it."""
    return documents(_read(path))


def documents(text: str) -> list[Document]:
    """The documents of a YAML text; the one with a syntax error is the last, for nothing after it can be trusted."""
    found: list[Document] = []
    try:
        for node in _nodes(text):
            found.append(_Builder(node, len(found) + 1).document())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        found.append(_broken(len(found) + 1, line, f"is no valid YAML: {error.problem or error.context} (column {column})"))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        found.append(_broken(len(found) + 1, line, f"holds a character that YAML does not allow (U+{int(error.character):04X})"))
    if not found:
        raise Unreadable("holds no manifest: it is empty")
    return found


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except IsADirectoryError as error:
        raise Unreadable("is a folder; name a manifest in it") from error
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise Unreadable(f"is no file name: {error}") from error
    if len(content) > MOST_BYTES:
        raise Unreadable("is larger than 1 MiB; that is no manifest")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Unreadable(f"is not UTF-8: byte {content[error.start]:#04x} in line {line}") from error


def _nodes(text: str) -> Iterator[Node]:
    loader = _Loader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is not None and not (isinstance(node, ScalarNode) and node.tag == f"{_TAG}null" and not node.value):
                yield node
    finally:
        loader.dispose()


def _broken(index: int, line: int, message: str) -> Document:
    return Document(index=index, start=line, slips=[Slip((), line, message)])


class _Builder:
    """Turns the nodes of one document into plain data."""

    def __init__(self, node: Node, index: int) -> None:
        self.node, self.index = node, index
        self.lines: dict[Location, int] = {}
        self.slips: list[Slip] = []
        self.count = 0

    def document(self) -> Document:
        start = self.node.start_mark.line + 1
        data = self._value(self.node, ())
        if not isinstance(data, dict):
            self._slip((), self.node, "must be a mapping with apiVersion, kind, metadata and spec")
            data = {}
        return Document(self.index, start, data, self.lines, self.slips)

    def _value(self, node: Node, location: Location) -> Yaml:
        self.count += 1
        if self.count > MOST_NODES or len(location) > MOST_DEPTH:
            raise yaml.MarkedYAMLError(problem="grows too large through its aliases", problem_mark=node.start_mark)
        if isinstance(node, MappingNode):
            return self._mapping(node, location)
        if isinstance(node, SequenceNode):
            return self._sequence(node, location)
        return self._scalar(node, location)

    def _mapping(self, node: MappingNode, location: Location) -> Yaml:
        self._check_tag(node, location, "map")
        found: dict[str, Yaml] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self._slip(location, key, "has a key that is no text")
                continue
            name, here = str(self._text(key, location)), (*location, key.value)
            if name in found:
                self._slip(here, key, f"is given twice (first in line {self.lines[here]})")
                continue
            if name == "<<" and key.style is None:
                self._slip(here, key, "merge keys are not supported; write the fields out")
                continue
            self.lines[here] = key.start_mark.line + 1
            found[name] = self._value(value, here)
        return found

    def _sequence(self, node: SequenceNode, location: Location) -> Yaml:
        self._check_tag(node, location, "seq")
        items: list[Yaml] = []
        for index, item in enumerate(node.value):
            self.lines[(*location, index)] = item.start_mark.line + 1
            items.append(self._value(item, (*location, index)))
        return items

    def _scalar(self, node: Node, location: Location) -> Yaml:
        text, kind = self._text(node, location), node.tag.removeprefix(_TAG)
        try:
            return _SCALARS[kind](text)
        except KeyError:
            self._check_tag(node, location, "str")
        except (ValueError, OverflowError):
            self._slip(location, node, f"is no {kind}: {text[:40]!r}")
        return text

    def _text(self, node: Node, location: Location) -> str:
        units = str(node.value).encode("utf-16", "surrogatepass")
        try:
            return units.decode("utf-16")  # what JSON writes as a surrogate pair is one character
        except UnicodeDecodeError:
            self._slip(location, node, "holds half a surrogate pair, which is no character")
            return units.decode("utf-16", "replace")

    def _check_tag(self, node: Node, location: Location, expected: str) -> None:
        if node.tag != _TAG + expected:
            self._slip(location, node, f"has the tag {node.tag.replace(_TAG, '!!')[:60]!r}, which a manifest cannot have; remove it")

    def _slip(self, location: Location, node: Node, message: str) -> None:
        self.slips.append(Slip(location, node.start_mark.line + 1, message))


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError(text)
    prefix = text[:2]
    return int(text[2:], 8) if prefix == "0o" else int(text[2:], 16) if prefix == "0x" else int(text)


def _float(text: str) -> float:
    if not (_FLOAT.fullmatch(text) or _INTEGER.fullmatch(text)):
        raise ValueError(text)
    return float(text.replace(".inf", "inf").replace(".nan", "nan").replace(".Inf", "inf").replace(".NaN", "nan").replace(".INF", "inf"))


def _boolean(text: str) -> bool:
    if not _BOOLEAN.fullmatch(text):
        raise ValueError(text)
    return text.lower() == "true"


def _null(text: str) -> None:
    if not _NULL.fullmatch(text):
        raise ValueError(text)


_SCALARS: dict[str, Callable[[str], Yaml]] = {"null": _null, "bool": _boolean, "int": _integer, "float": _float, "str": str}
