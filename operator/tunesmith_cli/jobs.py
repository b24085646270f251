"""The verbs that start a trainer: each manifest becomes a job file, a process and a view of it."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from tunesmith_api.protocol import VERDICTS, Event, JobFile, PlanEvent, Reason, ReportEvent, VerificationEvent, WordEvent, encode
from tunesmith_cli.check import Manifest, Problem
from tunesmith_cli.closing import Facts, closing_lines
from tunesmith_cli.places import new_log
from tunesmith_cli.trainer import Listener, follow
from tunesmith_cli.views import View, view

TRAINER = (sys.executable, "-m", "tunesmith_trainer")


class Options(NamedTuple):
    """What the verbs have in common."""

    buckets: Path | None
    json: bool
    trainer: Sequence[str] = TRAINER
    """The command that starts a trainer."""


def run(manifests: Sequence[Manifest], options: Options) -> int:
    """Run the jobs in their order up to the first that fails; the exit code is its trainer's."""
    for done, manifest in enumerate(manifests):
        if len(manifests) > 1 and not options.json:
            _say(f"{manifest.job.metadata.name} ({done + 1} of {len(manifests)})")
        code = _run_one(manifest, options)
        if code:
            if not options.json and (rest := [m.job.metadata.name for m in manifests[done + 1 :]]):
                _say(f"not run: {', '.join(rest)}")
            return code
    return 0


def _run_one(manifest: Manifest, options: Options) -> int:
    seen = _Seen(view(json=options.json))
    log = new_log("run", datetime.now())
    with _job_file(manifest, options.buckets) as file:
        word = follow([*options.trainer, "run", str(file), "--stop-with-stdin"], log, Listener(seen.show, seen.view.stopping))
    labels = len(seen.plan.plan.data.labels) if seen.plan else 0
    facts = Facts(manifest.job, _base(manifest), options.buckets, _resume(manifest, options), log, labels)
    seen.view.close(closing_lines(word, facts), word)
    return VERDICTS[word.reason].exit_code


def plan(manifests: Sequence[Manifest], options: Options) -> int:
    """Show the plan of each job; the exit code is that of the first that has none."""
    for manifest in manifests:
        seen = _Seen(_Quiet() if options.json else view(json=False, detailed=True))
        log = new_log("plan", datetime.now())
        with _job_file(manifest, options.buckets) as file:
            word = follow([*options.trainer, "preflight", str(file), "--stop-with-stdin"], log, Listener(seen.show, seen.view.stopping))
        code = VERDICTS[word.reason].exit_code
        if options.json:
            _say(encode(seen.plan.plan if seen.plan and not code else word))
        else:
            facts = Facts(manifest.job, _base(manifest), options.buckets, _resume(manifest, options), log, 0)
            seen.view.close(closing_lines(word, facts) if code or word.result else ["nothing was trained"], word)
        if code:
            return code
    return 0


class _Seen:
    """Passes events on to a view and remembers the answers among them."""

    def __init__(self, shown_by: View) -> None:
        self.view = shown_by
        self.plan: PlanEvent | None = None
        self.report: ReportEvent | None = None
        self.verification: VerificationEvent | None = None

    def show(self, line: str, event: Event) -> None:
        match event:
            case PlanEvent():
                self.plan = event
            case ReportEvent():
                self.report = event
            case VerificationEvent():
                self.verification = event
        self.view.show(line, event)


class _Quiet:
    """Shows nothing: the answer is printed at the end."""

    def show(self, line: str, event: Event) -> None:
        """Nothing."""

    def stopping(self) -> None:
        """Nothing."""

    def close(self, closing: list[str], word: WordEvent) -> None:
        """Nothing."""


def refuse(problems: Sequence[Problem], options: Options) -> int:
    """Say what is wrong with the manifests instead of running them."""
    if options.json:
        remedy = "correct the manifest; `tunesmith validate` checks it"
        _say(encode(WordEvent(reason=Reason.INVALID_SPEC, message="\n".join(map(str, problems)), remedy=remedy)))
    else:
        for problem in problems:
            print(problem, file=sys.stderr)  # noqa: T201
    return VERDICTS[Reason.INVALID_SPEC].exit_code


@contextmanager
def _job_file(manifest: Manifest, buckets: Path | None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tunesmith-") as folder:
        file = Path(folder) / "job.json"
        job = JobFile(job=manifest.job, base=str(_base(manifest)), buckets=str(buckets) if buckets else None)
        file.write_text(encode(job), encoding="utf-8")
        yield file


def _base(manifest: Manifest) -> Path:
    return manifest.file.absolute().parent


def _resume(manifest: Manifest, options: Options) -> str:
    buckets = ["--buckets", os.path.relpath(options.buckets)] if options.buckets else []
    return shlex.join(["tunesmith", "run", str(manifest.file), *buckets])


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201
