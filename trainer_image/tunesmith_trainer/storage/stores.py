"""From URIs to folders: real stores, this machine, or a folder that stands for the stores."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from tunesmith_trainer.storage.folder import Entry, Folder
from tunesmith_trainer.storage.local import LocalFolder
from tunesmith_trainer.storage.patterns import is_pattern, split
from tunesmith_trainer.storage.uri import parse


class Stores:
    """Every place that a job may read or write."""

    def __init__(self, base: Path, buckets: Path | None = None) -> None:
        self._base = base.absolute()
        self._buckets = buckets.absolute() if buckets else None
        self._connect = cache(_connect)

    def folder(self, uri: str) -> Folder:
        """The folder of a URI; whether it exists shows when it is used."""
        place = parse(uri, self._base)
        if place.scheme == "file":
            return LocalFolder(uri, Path(place.key))
        if self._buckets is not None:
            return LocalFolder(uri, self._buckets / place.bucket / place.key)
        from tunesmith_trainer.storage.bucket import BucketFolder

        return BucketFolder(uri, self._connect(place.scheme, place.bucket), place.key)

    def glob(self, uri: str) -> list[Entry]:
        """The objects that a URI names: one, those that fit its pattern, or all below a folder; sorted, empty if there are none."""
        top, name = split(uri)
        parent = self.folder(top)
        exact = parent.head(name) if name else None
        if exact is not None:
            return [exact]
        return parent.matching(name) if is_pattern(name) else parent.list(name)

    def download(self, entry: Entry, path: Path) -> None:
        """Bring an object that `glob` found into a local file."""
        folder, _, name = entry.uri.rpartition("/")
        self.folder(folder).download(name, path)


def _connect(scheme: str, bucket: str) -> Any:
    from tunesmith_trainer.storage.connect import connect

    return connect(scheme, bucket)
