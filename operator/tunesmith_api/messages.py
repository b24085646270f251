"""What is wrong with a field and what is allowed, in the house's words instead of pydantic's."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic.fields import FieldInfo

from tunesmith_api.fields import Shape, bounds

LONGEST_GIVEN = 60
_TYPES = {
    "text": "must be text",
    "number": "must be a number",
    "whole number": "must be a whole number",
    "true or false": "must be true or false",
    "list": "must be a list",
    "map of text": "must be a map of text to text",
    "section": "must be a section with fields of its own",
}


def message(error: Mapping[str, Any], shape: Shape | None, siblings: Mapping[str, FieldInfo]) -> str:
    """What one of pydantic's errors means: what is wrong, with the value given, and what is allowed."""
    kind, name = error["type"], str(error["loc"][-1]) if error["loc"] else ""
    if kind == "extra_forbidden":
        return _unknown(name, siblings)
    if kind == "missing":
        return _missing(siblings.get(name), shape)
    if kind == "value_error":
        cause = str(error["ctx"]["error"])
        return f"{cause}{_given(error['input'])}" if isinstance(error["input"], str) else f"{cause}{_empty(error['input'])}"
    if shape is None:
        return f"{error['msg'][:1].lower()}{error['msg'][1:]}{_given(error['input'])}"
    return f"{_allowed(kind, shape)}{_given(error['input'])}{_hint(error['input'], shape)}"


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant: equal but for case and separators, else the nearest in spelling."""
    by_plain = {_plain(k): k for k in known}
    near = difflib.get_close_matches(_plain(name), by_plain, n=1, cutoff=0.6)
    return by_plain[near[0]] if near else None


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _unknown(name: str, siblings: Mapping[str, FieldInfo]) -> str:
    if meant := closest(name, siblings):
        return f"unknown field; did you mean {meant}?"
    return f"unknown field (known: {', '.join(siblings)})" if siblings else "unknown field; nothing can be set here, write {}"


def _missing(field: FieldInfo | None, shape: Shape | None) -> str:
    description = field.description if field else None
    if shape and len(shape.choices) == 1:
        return f"is missing: must be {shape.choices[0]}"
    return f"is missing: {description}" if description else "is missing"


def _allowed(kind: str, shape: Shape) -> str:
    if shape.word == "choice":
        return f"must be {shape.choices[0]}" if len(shape.choices) == 1 else f"must be one of {', '.join(shape.choices)}"
    if kind == "string_pattern_mismatch":
        return "must be lower-case letters, digits and dashes, with a letter or digit at both ends"
    limit = bounds(shape)
    of_kind = _TYPES[shape.word]
    if shape.word in ("text", "list"):
        is_length = kind.endswith(("too_short", "too_long"))
        return f"must have {limit}" if is_length and limit else of_kind
    return f"{of_kind}, {limit}" if limit else of_kind


def _given(value: object) -> str:
    return f" (given: {show(value)})"


def show(value: object) -> str:
    """A value as it stands in a message: short, on one line, without control characters."""
    if value is None or value == "":
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list | tuple):
        return f"a {'section' if isinstance(value, dict) else 'list'} of {len(value)}"
    shown = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return shown if len(shown) <= LONGEST_GIVEN else f"{shown[: LONGEST_GIVEN - 3]}..."


def _empty(section: object) -> str:
    """Points at a choice that was named but left empty, which YAML reads as none."""
    empty = [name for name, value in section.items() if value is None] if isinstance(section, dict) else []
    return f"; {empty[0]} is empty: write {empty[0]}: {{}} for its defaults" if empty else ""


def _hint(value: object, shape: Shape) -> str:
    if shape.word == "choice" and isinstance(value, str) and (meant := closest(value, shape.choices)):
        return f"; did you mean {meant}?"
    if shape.word == "text" and isinstance(value, bool | int | float):
        return "; put it in quotes"
    if shape.word == "section" and value is None:
        return "; write {} for its defaults"
    return ""
