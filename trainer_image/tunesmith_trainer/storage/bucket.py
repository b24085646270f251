"""A bucket as a store: obstore does the transfers, the retries and the conditional writes."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import AlreadyExistsError, NotFoundError, PreconditionError

from tunesmith_trainer.storage.errors import Missing, reading, writing
from tunesmith_trainer.storage.folder import Entries, Entry, Folder, Version
from tunesmith_trainer.storage.uri import child_uri, safe_name

_PIECE = 4 << 20
_PART = 8 << 20
_PARTS_AT_ONCE = 4


class BucketFolder(Folder):
    """Objects whose keys start with one prefix."""

    def __init__(self, uri: str, store: Any, key: str) -> None:
        super().__init__(uri)
        self._store = store
        self._prefix = key

    def read_versioned(self, name: str) -> tuple[bytes, Version]:
        """The whole object, and its etag."""
        with reading(self.uri_of(name)):
            found = obstore.get(self._store, self._key(name))
            return bytes(found.bytes()), Version(found.meta["e_tag"], found.meta["version"])

    def stream(self, name: str) -> Iterator[bytes]:
        """The object in pieces of a few MiB."""
        with reading(self.uri_of(name)):
            for piece in obstore.get(self._store, self._key(name)).stream(min_chunk_size=_PIECE):
                yield bytes(piece)

    def head(self, name: str) -> Entry | None:
        """Size and version of an object, or None."""
        try:
            with reading(self.uri_of(name)):
                return self._entry(obstore.head(self._store, self._key(name)))
        except Missing:
            return None

    def write(self, name: str, data: bytes) -> None:
        """Put an object."""
        with writing(self.uri_of(name)):
            obstore.put(self._store, self._key(name), data, use_multipart=False)

    def write_new(self, name: str, data: bytes) -> bool:
        """Put an object with If-None-Match."""
        return self._put_if(name, data, "create")

    def replace(self, name: str, data: bytes, version: Version) -> bool:
        """Put an object with If-Match."""
        known = {"e_tag": version.etag, "version": version.generation}
        return self._put_if(name, data, {key: value for key, value in known.items() if value is not None})

    def upload(self, name: str, path: Path) -> None:
        """Send a file, in parts if it is large."""
        with reading(f"file:{path}"):
            path.stat()
        with writing(self.uri_of(name)):
            obstore.put(self._store, self._key(name), path, chunk_size=_PART, max_concurrency=_PARTS_AT_ONCE)

    def upload_new(self, name: str, path: Path) -> bool:
        """Send a file with If-None-Match, in one piece, unless it is seen to be there: a server may hang up on a body that it refuses."""
        if self.exists(name):
            return False
        with reading(f"file:{path}"):
            data = path.read_bytes()
        return self._put_if(name, data, "create")

    def list(self, prefix: str = "") -> Entries:
        """All objects below, sorted; the empty objects that consoles put for folders are left out."""
        below = "/".join(part for part in (self._prefix, prefix and safe_name(prefix)) if part)
        with reading(self.uri_of(prefix)):
            metas = [meta for page in obstore.list(self._store, below or None, chunk_size=1000) for meta in page]
        found = [self._entry(meta) for meta in metas if meta["path"] != below]
        folders = {parent for entry in found for parent in _parents(entry.name)}
        return sorted((e for e in found if e.size or e.name not in folders), key=lambda entry: entry.name)

    def delete(self, names: Iterable[str]) -> None:
        """Remove objects, many in one request where the store can."""
        if keys := [self._key(name) for name in names]:
            try:
                with reading(self.uri):
                    obstore.delete(self._store, keys)
            except Missing:
                return

    def child(self, prefix: str) -> BucketFolder:
        """The folder below this one."""
        return BucketFolder(child_uri(self.uri, safe_name(prefix)), self._store, self._key(prefix))

    def now(self) -> datetime:
        """The time that the store gives to an object put this moment."""
        name = f".clock-{secrets.token_hex(6)}"
        self.write(name, b"")
        try:
            with reading(self.uri_of(name)):
                moment: datetime = obstore.head(self._store, self._key(name))["last_modified"]
                return moment
        finally:
            self.delete([name])

    def _put_if(self, name: str, data: bytes, mode: Any) -> bool:
        """Put under a condition; False if the store says that it does not hold."""
        with writing(self.uri_of(name)):
            try:
                obstore.put(self._store, self._key(name), data, mode=mode)
            except (AlreadyExistsError, PreconditionError):
                return False
            except NotFoundError as error:
                if "NoSuchKey" not in str(error):
                    raise
                return False
        return True

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{safe_name(name)}" if self._prefix else safe_name(name)

    def _entry(self, meta: Any) -> Entry:
        name = meta["path"].removeprefix(f"{self._prefix}/") if self._prefix else meta["path"]
        version = meta["e_tag"] or f"{meta['last_modified'].timestamp()}-{meta['size']}"
        return Entry(self.uri_of(name), name, meta["size"], version, meta["last_modified"])


def _parents(name: str) -> Iterator[str]:
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name
