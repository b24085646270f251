"""What a person asks of a finished output: its report, and whether its files are whole."""

from __future__ import annotations

import json
from collections.abc import Callable

from tunesmith_api.meta import ApiModel
from tunesmith_api.protocol import Failure, Reason, ReportEvent, VerificationEvent, WordEvent
from tunesmith_trainer.artifacts import manifest as manifests
from tunesmith_trainer.artifacts.layout import REPORT_HTML, REPORT_JSON
from tunesmith_trainer.storage.errors import Missing
from tunesmith_trainer.storage.folder import Folder

Emit = Callable[[ApiModel], None]


def report(folder: Folder, emit: Emit) -> WordEvent:
    """Tell the report of a finished job, published or not."""
    try:
        text = folder.read(REPORT_JSON)
    except Missing:
        raise Failure(
            Reason.MODEL_UNAVAILABLE,
            f"{folder.uri}: no {REPORT_JSON}: no job has finished here",
            "check the URI (and --buckets), or run the job first",
        ) from None
    manifest = manifests.read(folder)
    try:
        content = json.loads(text)
    except ValueError as error:
        raise _damaged(f"{folder.uri_of(REPORT_JSON)}: is not JSON ({error})") from None
    emit(ReportEvent(report=content, manifest=json.loads(manifest.encode()) if manifest else None))
    return WordEvent(reason=Reason.SUCCEEDED, message=f"the report is {folder.uri_of(REPORT_HTML)}")


def verify(folder: Folder, emit: Emit) -> WordEvent:
    """Compare every published file with the manifest."""
    problems = manifests.verify(folder)
    manifest = manifests.read(folder) if not problems or folder.exists("manifest.json") else None
    files = len(manifest.files) if manifest else 0
    emit(VerificationEvent(files=files, problems=tuple(problems)))
    if problems:
        raise _damaged(f"{folder.uri}: {problems[0]}" + (f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""))
    return WordEvent(reason=Reason.SUCCEEDED, message=f"{files} files are as manifest.json says")


def _damaged(message: str) -> Failure:
    return Failure(Reason.ARTIFACT_DAMAGED, message, "run the job again with output.overwrite: true, or restore the files from a copy")
