"""A folder of this machine as a store: atomic writes, put-if-absent by link, compare-and-replace by lock."""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from tunesmith_trainer.storage.atomic import is_partial, written, written_new
from tunesmith_trainer.storage.errors import Missing, reading, writing
from tunesmith_trainer.storage.folder import Entries, Entry, Folder, Version
from tunesmith_trainer.storage.uri import child_uri, safe_name

_PIECE = 4 << 20


class LocalFolder(Folder):
    """Objects are the files below one folder; the folder is made by the first write."""

    def __init__(self, uri: str, path: Path) -> None:
        super().__init__(uri, path)
        self.path = path

    def read_versioned(self, name: str) -> tuple[bytes, Version]:
        """The whole file, and its time, size and number."""
        with reading(self.uri_of(name)), self._file(name).open("rb") as file:
            return file.read(), Version(_version(os.fstat(file.fileno())))

    def stream(self, name: str) -> Iterator[bytes]:
        """The file in pieces of a few MiB."""
        with reading(self.uri_of(name)), self._file(name).open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece

    def head(self, name: str) -> Entry | None:
        """Size and version of a file, or None."""
        path = self._file(name)
        try:
            with reading(self.uri_of(name)):
                return self._entry(name, path, path.stat()) if path.is_file() else None
        except Missing:
            return None

    def write(self, name: str, data: bytes) -> None:
        """Write a file through a temporary one."""
        with writing(self.uri_of(name)), written(self._made(name)) as file:
            file.write(data)

    def write_new(self, name: str, data: bytes) -> bool:
        """Write a file only if there is none."""
        with writing(self.uri_of(name)):
            path = self._made(name)
            try:
                with written_new(path) as file:
                    file.write(data)
            except FileExistsError:
                return False
        return True

    def replace(self, name: str, data: bytes, version: Version) -> bool:
        """Compare and replace under a lock on the file itself: who waited finds another file in its place."""
        path = self._file(name)
        with writing(self.uri_of(name)):
            try:
                with path.open("r+b") as held:
                    fcntl.flock(held, fcntl.LOCK_EX)
                    if _version(path.stat()) != version.etag:
                        return False
                    with written(path) as file:
                        file.write(data)
            except FileNotFoundError:
                return False
        return True

    def upload(self, name: str, path: Path) -> None:
        """Copy a file in through a temporary one."""
        with reading(f"file:{path}"), path.open("rb") as source, writing(self.uri_of(name)), written(self._made(name)) as target:
            shutil.copyfileobj(source, target, _PIECE)

    def upload_new(self, name: str, path: Path) -> bool:
        """Copy a file in only if there is none."""
        with reading(f"file:{path}"), path.open("rb") as source, writing(self.uri_of(name)):
            target = self._made(name)
            try:
                with written_new(target) as file:
                    shutil.copyfileobj(source, file, _PIECE)
            except FileExistsError:
                return False
        return True

    def list(self, prefix: str = "") -> Entries:
        """All files below, sorted; links are followed, unfinished writes are left out."""
        top = self.path / safe_name(prefix) if prefix else self.path
        with reading(self.uri_of(prefix)):
            found = [self._entry(p.relative_to(self.path).as_posix(), p, status) for p, status in _files(top)]
        return sorted(found, key=lambda entry: entry.name)

    def matching(self, pattern: str) -> Entries:
        """The files that fit a pattern; looks no deeper than the pattern does."""
        with reading(self.uri_of(pattern)):
            names = sorted(set(glob.glob(pattern, root_dir=self.path, recursive=True)))  # noqa: PTH207 (names relative to the root)
            return [entry for name in names if (entry := self.head(name)) is not None]

    def delete(self, names: Iterable[str]) -> None:
        """Remove files, and the folders that they leave empty, this one too."""
        for name in names:
            path = self._file(name)
            with writing(self.uri_of(name)):
                path.unlink(missing_ok=True)
            with suppress(OSError):
                for folder in path.parents[: name.count("/") + 1]:
                    folder.rmdir()

    def child(self, prefix: str) -> LocalFolder:
        """The folder below this one."""
        return LocalFolder(child_uri(self.uri, safe_name(prefix)), self.path / prefix)

    def now(self) -> datetime:
        """The clock of the file system, which need not be this machine's."""
        with writing(self.uri), written(self._made(".clock")) as file:
            moment = os.fstat(file.fileno()).st_mtime
        (self.path / ".clock").unlink(missing_ok=True)
        return datetime.fromtimestamp(moment, UTC)

    def sweep(self) -> None:
        """Remove what killed writes left; only for the one who holds the folder."""
        for folder, _, files in os.walk(self.path):
            for name in filter(is_partial, files):
                (Path(folder) / name).unlink(missing_ok=True)

    def _file(self, name: str) -> Path:
        return self.path / safe_name(name)

    def _made(self, name: str) -> Path:
        path = self._file(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _entry(self, name: str, path: Path, status: os.stat_result) -> Entry:
        modified = datetime.fromtimestamp(status.st_mtime, UTC)
        return Entry(self.uri_of(name), name, status.st_size, _version(status), modified, path)


def _version(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns}-{status.st_size}-{status.st_ino}"


def _files(top: Path) -> Iterator[tuple[Path, os.stat_result]]:
    seen: set[tuple[int, int]] = set()
    for folder, below, files in os.walk(top, followlinks=True, onerror=_unless_gone):
        with suppress(FileNotFoundError):
            status = Path(folder).stat()
            if (status.st_dev, status.st_ino) in seen:
                below.clear()
                continue
            seen.add((status.st_dev, status.st_ino))
        for name in files:
            path = Path(folder) / name
            with suppress(FileNotFoundError):
                if path.is_file() and not is_partial(name):
                    yield path, path.stat()


def _unless_gone(error: OSError) -> None:
    """A folder that may not be read is an error; one that is not there holds nothing."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error
