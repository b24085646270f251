"""What every store gives: a folder of objects below one URI, with conditional writes."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from tunesmith_trainer.storage.atomic import written
from tunesmith_trainer.storage.errors import writing
from tunesmith_trainer.storage.patterns import is_pattern, matches
from tunesmith_trainer.storage.uri import child_uri


class Version(NamedTuple):
    """What a store knows an object's state by; opaque, for `replace`."""

    etag: str | None
    generation: str | None = None


@dataclass(frozen=True)
class Entry:
    """One object of a folder."""

    uri: str
    name: str
    """Relative to the folder that listed it."""
    size: int
    version: str
    """Changes when the content does: an etag, or a file's time and size."""
    modified: datetime
    """By the store's clock."""
    path: Path | None = None
    """The file itself, where the store is a folder of this machine."""


Entries = list[Entry]
"""What a listing gives; a name of its own because the folder's method is called `list` too."""


class Folder(ABC):
    """Everything below one URI. Names are relative, with slashes; a missing object raises Missing."""

    def __init__(self, uri: str, local_path: Path | None = None) -> None:
        self.uri = uri.rstrip("/")
        self.local_path = local_path

    @abstractmethod
    def read_versioned(self, name: str) -> tuple[bytes, Version]:
        """The whole object, and the version to name in `replace`."""

    @abstractmethod
    def stream(self, name: str) -> Iterator[bytes]:
        """The object piece by piece."""

    @abstractmethod
    def head(self, name: str) -> Entry | None:
        """What is known of an object without reading it."""

    @abstractmethod
    def write(self, name: str, data: bytes) -> None:
        """Put an object, replacing what is there."""

    @abstractmethod
    def write_new(self, name: str, data: bytes) -> bool:
        """Put an object only if there is none; False if there is."""

    @abstractmethod
    def replace(self, name: str, data: bytes, version: Version) -> bool:
        """Put an object only if it still is that version; False if it changed or is gone."""

    @abstractmethod
    def upload(self, name: str, path: Path) -> None:
        """Put a local file, replacing what is there."""

    @abstractmethod
    def upload_new(self, name: str, path: Path) -> bool:
        """Put a local file only if there is no such object; False if there is. A bucket takes it through memory."""

    @abstractmethod
    def list(self, prefix: str = "") -> Entries:
        """All objects at any depth below the sub-folder `prefix`, sorted by name; empty if there is no such folder."""

    def matching(self, pattern: str) -> Entries:
        """The objects whose names fit a pattern, sorted."""
        fixed = "/".join(takewhile(lambda segment: not is_pattern(segment), pattern.split("/")))
        return [entry for entry in self.list(fixed) if matches(entry.name, pattern)]

    @abstractmethod
    def delete(self, names: Iterable[str]) -> None:
        """Remove objects; one that is gone already is no error."""

    @abstractmethod
    def child(self, prefix: str) -> Folder:
        """The folder below this one."""

    @abstractmethod
    def now(self) -> datetime:
        """The store's clock, read from a small object that is written and removed again."""

    def read(self, name: str) -> bytes:
        """The whole object."""
        return self.read_versioned(name)[0]

    def exists(self, name: str) -> bool:
        """Whether there is such an object."""
        return self.head(name) is not None

    def uri_of(self, name: str) -> str:
        """The full URI of a name."""
        return child_uri(self.uri, name)

    def download(self, name: str, path: Path) -> None:
        """Bring an object into a local file, whole or not at all."""
        with writing(f"file:{path}"):
            path.parent.mkdir(parents=True, exist_ok=True)
            with written(path) as file:
                for piece in self.stream(name):
                    file.write(piece)

    def sha256(self, name: str) -> str:
        """Digest of an object's bytes (sha256:...), read piece by piece."""
        digest = hashlib.sha256()
        for piece in self.stream(name):
            digest.update(piece)
        return f"sha256:{digest.hexdigest()}"
