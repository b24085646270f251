"""What kind of file this is: by what was given, by its name, else by its first bytes; and its decompressed stream."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import pyarrow as pa

from tunesmith_trainer.data.problems import invalid

BY_SUFFIX = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
}
COMPRESSED_SUFFIXES = (".gz", ".zst", ".zstd")
PEEK = 4096
UTF8_BOM = b"\xef\xbb\xbf"
OTHER_BOMS = {b"\xff\xfe\x00\x00": "UTF-32", b"\x00\x00\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


@dataclass(frozen=True)
class Detected:
    """The format of a file, how it was found out, and its compression."""

    format: str
    how: str
    compression: str | None

    def __str__(self) -> str:
        return f"{self.format}{f', {self.compression}' if self.compression else ''} ({self.how})"


class Source:
    """The decompressed bytes of one file; damage becomes a failure that names the file."""

    def __init__(self, path: Path, name: str, compression: str | None) -> None:
        self.name = name
        self._compression = compression
        self._raw: Any = pa.OSFile(str(path), "rb")
        self._stream: Any = pa.CompressedInputStream(self._raw, compression) if compression else self._raw

    def read(self, size: int) -> bytes:
        """At most size bytes; none at the end."""
        try:
            return bytes(self._stream.read(size))
        except (OSError, pa.ArrowInvalid) as error:
            message = f"{self.name}: the {self._compression or 'file'} data ends early or is damaged ({error})"
            raise invalid(message, "Make or upload the file again; it is not complete.") from error

    def position(self) -> int:
        """Bytes of the file itself that have been read."""
        return int(self._raw.tell())

    def close(self) -> None:
        """Let go of the file."""
        self._raw.close()


def detect(path: Path, name: str, given: str | None) -> Detected:
    """Find out format and compression of a file; fails for an empty one and for one that is no UTF-8 text."""
    with path.open("rb") as file:
        magic = file.read(4)
    compression = "gzip" if magic[:2] == b"\x1f\x8b" else "zstd" if magic == b"\x28\xb5\x2f\xfd" else None
    source = Source(path, name, compression)
    head = source.read(PEEK)
    source.close()
    if not head.removeprefix(UTF8_BOM).strip():
        raise invalid(f"{name}: is empty", "Give a file that holds rows.")
    _refuse_other_encodings(head, name)
    form, how = _format(head, name, given)
    if (head[:4] == b"PAR1") != (form == "parquet"):
        is_it = "holds parquet" if head[:4] == b"PAR1" else "holds no parquet (it does not start with PAR1)"
        raise invalid(
            f"{name}: is {form} {how}, but {is_it}",
            "Set dataset.train.format or dataset.evaluation.format to what the file is, or make it again.",
        )
    return Detected(form, how, compression)


def _format(head: bytes, name: str, given: str | None) -> tuple[str, str]:
    if given is not None:
        return given, "as given"
    base = PurePath(name)
    suffix = PurePath(base.stem).suffix if base.suffix.lower() in COMPRESSED_SUFFIXES else base.suffix
    named = BY_SUFFIX.get(suffix.lower())
    first = head.removeprefix(UTF8_BOM).lstrip()[:1]
    if named == "json" and first == b"{":
        return "jsonl", "by content: objects without an array around them"
    if named is not None:
        return named, "by name"
    return _by_content(head, first), "by content"


def _by_content(head: bytes, first: bytes) -> str:
    if head[:4] == b"PAR1":
        return "parquet"
    if first in (b"{", b"["):
        return "jsonl" if first == b"{" else "json"
    return "tsv" if b"\t" in head.split(b"\n", 1)[0] else "csv"


def _refuse_other_encodings(head: bytes, name: str) -> None:
    for mark, encoding in OTHER_BOMS.items():
        if head.startswith(mark):
            raise invalid(
                f"{name}:1: is {encoding} (by its byte order mark), not UTF-8",
                f"Convert it (iconv -f {encoding} -t UTF-8 {name} > utf8-{PurePath(name).name}) and name the new file.",
            )
