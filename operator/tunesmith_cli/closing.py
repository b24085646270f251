"""The last lines of a run: how it went, where things are, how to use or resume it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from tunesmith_api.protocol import Reason, Result, WordEvent
from tunesmith_api.tuning import TuningJob
from tunesmith_cli.places import shown
from tunesmith_cli.text import clean, clean_lines


class Facts(NamedTuple):
    """What the last lines need to know beside the word."""

    job: TuningJob
    base: Path
    buckets: Path | None
    resume: str
    """The command that resumes the job."""
    log: Path
    labels: int
    """How many labels the model tells apart; 0 if unknown or a number."""


def closing_lines(word: WordEvent, facts: Facts) -> list[str]:
    """How it went, in a few lines."""
    if word.result:
        return _succeeded(word, word.result, facts)
    if word.reason is Reason.PREEMPTED:
        return [clean(word.message), f"resume with: {facts.resume}"]
    lines = [f"{word.reason.value}: {clean_lines(word.message)}"]
    lines += [f"remedy: {clean(word.remedy)}"] if word.remedy else []
    if word.report_uri:
        lines.append(f"report: {clean(shown(word.report_uri, facts.base, facts.buckets))}")
    return [*lines, f"log: {facts.log}"] if word.reason is Reason.INTERNAL else lines


def _succeeded(word: WordEvent, result: Result, facts: Facts) -> list[str]:
    lines = [clean(result.headline)]
    if word.reason is Reason.REUSED:
        lines.append("the same job had been done before: its artifact is used again, nothing was trained")
    folder = clean(shown(result.uri, facts.base, facts.buckets))
    lines += [f"model:  {folder}/", f"report: {clean(shown(result.report_uri, facts.base, facts.buckets))}"]
    return [*lines, "use it:", *(f"    {line}" for line in _snippet(result.uri, folder, facts.labels))]


def _snippet(uri: str, folder: str, labels: int) -> list[str]:
    """Two lines of Python that load the model, by what lies in its folder."""
    if not Path(folder).is_dir():
        return [f"download {clean(uri)}/ first; its README.md says how it is loaded"]
    if (Path(folder) / "adapter").is_dir():
        load = f'model = AutoPeftModelForSequenceClassification.from_pretrained("{folder}/adapter", num_labels={labels or 1})'
        return ["from peft import AutoPeftModelForSequenceClassification", load]
    if (Path(folder) / "model" / "modules.json").is_file():
        load = f'scores = SentenceTransformer("{folder}/model").encode(["a text"])'
        return ["from sentence_transformers import SentenceTransformer", load]
    load = f'model = AutoModelForSequenceClassification.from_pretrained("{folder}/model")'
    return ["from transformers import AutoModelForSequenceClassification", load]
