"""Globs over names: `*`, `?` and `[...]` stay within a segment and never match a leading dot, `**` is any number of segments."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

_MAGIC = re.compile(r"[*?\[]")


def is_pattern(name: str) -> bool:
    """Whether a name holds a character of a pattern."""
    return _MAGIC.search(name) is not None


def split(uri: str) -> tuple[str, str]:
    """A URI as the folder before its first pattern (or last segment), and the rest."""
    scheme, _, rest = uri.rstrip("/").partition(":")
    root = "//" if rest.startswith("//") else ""
    segments = rest.removeprefix(root).split("/")
    first = next((i for i, segment in enumerate(segments) if is_pattern(segment)), len(segments) - 1)
    cut = max(first, 0 if scheme == "file" else 1)
    top = "/".join(segments[:cut]) or ("." if segments[0] else "/")
    return f"{scheme}:{root}{top}", "/".join(segments[cut:])


def matches(name: str, pattern: str) -> bool:
    """Whether a name fits a pattern, segment by segment."""
    return _fit(name.split("/"), pattern.split("/"))


def _fit(name: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern or not name:
        return not pattern and not name
    if pattern[0] != "**":
        return _segment(name[0], pattern[0]) and _fit(name[1:], pattern[1:])
    if len(pattern) > 1 and _fit(name, pattern[1:]):
        return True
    return not name[0].startswith(".") and (len(name) == 1 == len(pattern) or _fit(name[1:], pattern))


def _segment(name: str, pattern: str) -> bool:
    hidden = name.startswith(".") and not pattern.startswith(".")
    return not hidden and fnmatchcase(name, pattern)
