"""Eight bytes that stand for a text, so that duplicates among millions of rows are found in little memory."""

from __future__ import annotations

import unicodedata
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Fingerprints = NDArray[np.uint64]


def exact(texts: list[str], pairs: list[str] | None = None) -> Fingerprints:
    """Fingerprint of every text (or pair); the same on every machine and in every run."""
    joined = texts if pairs is None else [f"{text}\0{pair}" for text, pair in zip(texts, pairs, strict=True)]
    return np.frombuffer(b"".join([blake2b(text.encode(), digest_size=8).digest() for text in joined]), dtype="<u8")


def near(texts: list[str], pairs: list[str] | None = None) -> NDArray[np.int64]:
    """Fingerprint of every text but for case, punctuation and white space; comparable within this process alone."""
    if pairs is None:
        return np.fromiter((hash(folded(text)) for text in texts), np.int64, len(texts))
    return np.fromiter((hash((folded(a), folded(b))) for a, b in zip(texts, pairs, strict=True)), np.int64, len(texts))


def folded(text: str) -> bytes:
    """The text in NFKC and lower case, its punctuation and white space folded to single spaces; as it is where nothing else is left."""
    if text.isascii():
        return b" ".join(text.encode().translate(_ASCII).split()) or text.encode()
    plain = unicodedata.normalize("NFKC", text).lower().translate(_SPACED)
    return " ".join(plain.split()).encode() or text.encode()


class _Spaced(dict[int, str]):
    """Punctuation, separators and control characters as spaces; everything else as it is. Filled as characters are met."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        self[code] = " " if unicodedata.category(character)[0] in "PZ" or unicodedata.category(character) == "Cc" else character
        return self[code]


_SPACED = _Spaced()
_ASCII = bytes(ord(_SPACED[code].lower()) if code < 128 else code for code in range(256))
