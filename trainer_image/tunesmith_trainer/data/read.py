"""Reads any file of rows: picks the reader of its format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tunesmith_trainer.data.batch import RawBatch
from tunesmith_trainer.data.columns import Wanted
from tunesmith_trainer.data.formats import Detected, Source
from tunesmith_trainer.data.lines import Lines
from tunesmith_trainer.data.objects import read_json, read_jsonl
from tunesmith_trainer.data.parquet import read_parquet
from tunesmith_trainer.data.sources import LocalFile
from tunesmith_trainer.data.tables import read_table


@dataclass(frozen=True)
class InputFile:
    """One file to be read: what it is called in messages, its place in its set, its content's digest and its format."""

    local: LocalFile
    name: str
    number: int
    digest: str
    detected: Detected


def read(file: InputFile, wants: Wanted) -> Iterator[tuple[RawBatch, int]]:
    """Batches of raw rows, each with how many bytes of the file are read by then."""
    if file.detected.format == "parquet":
        for batch, share in read_parquet(file.local.path, file.name, file.detected.compression, wants):
            yield batch, int(share * file.local.size)
        return
    source = Source(file.local.path, file.name, file.detected.compression)
    try:
        for batch in _read_text(source, file.detected.format, wants):
            yield batch, source.position()
    finally:
        source.close()


def _read_text(source: Source, form: str, wants: Wanted) -> Iterator[RawBatch]:
    if form == "json":
        return read_json(source, wants)
    if form == "jsonl":
        return read_jsonl(Lines(source), wants)
    return read_table(Lines(source), form, wants)
