"""The trainer's process: `preflight FILE` and `run FILE` for jobs, `report URI` and `verify URI` for what they left."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import tempfile
import threading
import traceback
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from tunesmith_api.meta import ApiModel
from tunesmith_api.protocol import VERDICTS, Failure, JobFile, Owner, Reason, WordEvent, encode

WORK = "work"
"""Folder of the cache for what ends with a process."""


def main() -> int:
    """Do what the command line asks, print events as JSON lines, end with a word and its exit code."""
    arguments = _arguments()
    events = _events_only_stdout()
    lock = threading.Lock()

    def emit(event: ApiModel) -> None:
        with lock:
            events.write(encode(event) + "\n")
            events.flush()

    if arguments.stop_with_stdin:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    word = _word(arguments, emit)
    emit(word)
    return VERDICTS[word.reason].exit_code


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tunesmith_trainer", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("preflight", "run"):
        verbs.add_parser(verb).add_argument("file", type=Path, help="the job file (JSON)")
    for verb in ("report", "verify"):
        sub = verbs.add_parser(verb)
        sub.add_argument("uri")
        sub.add_argument("--buckets", type=Path, help="folder that stands for the object store")
    for sub in verbs.choices.values():
        sub.add_argument("--stop-with-stdin", action="store_true", help="end at once when standard input closes")
    return parser.parse_args()


def _word(arguments: argparse.Namespace, emit: Callable[[ApiModel], None]) -> WordEvent:
    """Do the work; every failure ends in a word, none in a traceback."""
    try:
        if arguments.verb in ("preflight", "run"):
            return _job(arguments, emit)
        return _artifact(arguments, emit)
    except Failure as failure:
        return WordEvent(reason=failure.reason, message=failure.message, remedy=failure.remedy)
    except Exception as error:
        from tunesmith_trainer.storage.errors import full_disk

        with suppress(OSError):  # the log may lie on that full disk
            traceback.print_exc()
        if full := full_disk(error):
            return WordEvent(reason=full.reason, message=full.message, remedy=full.remedy)
        return WordEvent(
            reason=Reason.INTERNAL,
            message=f"{type(error).__name__}: {error}",
            remedy="run again: it goes on from the newest checkpoint; if it fails again, report it with the trainer's log",
        )


def _job(arguments: argparse.Namespace, emit: Callable[[ApiModel], None]) -> WordEvent:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    file = JobFile.model_validate_json(arguments.file.read_bytes())

    from tunesmith_trainer.run import Run
    from tunesmith_trainer.storage.stores import Stores

    cache = cache_folder()
    with working_folder(cache) as work:
        run = Run(
            emit=emit,
            stores=Stores(Path(file.base), Path(file.buckets) if file.buckets else None),
            owner=file.owner or this_process(file.job.metadata.name),
            cache=cache,
            work=Path(work),
            stop=stop,
        )
        if arguments.verb == "run":
            from tunesmith_trainer.jobs.tuning import tune

            return tune(file.job, run)
        from tunesmith_trainer.jobs.preflight import preflight

        preflight(file.job.spec, run)
        return WordEvent(reason=Reason.SUCCEEDED, message="the plan holds; nothing was trained")


def _artifact(arguments: argparse.Namespace, emit: Callable[[ApiModel], None]) -> WordEvent:
    from tunesmith_trainer.artifacts.inspect import report, verify
    from tunesmith_trainer.storage.stores import Stores

    folder = Stores(Path.cwd(), arguments.buckets).folder(arguments.uri)
    return report(folder, emit) if arguments.verb == "report" else verify(folder, emit)


def cache_folder() -> Path:
    """Where downloads and prepared data are kept."""
    from tunesmith_trainer.storage.errors import failure

    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(home) / "tunesmith"
    try:
        (folder / WORK).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        said = failure(error, "the cache")
        raise Failure(said.reason, said.message, f"{said.remedy} XDG_CACHE_HOME names the folder that holds the cache.") from error
    return folder


def working_folder(cache: Path) -> tempfile.TemporaryDirectory[str]:
    """A folder that ends with this process; those of processes that were killed are removed."""
    import shutil

    import psutil

    home = cache / WORK
    for old in home.iterdir():
        pid = old.name.partition("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(old, ignore_errors=True)
    return tempfile.TemporaryDirectory(prefix=f"{os.getpid()}-", dir=home)


def this_process(name: str) -> Owner:
    """The owner of a local run."""
    import psutil

    started = psutil.Process().create_time()
    return Owner(uid=uuid.uuid4().hex, name=name, host=socket.gethostname(), pid=os.getpid(), started=started)


def _events_only_stdout() -> IO[str]:
    """The real standard output, for events alone: whatever a library prints goes to standard error."""
    events = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return events


def _end_with_stdin() -> None:
    """Wait for the end of standard input, which is the end of the command that started this process."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(VERDICTS[Reason.PREEMPTED].exit_code)


if __name__ == "__main__":
    sys.exit(main())
