"""Reads parquet, batch by batch; the place of a row is its number."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tunesmith_trainer.data.batch import ROWS, RawBatch
from tunesmith_trainer.data.columns import Wanted, locate
from tunesmith_trainer.data.formats import Source
from tunesmith_trainer.data.lines import BLOCK
from tunesmith_trainer.data.problems import invalid


def read_parquet(path: Path, name: str, compression: str | None, wants: Wanted) -> Iterator[tuple[RawBatch, float]]:
    """The rows of a parquet file, each batch with the share that is read by then."""
    with _uncompressed(path, name, compression) as plain, _damage_named(name):
        file = pq.ParquetFile(plain, memory_map=True)
        locate(wants, list(file.schema_arrow.names), name)
        row, total = 0, max(1, file.metadata.num_rows)
        for batch in file.iter_batches(batch_size=_batch_rows(file.metadata), columns=wants.names):
            columns = {column: _values(batch.column(column)) for column in wants.names}
            lines = list(range(row + 1, row + 1 + batch.num_rows))
            row += batch.num_rows
            yield RawBatch(columns, lines), row / total


def _batch_rows(metadata: Any) -> int:
    """Rows whose values are a few MiB, at most 10,000."""
    size: int = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    rows: int = metadata.num_rows
    return max(16, min(ROWS, 4 * BLOCK * rows // max(1, size)))


def _values(column: Any) -> list[Any]:
    return list((column.dictionary_decode() if pa.types.is_dictionary(column.type) else column).to_pylist())


@contextmanager
def _damage_named(name: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        reason = str(error).split("\n", 1)[0]
        raise invalid(
            f"{name}: is no parquet file that can be read: {reason}", "Make or upload the file again; it is not complete."
        ) from error


@contextmanager
def _uncompressed(path: Path, name: str, compression: str | None) -> Iterator[Path]:
    """Parquet is read from its end, so a compressed file is unpacked to disk first."""
    if compression is None:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="tunesmith-") as folder:
        plain = Path(folder) / "rows.parquet"
        source = Source(path, name, compression)
        with plain.open("wb") as out:
            while data := source.read(BLOCK):
                out.write(data)
        source.close()
        yield plain
