"""Appends prepared rows to an Arrow file, batch by batch, from flat arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tunesmith_trainer.data.rows import SLICE_PREFIX


@dataclass(frozen=True)
class Ragged:
    """Rows of different length: row i is values[offsets[i]:offsets[i + 1]]."""

    values: NDArray[Any]
    offsets: NDArray[np.int32]

    def arrow(self) -> Any:
        """The same as an Arrow list array, without a copy."""
        return pa.ListArray.from_arrays(pa.array(self.offsets), pa.array(self.values))


@dataclass(frozen=True)
class PreparedBatch:
    """Rows that are ready to be written."""

    input_ids: Ragged
    type_ids: Ragged | None
    targets: NDArray[Any]
    texts: list[str]
    pairs: list[str] | None
    slices: dict[str, list[str]]
    file: int
    lines: NDArray[np.int64]

    def record_batch(self) -> Any:
        """The Arrow record batch."""
        columns: dict[str, Any] = {
            "input_ids": self.input_ids.arrow(),
            "target": pa.array(self.targets),
            "text": pa.array(self.texts, pa.string()),
            "file": pa.array(np.full(len(self.texts), self.file, np.int32)),
            "line": pa.array(self.lines),
        }
        if self.type_ids is not None:
            columns["type_ids"] = self.type_ids.arrow()
        if self.pairs is not None:
            columns["pair"] = pa.array(self.pairs, pa.string())
        columns |= {SLICE_PREFIX + name: pa.array(values, pa.string()) for name, values in self.slices.items()}
        return pa.record_batch(columns)


class RowWriter:
    """One Arrow file being written; its schema is that of the first batch."""

    def __init__(self, path: Path) -> None:
        self._sink = pa.OSFile(str(path), "wb")
        self._file: Any = None
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()
        self._sink.close()

    def write(self, batch: PreparedBatch) -> None:
        """Append a batch."""
        record = batch.record_batch()
        if self._file is None:
            self._file = pa.ipc.new_file(self._sink, record.schema)
        self._file.write_batch(record)
        self.rows += record.num_rows
