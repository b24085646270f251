"""manifest.json: what an artifact consists of and where it came from; a reader that sees it sees a whole artifact."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationError

from tunesmith_api.meta import ApiModel
from tunesmith_api.protocol import Failure, Reason
from tunesmith_trainer.artifacts.layout import MANIFEST, PAYLOADS, is_published_name
from tunesmith_trainer.storage.errors import Missing
from tunesmith_trainer.storage.folder import Folder


class Base(ApiModel):
    """The model that was tuned."""

    uri: str
    digest: str


class Facts(ApiModel):
    """What is known of an artifact before its files are."""

    name: str
    """Name of the job."""
    kind: str
    """Kind of the job."""
    digest: str
    """Digest of everything that decides the result (sha256:...): the same digest is the same artifact."""
    base: Base
    data_digest: str
    """Digest of the prepared data."""
    spec: dict[str, Any]
    """The spec of the job, as it was run."""
    metrics: dict[str, float]
    """Measured on the evaluation rows."""
    base_metrics: dict[str, float] = Field(default_factory=dict)
    """The same of the baseline."""
    headline: str
    """The one line that says how it went."""
    image: str | None = None
    """The container image that made it, where there was one."""
    version: str
    """Version of Tunesmith that made it."""
    created: str
    """When, in ISO 8601."""


class Manifest(Facts):
    """The last file that is published."""

    format_version: Literal[1] = 1
    files: dict[str, str]
    """Digest of each file by its path (sha256:...)."""
    sizes: dict[str, int]
    """Bytes of each file by its path."""

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(self.sizes.values())

    def encode(self) -> bytes:
        """As it is written."""
        return (self.model_dump_json(by_alias=True, indent=2) + "\n").encode()


def read(folder: Folder) -> Manifest | None:
    """The manifest of a folder, None where nothing is published; Failure(ArtifactDamaged) where it makes no sense."""
    try:
        data = folder.read(MANIFEST)
    except Missing:
        return None
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError as error:
        raise _unreadable(folder, _first(error)) from None
    if strange := [name for name in (*manifest.files, *manifest.sizes) if not is_published_name(name)]:
        raise _unreadable(folder, f"it names {strange[0]!r}, which is no file of an artifact")
    if manifest.files.keys() != manifest.sizes.keys():
        raise _unreadable(folder, "its files and sizes do not name the same files")
    return manifest


def problems(folder: Folder, manifest: Manifest) -> list[str]:
    """Every file that is missing, damaged or not the manifest's."""
    damaged = [problem for name in sorted(manifest.files) for problem in _file_problems(folder, manifest, name)]
    return damaged + [f"{folder.uri_of(name)}: not in {MANIFEST}" for name in strays(folder, manifest.files)]


def intact(folder: Folder, manifest: Manifest) -> bool:
    """Whether every file is there with its size: what one listing can tell."""
    sizes = {entry.name: entry.size for payload in PAYLOADS for entry in folder.list(payload)}
    singles = {name: entry.size for name in manifest.files if "/" not in name and (entry := folder.head(name)) is not None}
    return all((sizes | singles).get(name) == size for name, size in manifest.sizes.items())


def strays(folder: Folder, names: dict[str, Any]) -> list[str]:
    """Files in the folder's payload that are not among the names."""
    return [entry.name for payload in PAYLOADS for entry in folder.list(payload) if entry.name not in names]


def _file_problems(folder: Folder, manifest: Manifest, name: str) -> list[str]:
    entry, uri = folder.head(name), folder.uri_of(name)
    if entry is None:
        return [f"{uri}: missing"]
    if entry.size != manifest.sizes[name]:
        return [f"{uri}: {entry.size} bytes, {MANIFEST} says {manifest.sizes[name]}"]
    try:
        digest = folder.sha256(name)
    except Missing:
        return [f"{uri}: missing"]
    return [] if digest == manifest.files[name] else [f"{uri}: damaged: its digest is {digest}, {MANIFEST} says {manifest.files[name]}"]


def _first(error: ValidationError) -> str:
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"])
    return f"{where}: {problem['msg']}" if where else problem["msg"]


def _unreadable(folder: Folder, why: str) -> Failure:
    message = f"{folder.uri_of(MANIFEST)}: cannot be read as an artifact's manifest: {why}"
    return Failure(Reason.ARTIFACT_DAMAGED, message, f"If it is of no use, remove {MANIFEST}; else restore it from where it was copied.")
