"""Prepared rows over a memory-mapped Arrow file: nothing is held but a few numbers a row."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

PAIR_SEPARATOR = " ||| "
SLICE_PREFIX = "slice:"


class Rows:
    """Tokenised rows of one Arrow file, or those of them that `index` picks, in its order.

    The whole file is one flat buffer: token t of row i is `values[starts[i] + t]`. That works because Arrow lays the list values of
    every record batch down uncompressed and aligned, so that one int32 view of the file covers them all without a copy.
    """

    def __init__(
        self,
        path: Path,
        *,
        digest: str,
        files: tuple[str, ...],
        index: NDArray[np.int64] | None = None,
        label_ids: NDArray[np.int64] | None = None,
    ) -> None:
        self.path = path
        self.digest = digest
        self._files = files
        self._whole: Any = pa.memory_map(str(path)).read_buffer()
        self._table: Any = pa.ipc.open_file(pa.BufferReader(self._whole)).read_all()
        self._index = index
        self._label_ids = label_ids

    def __len__(self) -> int:
        return self._table.num_rows if self._index is None else len(self._index)

    @cached_property
    def values(self) -> NDArray[np.int32]:
        """The whole file, seen as token ids."""
        return self._view(np.dtype(np.int32))

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Where in `values` each row starts, [rows]."""
        return self._pick(self._starts("input_ids", 4))

    @cached_property
    def lengths(self) -> NDArray[np.int32]:
        """Tokens of each row, [rows]."""
        lengths = [np.diff(np.asarray(chunk.offsets)) for chunk in self._table.column("input_ids").chunks]
        return self._pick(np.concatenate([np.zeros(0, np.int32), *lengths]))

    @cached_property
    def targets(self) -> NDArray[Any]:
        """Label ids (int64) or numbers (float64), [rows]."""
        targets = self._pick(np.concatenate([np.asarray(chunk) for chunk in self._table.column("target").chunks]))
        return targets if self._label_ids is None else self._label_ids[targets]

    @cached_property
    def type_values(self) -> NDArray[np.int8] | None:
        """The whole file, seen as token type ids; None where rows are single texts or the model knows none."""
        return self._view(np.dtype(np.int8)) if "type_ids" in self._table.column_names else None

    @cached_property
    def type_starts(self) -> NDArray[np.int64] | None:
        """Where in `type_values` each row starts, [rows]."""
        return self._pick(self._starts("type_ids", 1)) if "type_ids" in self._table.column_names else None

    def tokens(self, row: int) -> NDArray[np.int32]:
        """Token ids of one row, [tokens]."""
        start = self.starts[row]
        return self.values[start : start + self.lengths[row]]

    def type_ids(self, row: int) -> NDArray[np.int8] | None:
        """Token type ids of one row, [tokens]; None where rows are single texts or the model knows none."""
        if self.type_values is None or self.type_starts is None:
            return None
        start = self.type_starts[row]
        return self.type_values[start : start + self.lengths[row]]

    def text(self, row: int) -> str:
        """The row's text; of a pair both, with " ||| " between them."""
        place = self._place(row)
        text = str(self._table.column("text")[place].as_py())
        if "pair" not in self._table.column_names:
            return text
        return f"{text}{PAIR_SEPARATOR}{self._table.column('pair')[place].as_py()}"

    def source(self, row: int) -> tuple[str, int]:
        """File and line (of parquet and json: row number) that the row came from."""
        place = self._place(row)
        return self._files[self._table.column("file")[place].as_py()], int(self._table.column("line")[place].as_py())

    def slice_values(self, column: str) -> list[str]:
        """The value of a slice column in every row."""
        values: Any = self._table.column(SLICE_PREFIX + column)
        return list((values if self._index is None else values.take(pa.array(self._index))).to_pylist())

    @cached_property
    def token_count(self) -> int:
        """Tokens of all rows, without padding."""
        return int(self.lengths.sum(dtype=np.int64))

    def _place(self, row: int) -> int:
        return row if self._index is None else int(self._index[row])

    def _pick(self, values: NDArray[Any]) -> NDArray[Any]:
        return values if self._index is None else values[self._index]

    def _view(self, dtype: np.dtype[Any]) -> NDArray[Any]:
        return np.frombuffer(self._whole, dtype=dtype, count=self._whole.size // dtype.itemsize)

    def _starts(self, column: str, item_size: int) -> NDArray[np.int64]:
        """Where in the flat view each row of a list column starts."""
        starts = [np.zeros(0, np.int64)]
        for chunk in self._table.column(column).chunks:
            first = (chunk.values.buffers()[1].address - self._whole.address) // item_size if len(chunk.values) else 0
            starts.append(first + np.asarray(chunk.offsets)[:-1].astype(np.int64))
        return np.concatenate(starts)
