"""Where prepared data waits for the next run: one folder for each key, there whole or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tunesmith_api.meta import ApiModel
from tunesmith_api.plan import DataReport
from tunesmith_trainer.data.sources import LocalFile

RECORD = "prepared.json"
BUILDING, LOCK = ".building", ".lock"


class Prepared(ApiModel):
    """What lies in a folder of prepared data beside the rows; written last."""

    digest: str
    met: tuple[str, ...]
    """Labels in the order of their provisional ids."""
    labels: tuple[str, ...]
    """Labels in the order that the model uses."""
    names: tuple[str, ...]
    """Files of the training rows, as messages call them."""
    evaluation_names: tuple[str, ...]
    sizes: dict[str, int]
    """Bytes of every file of the folder."""
    report: DataReport


def recorded(folder: Path) -> Prepared | None:
    """The record of a folder that is whole; None where there is none or a file has another size."""
    try:
        record = Prepared.model_validate_json((folder / RECORD).read_bytes())
        whole = all((folder / name).stat().st_size == size for name, size in record.sizes.items())
    except (OSError, ValueError):
        return None
    return record if whole else None


@contextmanager
def building(folder: Path) -> Iterator[Path | None]:
    """A folder to build in that takes its final name, on disk, once the block ends well; None where another process was first."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}{LOCK}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if recorded(folder) is not None:
            yield None
            return
        shutil.rmtree(folder, ignore_errors=True)
        _sweep(folder.parent)
        place = folder.with_name(f"{folder.name}{BUILDING}")
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        try:
            yield place
            for path in [*place.iterdir(), place]:
                _flush(path)
            place.rename(folder)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise


def content_digest(file: LocalFile, cache: Path) -> str:
    """sha256 of a file's bytes, remembered for as long as path, size and version stay."""
    key = hashlib.sha256(f"{file.path.absolute()}\n{file.size}\n{file.version}".encode()).hexdigest()
    memo = cache / "digests" / key
    if memo.is_file() and len(known := memo.read_text()) == 64:
        return f"sha256:{known}"
    with file.path.open("rb") as source:
        digest = hashlib.file_digest(source, "sha256").hexdigest()
    memo.parent.mkdir(parents=True, exist_ok=True)
    fresh = memo.with_name(f"{key}.{os.getpid()}")
    fresh.write_text(digest)
    fresh.replace(memo)
    return f"sha256:{digest}"


def _sweep(parent: Path) -> None:
    """Remove what killed processes were building; whoever still builds holds a lock."""
    for place in parent.glob(f"*{BUILDING}"):
        with place.with_suffix(LOCK).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(place, ignore_errors=True)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
