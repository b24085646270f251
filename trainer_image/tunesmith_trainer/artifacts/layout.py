"""Where everything stands in an output folder, and which files may be published."""

from __future__ import annotations

import os
from pathlib import Path

MANIFEST = "manifest.json"
MODEL = "model"
ADAPTER = "adapter"
CHECKPOINTS = "checkpoints"
CARD = "README.md"
REPORT_HTML = "report.html"
REPORT_JSON = "report.json"
REJECTED = "rejected"
"""Reports of a model that did not meet its gate, where another job's artifact stands and is kept."""

PAYLOADS = (MODEL, ADAPTER)
REPORTS = (REPORT_HTML, REPORT_JSON)
_SINGLE = (CARD, *REPORTS)


def is_published_name(name: str) -> bool:
    """Whether a name belongs to an artifact, and stays inside it."""
    parts = name.split("/")
    inside = all(part not in ("", ".", "..") for part in parts) and "\\" not in name and all(ord(c) >= 32 for c in name)
    return inside and (name in _SINGLE or (len(parts) > 1 and parts[0] in PAYLOADS))


def staged_files(staged: Path) -> dict[str, Path]:
    """The files of a staging folder by their published names, sorted; links and strange names are refused."""
    found: dict[str, Path] = {}
    for folder, below, files in os.walk(staged):
        for name in (*below, *files):
            path = Path(folder) / name
            if path.is_symlink() or (name in files and not path.is_file()):
                raise ValueError(f"{path} is no plain file or folder; only those are published")
        found |= {(Path(folder) / name).relative_to(staged).as_posix(): Path(folder) / name for name in files}
    if strange := sorted(name for name in found if not is_published_name(name)):
        allowed = ", ".join((*(f"{payload}/" for payload in PAYLOADS), *_SINGLE))
        raise ValueError(f"{strange[0]!r} has no place in an artifact (it holds: {allowed})")
    return dict(sorted(found.items()))
