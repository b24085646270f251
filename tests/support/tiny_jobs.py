"""Jobs on tiny models and tiny data, and what to run them with."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

from tunesmith_api.meta import ApiModel
from tunesmith_api.tuning import TuningJob
from tunesmith_trainer.__main__ import this_process
from tunesmith_trainer.run import Run
from tunesmith_trainer.storage.stores import Stores

TOPICS = {"cards": "card", "rates": "exchange", "refunds": "statement"}
"""The word that gives each label away; all words are single tokens of the tiny tokenizers."""
FILLERS = ("account", "foreign", "from", "have", "help", "morning", "should", "there", "your", "with")


def write_rows(folder: Path, *, rows: int, seed: int = 0) -> Path:
    """A csv of texts whose label is the topic of one of their words, a score that is their count of words, and a shop to slice by."""
    rng = random.Random(seed)
    path = folder / f"rows-{seed}.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label", "score", "shop"])
        for i in range(rows):
            label, word = list(TOPICS.items())[i % 3]
            words = rng.sample(FILLERS, rng.randint(1, 6))
            words.insert(rng.randrange(len(words)), word)
            writer.writerow([" ".join(words), label, f"{len(words) * 10 + 50}", rng.choice(["north", "south"])])
    return path


def manifest(folder: Path, model: Path, *, rows: int = 90, **changes: Any) -> dict[str, Any]:
    """A manifest in `folder`; a change is given by a dotted path below spec, such as {"method.lora": {}}."""
    train, evaluation = write_rows(folder, rows=rows), write_rows(folder, rows=31, seed=1)
    spec: dict[str, Any] = {
        "model": {"uri": f"file:{model}"},
        "dataset": {"train": {"uri": f"file:{train.name}"}, "evaluation": {"uri": f"file:{evaluation.name}"}},
        "objective": {"classification": {}},
        "method": {"full": {}},
        "hyperparameters": {"epochs": 2, "batchSize": 8, "learningRate": 1e-3, "maxLength": 32, "precision": "fp32", "dropout": 0.1},
        "output": {"uri": "file:out"},
    }
    for path, value in changes.items():
        *above, last = path.split(".")
        place = spec
        for key in above:
            place = place.setdefault(key, {})
        if value is None:
            place.pop(last)
        else:
            place[last] = value
    return {"apiVersion": "tunesmith.dev/v1alpha1", "kind": "TuningJob", "metadata": {"name": "tiny"}, "spec": spec}


def job(folder: Path, model: Path, **changes: Any) -> TuningJob:
    """The same, validated."""
    return TuningJob.model_validate_json(json.dumps(manifest(folder, model, **changes)))


def a_run(folder: Path, events: list[ApiModel] | None = None) -> Run:
    """What a recipe is handed; its events are collected."""
    heard = [] if events is None else events
    for name in ("cache", "work"):
        (folder / name).mkdir(exist_ok=True)
    return Run(
        emit=heard.append,
        stores=Stores(folder),
        owner=this_process("tiny"),
        cache=folder / "cache",
        work=folder / "work",
    )
