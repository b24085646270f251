"""Publishing: every file first, the manifest last and only if absent, so that a reader never sees half an artifact."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from tunesmith_api.protocol import Failure, Reason
from tunesmith_trainer.artifacts.foreign import refuse_foreign
from tunesmith_trainer.artifacts.layout import MANIFEST, REJECTED, REPORT_JSON, staged_files
from tunesmith_trainer.artifacts.manifest import Facts, Manifest, intact, read, strays
from tunesmith_trainer.storage.folder import Folder
from tunesmith_trainer.storage.ownership import Claim

_REMEDY = "Name another output.uri, or set output.overwrite: true to replace what is there."


def published(folder: Folder, digest: str, *, overwrite: bool = False) -> Manifest | None:
    """The artifact of this digest if it is there and whole; None if there is nothing, or what is there may be replaced.

    Raises Failure(OutputInUse) for another artifact, and for files that no job wrote where one would be.
    """
    try:
        manifest = read(folder)
    except Failure as failure:
        if failure.reason is not Reason.ARTIFACT_DAMAGED:
            raise
        if overwrite:
            return None
        raise Failure(Reason.OUTPUT_IN_USE, failure.message, _REMEDY) from failure
    if manifest is not None and manifest.digest == digest:
        return manifest if intact(folder, manifest) else None
    if manifest is not None and not overwrite:
        raise _another(folder, manifest)
    if manifest is None:
        refuse_foreign(folder)
    return None


def publish(folder: Folder, staged: Path, facts: Facts, claim: Claim, *, overwrite: bool = False) -> Manifest:
    """Publish all files under `staged` and give the manifest: the facts and the files.

    Killed anywhere and called again, it ends in the same state: what was there is written again or removed.
    """
    files = staged_files(staged)
    if (there := published(folder, facts.digest, overwrite=overwrite)) is not None:
        return there
    claim.check()
    if folder.exists(MANIFEST):
        folder.delete([MANIFEST])
    _upload(folder, files, claim)
    claim.check()
    folder.delete([*strays(folder, files), *(entry.name for entry in folder.list(REJECTED))])
    manifest = _manifest(facts, files)
    claim.check()
    if not folder.write_new(MANIFEST, manifest.encode()) and folder.read(MANIFEST) != manifest.encode():
        raise _another(folder, read(folder))
    return manifest


def leave(folder: Folder, staged: Path, claim: Claim) -> Folder:
    """Put the reports under `staged` where nothing is published; gives the place.

    That is the folder itself, or one aside where an artifact stands: it is kept as its manifest says.
    """
    place = folder.child(REJECTED) if folder.exists(MANIFEST) else folder
    _upload(place, staged_files(staged), claim)
    return place


def _upload(folder: Folder, files: Mapping[str, Path], claim: Claim) -> None:
    """Write the files, report.json first: it says that what lies beside it is a job's."""
    for name in sorted(files, key=lambda name: (name != REPORT_JSON, name)):
        claim.check()
        folder.upload(name, files[name])


def _manifest(facts: Facts, files: Mapping[str, Path]) -> Manifest:
    digests = {name: _sha256(path) for name, path in files.items()}
    return Manifest(**facts.model_dump(), files=digests, sizes={name: path.stat().st_size for name, path in files.items()})


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _another(folder: Folder, manifest: Manifest | None) -> Failure:
    what = (
        f"the artifact of {manifest.kind} {manifest.name} ({manifest.digest[:19]}, created {manifest.created})"
        if manifest
        else "another artifact"
    )
    return Failure(
        Reason.OUTPUT_IN_USE,
        f"{folder.uri}: holds {what}, which another spec, model or data made",
        _REMEDY,
    )
