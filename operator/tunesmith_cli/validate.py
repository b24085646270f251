"""`tunesmith validate`: all errors of all files, for people or for machines."""

from __future__ import annotations

import json as encoding
import sys
from collections.abc import Sequence
from pathlib import Path

from tunesmith_api.protocol import VERDICTS, Reason
from tunesmith_cli.check import check
from tunesmith_cli.text import several


def validate(files: Sequence[Path], *, json: bool) -> int:
    """Print what is wrong with the files; the exit code says whether anything is."""
    jobs, problems = check(files)
    if json:
        print(encoding.dumps({"valid": not problems, "errors": [p._asdict() for p in problems]}))  # noqa: T201
    else:
        for problem in problems:
            print(problem, file=sys.stderr)  # noqa: T201
        names = ", ".join(f"{m.job.kind} {m.job.metadata.name}" for m in jobs)
        print(several(len(problems), "error") if problems else f"valid: {names}")  # noqa: T201
    return VERDICTS[Reason.INVALID_SPEC].exit_code if problems else 0
