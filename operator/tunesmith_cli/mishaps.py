"""What the command says when it cannot do its work."""

from __future__ import annotations

import sys
import traceback
from datetime import datetime

from tunesmith_api.protocol import VERDICTS, Failure, Reason
from tunesmith_cli.places import new_log
from tunesmith_cli.text import clean


def told(error: Exception) -> int:
    """Say it in a line or two on standard error, keep the traceback in a log, and return the exit code."""
    if isinstance(error, Failure):
        print(f"{error.reason.value}: {clean(error.message)}\nremedy: {clean(error.remedy)}", file=sys.stderr)  # noqa: T201
        return VERDICTS[error.reason].exit_code
    log = new_log("command", datetime.now())
    log.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    print(f"Internal: {type(error).__name__}: {clean(str(error))}\nlog: {log}", file=sys.stderr)  # noqa: T201
    return VERDICTS[Reason.INTERNAL].exit_code
