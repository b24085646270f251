"""The verbs that look at what a job left: its result, and whether its files are still what they were."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from pydantic import JsonValue

from tunesmith_api.protocol import VERDICTS, Event, Reason, ReportEvent, VerificationEvent, WordEvent, encode
from tunesmith_cli.jobs import Options
from tunesmith_cli.places import location, new_log, shown
from tunesmith_cli.text import clean, several
from tunesmith_cli.trainer import Listener, follow


def report(uri: str, options: Options) -> int:
    """Print the result of a finished job."""
    place = location(uri)
    answer, word, log = _ask("report", place, options)
    if not isinstance(answer, ReportEvent):
        return _failed(word, log, options)
    if options.json:
        _say(json.dumps(answer.report))
        return 0
    _say(_headline(answer))
    for line in _metric_lines(answer.report):
        _say(line)
    folder = clean(shown(place, Path.cwd(), options.buckets))
    _say(f"output: {folder}/\nreport: {folder}/report.html")
    return 0


def verify(uri: str, options: Options) -> int:
    """Check the published files against their manifest."""
    answer, word, log = _ask("verify", location(uri), options)
    if not isinstance(answer, VerificationEvent):
        return _failed(word, log, options)
    for problem in answer.problems:
        _say(clean(problem))
    if not answer.problems:
        _say(f"{several(answer.files, 'file')}: all as the manifest says")
        return VERDICTS[word.reason].exit_code
    _say(f"{several(len(answer.problems), 'problem')} in {several(answer.files, 'file')}\nremedy: {clean(word.remedy)}")
    return VERDICTS[Reason.ARTIFACT_DAMAGED].exit_code


def _ask(verb: str, place: str, options: Options) -> tuple[Event | None, WordEvent, Path]:
    answers: list[Event] = []
    log = new_log(verb, datetime.now())
    buckets = ["--buckets", str(options.buckets)] if options.buckets else []
    listener = Listener(lambda _, event: answers.append(event), lambda: None)
    word = follow([*options.trainer, verb, place, *buckets, "--stop-with-stdin"], log, listener)
    return next((a for a in answers if isinstance(a, ReportEvent | VerificationEvent)), None), word, log


def _failed(word: WordEvent, log: Path, options: Options) -> int:
    if options.json:
        _say(encode(word))
    else:
        _say(f"{word.reason.value}: {clean(word.message)}")
        _say(f"remedy: {clean(word.remedy)}" if word.remedy else "")
        _say(f"log: {log}" if word.reason is Reason.INTERNAL else "")
    return VERDICTS[word.reason].exit_code


def _headline(answer: ReportEvent) -> str:
    """How it went; without a manifest nothing was published, and the outcome says why."""
    outcome = answer.report.get("outcome")
    told = outcome if isinstance(outcome, dict) else {}
    if answer.manifest is not None:
        return clean(str(answer.manifest.get("headline") or told.get("headline") or "published"))
    return clean(f"not published: {told.get('message') or 'the gate was not met'}")


def _metric_lines(found: Mapping[str, JsonValue]) -> list[str]:
    """One line per metric, the baseline beside it."""
    ours, base = _numbers(found.get("metrics")), _numbers(found.get("baseMetrics"))
    if not ours:
        return []
    width = max(len(name) for name in ours)
    rows = [("", "model", "baseline")]
    rows += [(clean(name), f"{value:.4f}", f"{base[name]:.4f}" if name in base else "-") for name, value in ours.items()]
    return [f"{name:<{width}}  {model:>10}  {baseline:>10}" for name, model, baseline in rows]


def _numbers(value: JsonValue) -> dict[str, float]:
    return {k: float(v) for k, v in value.items() if isinstance(v, int | float)} if isinstance(value, dict) else {}


def _say(text: str) -> None:
    if text:
        print(text, flush=True)  # noqa: T201
