"""Where things lie on this machine: URIs as paths, the cache, the logs."""

from __future__ import annotations

import os
import tempfile
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote

MOST_LOGS = 20


def local_path(uri: str, base: Path, buckets: Path | None) -> Path | None:
    """The path of a URI on this machine; None for what lies in an object store."""
    scheme, _, rest = uri.partition(":")
    if scheme == "file":
        return base / (unquote(rest.removeprefix("//")) if rest.startswith("///") else rest.removeprefix("//"))
    return buckets / rest.removeprefix("//") if buckets else None


def shown(uri: str, base: Path, buckets: Path | None) -> str:
    """A URI as a person can use it: a path, from the working directory where it lies below it, or the URI itself."""
    found = local_path(uri, base, buckets)
    return below_here(found) if found else uri


def below_here(path: Path) -> str:
    """A path from the working directory where it lies below it, else as it is."""
    folder = Path(os.path.normpath(path))
    return str(folder.relative_to(Path.cwd())) if folder.is_relative_to(Path.cwd()) else str(folder)


def location(uri: str) -> str:
    """What a person gave as a URI: one, or the path of a folder."""
    if ":" in uri.partition("/")[0]:
        return uri.rstrip("/") if not uri.startswith("file:") else f"file://{local_path(uri, Path.cwd(), None)}".rstrip("/")
    return f"file://{Path(uri).absolute()}"


def new_log(verb: str, now: datetime) -> Path:
    """A fresh log file in the cache, or in the temporary folder where the cache cannot be written; the oldest logs go."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tunesmith" / "logs"
    name = f"{now:%Y%m%d-%H%M%S}-{verb}-{os.getpid()}.log"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        for old in sorted(cache.glob("*.log"))[: -MOST_LOGS + 1]:
            old.unlink(missing_ok=True)
        (cache / name).touch()
    except OSError:
        return Path(tempfile.mkdtemp(prefix="tunesmith-")) / name
    return cache / name
