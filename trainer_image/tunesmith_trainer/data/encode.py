"""What data asks of a tokenizer; models/ makes one, data/ knows no model."""

from __future__ import annotations

from typing import Protocol

Encoding = tuple[list[int], list[int] | None]
"""Token ids and, for a pair where the model tells its halves apart, token type ids."""


class Encode(Protocol):
    """Turns texts into token ids."""

    @property
    def digest(self) -> str:
        """Changes whenever the ids of some text would change."""

    @property
    def context_length(self) -> int | None:
        """Most tokens that the model takes."""

    def encode_batch(self, texts: list[str], pairs: list[str] | None) -> list[Encoding]:
        """Encode every text (with its pair) with special tokens, uncut."""

    def encode_truncated(self, texts: list[str], pairs: list[str] | None, max_length: int) -> list[Encoding]:
        """The same, cut to max_length tokens; the special tokens stay, and of a pair the longer text is cut first."""
