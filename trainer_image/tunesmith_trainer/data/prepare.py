"""From a dataset to rows of tokens and a report, made once and found again by digest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tunesmith_api.plan import DataReport
from tunesmith_api.protocol import Failure, Reason
from tunesmith_api.tuning import Dataset
from tunesmith_trainer.data.build import Task, build, open_rows
from tunesmith_trainer.data.cache import Prepared, building, recorded
from tunesmith_trainer.data.columns import wanted
from tunesmith_trainer.data.encode import Encode
from tunesmith_trainer.data.gather import data_digest, folder_key, gather
from tunesmith_trainer.data.ingest import Emit, Recipe
from tunesmith_trainer.data.labels import LabelIndex, final_ids
from tunesmith_trainer.data.rows import Rows
from tunesmith_trainer.data.sources import Fetch
from tunesmith_trainer.storage.errors import writing


@dataclass(frozen=True)
class PreparedData:
    """Rows to learn from and to be judged by, the labels in the order of their ids, and the report."""

    train: Rows
    evaluation: Rows | None
    labels: tuple[str, ...]
    """Sorted; empty for regression."""
    report: DataReport
    digest: str


def prepare(
    dataset: Dataset,
    objective: str,
    tokenizer: Encode,
    max_length: int,
    slices: tuple[str, ...] = (),
    *,
    fetch: Fetch,
    cache: Path,
    emit: Emit,
) -> PreparedData:
    """Read, check and tokenise a dataset, or open what an earlier run prepared from the same content and options.

    `objective` is classification or regression; `cache` the folder that all jobs of this machine share; `emit` is told how many bytes
    of how many are read.
    """
    with writing(str(cache)):
        inputs = gather(dataset, fetch, cache)
        digest = data_digest(inputs, dataset, objective=objective, tokenizer=tokenizer, max_length=max_length, slices=slices)
        folder = cache / "prepared" / folder_key(digest, inputs)
        if (record := recorded(folder)) is None:
            recipe = Recipe(wanted(dataset.columns, slices), objective, tokenizer, max_length, dataset.on_too_long, LabelIndex())
            record = _made(folder, Task(inputs, dataset, recipe, digest), emit)
        return _open(folder, record)


def _made(folder: Path, task: Task, emit: Emit) -> Prepared:
    with building(folder) as place:
        if place is not None:
            build(place, task, emit)
    if (record := recorded(folder)) is None:
        raise Failure(Reason.STORAGE_UNAVAILABLE, f"{folder}: was removed while it was written", "Leave the cache alone while a job runs.")
    return record


def _open(folder: Path, record: Prepared) -> PreparedData:
    ids = final_ids(record.met, record.labels) if record.labels else None
    train, evaluation = open_rows(folder, record.digest, record.names, record.evaluation_names, ids)
    return PreparedData(train, evaluation, record.labels, record.report, record.digest)
