"""Brings the files that a URI names to this machine."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath

from tunesmith_api.protocol import Failure, Reason
from tunesmith_trainer.storage.errors import Missing
from tunesmith_trainer.storage.folder import Entry
from tunesmith_trainer.storage.stores import Stores


@dataclass(frozen=True)
class LocalFile:
    """One file of the data, on this machine."""

    uri: str
    path: Path
    size: int
    version: str
    """Changes whenever the content does: the store's ETag, or the time of the last change and the size."""


Fetch = Callable[[str], list[LocalFile]]
"""From a URI (a file or a glob) to its files, in the order of their names; none where there is nothing."""


def fetch_from(stores: Stores, cache: Path) -> Fetch:
    """A fetch that reads local files where they lie and keeps one copy of each version of an object below `cache`."""

    def fetch(uri: str) -> list[LocalFile]:
        return [_bring(stores, entry, cache / "objects") for entry in stores.glob(uri)]

    return fetch


def _bring(stores: Stores, entry: Entry, cache: Path) -> LocalFile:
    if entry.path is not None:
        return LocalFile(entry.uri, entry.path, entry.size, entry.version)
    key = hashlib.sha256(f"{entry.uri}\n{entry.version}".encode()).hexdigest()[:32]
    path = cache / key / PurePath(entry.uri).name
    if not (path.is_file() and path.stat().st_size == entry.size):
        _download(stores, entry, path)
    return LocalFile(entry.uri, path, entry.size, entry.version)


def _download(stores: Stores, entry: Entry, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    arriving = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        stores.download(entry, arriving)
    except Missing as gone:
        message = f"{entry.uri}: was there when the files were listed and is gone now"
        raise Failure(Reason.DATASET_INVALID, message, "Do not change the data while a job reads it; start the job again.") from gone
    arriving.replace(path)
