"""The two questions that may be asked of an output afterwards: what came out, and is it still whole."""

from __future__ import annotations

import json
from collections.abc import Callable

from tunesmith_api.meta import ApiModel
from tunesmith_api.protocol import Failure, Reason, ReportEvent, VerificationEvent, WordEvent
from tunesmith_trainer.artifacts.layout import MANIFEST, REPORT_JSON
from tunesmith_trainer.artifacts.manifest import problems, read
from tunesmith_trainer.storage.errors import Missing
from tunesmith_trainer.storage.folder import Folder

Emit = Callable[[ApiModel], None]


def report(folder: Folder, emit: Emit) -> WordEvent:
    """Emit report.json, and the manifest where there is one."""
    manifest = read(folder)
    try:
        found = json.loads(folder.read(REPORT_JSON))
    except Missing:
        raise _nothing(folder, REPORT_JSON) from None
    except ValueError as error:
        raise Failure(
            Reason.ARTIFACT_DAMAGED, f"{folder.uri_of(REPORT_JSON)}: is no JSON ({error})", "Remove the artifact and run the job again."
        ) from error
    emit(ReportEvent(report=found, manifest=manifest.model_dump(mode="json", by_alias=True) if manifest else None))
    return WordEvent(reason=Reason.SUCCEEDED, message=manifest.headline if manifest else "not published: the gate was not met")


def verify(folder: Folder, emit: Emit) -> WordEvent:
    """Emit every way in which the published files are not what the manifest says."""
    manifest = read(folder)
    if manifest is None:
        raise _nothing(folder, MANIFEST)
    found = problems(folder, manifest)
    emit(VerificationEvent(files=len(manifest.files), problems=tuple(found)))
    if not found:
        return WordEvent(reason=Reason.SUCCEEDED, message=f"{folder.uri}: {len(manifest.files)} files, all as {MANIFEST} says")
    return WordEvent(
        reason=Reason.ARTIFACT_DAMAGED, message=found[0], remedy=f"Remove {MANIFEST} and run the job again: it publishes anew."
    )


def _nothing(folder: Folder, name: str) -> Failure:
    message = f"{folder.uri}: holds no {name}: nothing was published there, or publishing has not finished"
    return Failure(Reason.MODEL_UNAVAILABLE, message, "Check the URI (and --buckets), or run the job that writes there.")
