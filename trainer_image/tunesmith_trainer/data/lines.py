"""Physical lines of a text file in bounded memory: a line beyond 16 MiB or not in UTF-8 is told apart, never held."""

from __future__ import annotations

import io
from collections.abc import Iterator

from tunesmith_trainer.data.formats import UTF8_BOM, Source

MAX_RECORD = 16 * 2**20
BLOCK = 2**20


class Lines:
    """Lines of a source with their ends, in blocks; a line that cannot be used reads as an empty one and is named in `unusable`."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._seen = 0
        self.blocks_read = 0
        self.name = source.name
        self.unusable: dict[int, str] = {}

    def blocks(self) -> Iterator[list[str]]:
        """Lists of lines, in order; together they are every line of the file."""
        rest = self._source.read(BLOCK).removeprefix(UTF8_BOM)
        while chunk := self._source.read(BLOCK):
            ahead = rest + chunk
            self.blocks_read += 1
            if len(ahead) > MAX_RECORD and ahead.find(b"\n", 0, MAX_RECORD + 1) < 0:
                rest = self._skip_line(ahead)
                yield ["\n"]
                continue
            cut = ahead.rfind(b"\n") + 1
            rest = ahead[cut:]
            if cut:
                yield self._decode(ahead[:cut])
        if rest:
            yield self._decode(rest)

    def _skip_line(self, chunk: bytes) -> bytes:
        """Read on to the end of a line that is too long; what follows it comes back."""
        self._seen += 1
        self.unusable[self._seen] = f"is longer than {MAX_RECORD // 2**20} MiB"
        while chunk and b"\n" not in chunk:
            chunk = self._source.read(BLOCK)
        return chunk.partition(b"\n")[2]

    def _decode(self, block: bytes) -> list[str]:
        try:
            lines = io.StringIO(block.decode(), newline="\n").readlines()
        except UnicodeDecodeError:
            raw = block.split(b"\n")
            lines = [self._decode_line(self._seen + i, line) + "\n" for i, line in enumerate(raw if raw[-1] else raw[:-1], start=1)]
        self._seen += len(lines)
        return lines

    def _decode_line(self, number: int, line: bytes) -> str:
        try:
            return line.decode()
        except UnicodeDecodeError as error:
            self.unusable[number] = f"is not UTF-8: byte 0x{line[error.start]:02x} at byte {error.start + 1} of the line"
            return ""
