"""Cut token ids as a Hugging Face tokenizer does: special tokens stay, of a pair the longer text is cut first."""

from __future__ import annotations

from dataclasses import dataclass

from tokenizers import Tokenizer


@dataclass(frozen=True)
class Layout:
    """The special tokens around one text, or around and between two."""

    before: int
    between: tuple[int, ...]
    """Their ids; empty for one text."""
    after: int

    @property
    def count(self) -> int:
        """How many special tokens there are."""
        return self.before + len(self.between) + self.after


def layout(backend: Tokenizer, pair: bool) -> Layout:
    """Where a tokenizer puts its special tokens, seen on a probe."""
    probe = backend.encode("a", "a") if pair else backend.encode("a")
    marks = probe.special_tokens_mask
    text = [i for i, mark in enumerate(marks) if not mark]
    if not text:
        return Layout(len(marks), (), 0)
    inside = range(text[0], text[-1] + 1)
    return Layout(text[0], tuple(probe.ids[i] for i in inside if marks[i]), len(marks) - text[-1] - 1)


def kept(first: int, second: int, room: int) -> tuple[int, int]:
    """Tokens that stay of a pair's texts in the room that there is (longest_first of the tokenizers library)."""
    if first + second <= room:
        return first, second
    shorter = min(first, second)
    longer = shorter if shorter > room else max(shorter, room - shorter)
    if shorter + longer > room:
        shorter, longer = room // 2, room // 2 + room % 2
    return (shorter, longer) if first <= second else (longer, shorter)
