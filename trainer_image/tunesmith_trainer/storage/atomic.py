"""Files of this machine that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_SUFFIX = ".partial"


def is_partial(name: str) -> bool:
    """Whether this is the file of a write that has not finished, or was killed."""
    last = name.rpartition("/")[2]
    return last.startswith(".") and last.endswith(_SUFFIX)


@contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` once the block ends well; on disk (fsync) before it does."""
    with _temporary(path) as (temporary, file):
        yield file
        _flush(file)
        temporary.replace(path)
        _flush_folder(path.parent)


@contextmanager
def written_new(path: Path) -> Iterator[BinaryIO]:
    """As `written`, but FileExistsError if `path` is there: a link never replaces."""
    with _temporary(path) as (temporary, file):
        yield file
        _flush(file)
        path.hardlink_to(temporary)
        _flush_folder(path.parent)


@contextmanager
def _temporary(path: Path) -> Iterator[tuple[Path, BinaryIO]]:
    temporary = path.with_name(f".{secrets.token_hex(6)}{_SUFFIX}")
    try:
        with temporary.open("xb") as file:
            yield temporary, file
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
