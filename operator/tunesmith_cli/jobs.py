"""The verbs that start a trainer: each manifest becomes a job file, a process and a view of it."""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from tunesmith_api.plan import Plan
from tunesmith_api.protocol import VERDICTS, Event, JobFile, PlanEvent, Reason, WordEvent, encode
from tunesmith_cli.check import Manifest, Problem
from tunesmith_cli.closing import Facts, closing_lines
from tunesmith_cli.places import below_here, new_log
from tunesmith_cli.text import clean
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
    seen = _follow("run", manifest, options, view(json=options.json))
    seen.view.close(closing_lines(seen.word, _facts(manifest, options, seen)), seen.word)
    return VERDICTS[seen.word.reason].exit_code


def plan(manifests: Sequence[Manifest], options: Options) -> int:
    """Show the plan of each job; the exit code is that of the first that has none."""
    for manifest in manifests:
        seen = _follow("preflight", manifest, options, View() if options.json else view(json=False, detailed=True))
        code = VERDICTS[seen.word.reason].exit_code
        if options.json:
            _say(encode(seen.plan if seen.plan and not code else seen.word))
        failed = closing_lines(seen.word, _facts(manifest, options, seen))
        seen.view.close(failed if code else [clean(seen.word.message)], seen.word)
        if code:
            return code
    return 0


class _Seen:
    """What a trainer said, passed on to a view as it came."""

    def __init__(self, shown_by: View, log: Path) -> None:
        self.view, self.log = shown_by, log
        self.plan: Plan | None = None
        self.word: WordEvent

    def show(self, line: str, event: Event) -> None:
        if isinstance(event, PlanEvent):
            self.plan = event.plan
        self.view.show(line, event)


def _follow(verb: str, manifest: Manifest, options: Options, shown_by: View) -> _Seen:
    """Start a trainer with a manifest and listen until it has ended."""
    seen = _Seen(shown_by, new_log(verb, datetime.now()))
    try:
        with _job_file(manifest, options.buckets) as file:
            command = [*options.trainer, verb, str(file), "--stop-with-stdin"]
            seen.word = follow(command, seen.log, Listener(seen.show, shown_by.stopping))
    finally:
        with suppress(OSError):
            shown_by.stop()
    return seen


def _facts(manifest: Manifest, options: Options, seen: _Seen) -> Facts:
    labels = len(seen.plan.data.labels) if seen.plan else 0
    return Facts(manifest.job, _base(manifest), options.buckets, _resume(manifest, options), seen.log, labels)


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
    buckets = ["--buckets", below_here(options.buckets)] if options.buckets else []
    return shlex.join(["tunesmith", "run", str(manifest.file), *buckets])


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201
