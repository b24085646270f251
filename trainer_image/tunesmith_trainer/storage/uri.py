"""What a URI names: a scheme, a bucket and a key, or a path of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from os.path import normpath
from pathlib import Path

from tunesmith_api.protocol import Failure, Reason

BUCKET_SCHEMES = ("s3", "gs", "az")


@dataclass(frozen=True)
class Location:
    """Where a URI points: bucket and key in a store, or (scheme file) an absolute path as the key."""

    scheme: str
    bucket: str
    key: str


def parse(uri: str, base: Path) -> Location:
    """Take a URI apart; a relative file: URI starts at `base`."""
    scheme, colon, rest = uri.partition(":")
    if colon and scheme == "file":
        return Location("file", "", str(_path(uri, rest, base)))
    if scheme not in BUCKET_SCHEMES or not rest.startswith("//"):
        raise Failure(
            Reason.INVALID_SPEC,
            f"{uri}: not a place that can be read or written",
            "Give s3://, gs:// or az:// with a bucket, or file:PATH.",
        )
    bucket, *segments = rest.removeprefix("//").split("/")
    if not bucket or ".." in segments:
        raise Failure(Reason.INVALID_SPEC, f'{uri}: names no bucket, or leaves it by ".."', f"Write {scheme}://BUCKET/FOLDER.")
    return Location(scheme, bucket, "/".join(s for s in segments if s not in ("", ".")))


def _path(uri: str, rest: str, base: Path) -> Path:
    if rest.startswith("//") and not rest.startswith("///"):
        raise Failure(
            Reason.INVALID_SPEC, f"{uri}: names a host", "Write file:relative/path (from the manifest's folder) or file:///absolute/path."
        )
    return Path(normpath(base / rest.removeprefix("//")))


def child_uri(uri: str, name: str) -> str:
    """The URI of something below a folder's URI."""
    if not name:
        return uri
    return f"file:{name}" if uri == "file:." else f"{uri.rstrip('/')}/{name}"


def safe_name(name: str) -> str:
    """A folder-relative name, refused if it could leave the folder."""
    if not name or any(part in ("", ".", "..") for part in name.split("/")) or "\\" in name or any(ord(c) < 32 for c in name):
        raise ValueError(f"{name!r} is no name of a file below a folder")
    return name
