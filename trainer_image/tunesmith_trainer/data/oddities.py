"""Finds text that is probably not what its author wrote: empty, with NUL or control characters, or wrongly decoded."""

from __future__ import annotations

import re

from tunesmith_api.plan import Oddity

_HIGH = "\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
"""What the later bytes of a UTF-8 character look like when read as latin-1 or Windows-1252."""
_KINDS = {
    "nul": re.compile("\0"),
    "control": re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"),
    "replacementCharacter": re.compile("\ufffd"),
    "mojibake": re.compile(f"[ÂÃ][{_HIGH}]|[âð][{_HIGH}]{{2}}|(?:[ã-é][{_HIGH}]{{2}}){{2}}|ï»¿"),
}
_SUSPECTS = (re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd]"), re.compile(f"[Â-ð][{_HIGH}]"))
"""One of these finds something in every odd text, many times quicker than the patterns."""
EXPLAINED = {
    "empty": ("holds no text", "hold no text"),
    "nul": ("holds NUL characters", "hold NUL characters"),
    "control": ("holds control characters", "hold control characters"),
    "replacementCharacter": ("holds U+FFFD, what is left of characters lost before", "hold U+FFFD, what is left of characters lost before"),
    "mojibake": ('looks like UTF-8 read as latin-1 ("Ã©" for "é")', 'look like UTF-8 read as latin-1 ("Ã©" for "é")'),
}
"""How a warning puts it, of one row and of several."""


class Oddities:
    """Counts odd rows by kind, and remembers where each kind was first seen."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[int, str]] = {}

    def look(self, texts: list[str], pairs: list[str] | None, file: str, lines: list[int]) -> None:
        """Look through some rows; ordinary batches cost one search."""
        if not all(map(str.strip, texts)) or (pairs is not None and not all(map(str.strip, pairs))):
            self._look_for_empty(texts, pairs, file, lines)
        rows = texts if pairs is None else [f"{a}\n{b}" for a, b in zip(texts, pairs, strict=True)]
        if not _suspicious("\n".join(rows)):
            return
        for row, line in zip(rows, lines, strict=True):
            for kind, pattern in _KINDS.items() if _suspicious(row) else ():
                if pattern.search(row):
                    self._note(kind, file, line)

    def found(self) -> tuple[Oddity, ...]:
        """What was found, most rows first."""
        ordered = sorted(self._found.items(), key=lambda item: (-item[1][0], item[0]))
        return tuple(Oddity(kind=kind, rows=rows, example=example) for kind, (rows, example) in ordered)

    def _look_for_empty(self, texts: list[str], pairs: list[str] | None, file: str, lines: list[int]) -> None:
        for i, text in enumerate(texts):
            if not text.strip() or (pairs is not None and not pairs[i].strip()):
                self._note("empty", file, lines[i])

    def _note(self, kind: str, file: str, line: int) -> None:
        rows, example = self._found.get(kind, (0, f"{file}:{line}"))
        self._found[kind] = (rows + 1, example)


def _suspicious(text: str) -> bool:
    return any(pattern.search(text) for pattern in _SUSPECTS)
