"""Files of somebody else in an output folder: publishing must not write over them or remove them."""

from __future__ import annotations

import json
import re

from tunesmith_api.protocol import Failure, Reason
from tunesmith_trainer.artifacts.layout import CARD, CHECKPOINTS, PAYLOADS, REJECTED, REPORT_HTML, REPORT_JSON
from tunesmith_trainer.storage.errors import Missing
from tunesmith_trainer.storage.folder import Folder

SHOWN = 3
_SAVED = re.compile(rf"{CHECKPOINTS}/[0-9a-f]{{16}}/(step|best)-\d+/")


def refuse_foreign(folder: Folder) -> None:
    """Raise Failure(OutputInUse) if names that a job writes or removes are taken by files that no job wrote.

    Of a folder without a manifest: an earlier attempt that was interrupted left report.json, the first file that is published.
    """
    if not _is_of_a_job(folder) and (found := _foreign(folder)):
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise Failure(
            Reason.OUTPUT_IN_USE,
            f"{folder.uri}: holds {', '.join(found[:SHOWN])}{more}, which no job wrote and which publishing there would replace or remove",
            "Name another output.uri, best an empty folder, or move these files away.",
        )


def _is_of_a_job(folder: Folder) -> bool:
    """Whether report.json is one of ours, not one of another tool's."""
    try:
        found = json.loads(folder.read(REPORT_JSON))
    except (Missing, ValueError):
        return False
    return isinstance(found, dict) and "metrics" in found


def _foreign(folder: Folder) -> list[str]:
    found = [name for name in (CARD, REPORT_HTML, REPORT_JSON) if folder.exists(name)]
    found += [entry.name for taken in (*PAYLOADS, REJECTED) for entry in folder.list(taken)]
    return found + [entry.name for entry in folder.list(CHECKPOINTS) if not _SAVED.match(entry.name)]
