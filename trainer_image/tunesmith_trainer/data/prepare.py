"""From a dataset to rows of tokens and a report, made once and found again by digest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tunesmith_api.plan import DataReport
from tunesmith_api.tuning import Dataset
from tunesmith_trainer.data.cache import RECORD, Prepared, building, recorded
from tunesmith_trainer.data.columns import wanted
from tunesmith_trainer.data.encode import Encode
from tunesmith_trainer.data.gather import Inputs, data_digest, folder_key, gather
from tunesmith_trainer.data.ingest import Emit, Intake, Recipe, ingest
from tunesmith_trainer.data.labels import LabelIndex, final_ids
from tunesmith_trainer.data.ledger import Facts
from tunesmith_trainer.data.problems import BadRows, invalid
from tunesmith_trainer.data.read import InputFile
from tunesmith_trainer.data.report import Written, build_report
from tunesmith_trainer.data.rows import Rows
from tunesmith_trainer.data.sources import Fetch
from tunesmith_trainer.data.split import split
from tunesmith_trainer.storage.errors import writing

TRAIN, EVALUATION = "train.arrow", "evaluation.arrow"
TRAIN_INDEX, EVALUATION_INDEX = "train_index.npy", "evaluation_index.npy"


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
        record = recorded(folder)
        if record is None:
            with building(folder) as place:
                if place is not None:
                    recipe = Recipe(wanted(dataset.columns, slices), objective, tokenizer, max_length, dataset.on_too_long, LabelIndex())
                    _build(place, inputs, dataset, recipe, digest, emit)
            record = recorded(folder)
        if record is None:
            raise FileNotFoundError(f"{folder} vanished while it was written")
        return _open(folder, record)


def _build(place: Path, inputs: Inputs, dataset: Dataset, recipe: Recipe, digest: str, emit: Emit) -> None:
    train = Intake(BadRows("spec.dataset.train", dataset.on_bad_row))
    evaluation = Intake(BadRows("spec.dataset.evaluation", dataset.on_bad_row), oddities=train.oddities)
    done = sum(file.local.size for file in inputs.train)
    ingest(inputs.train, recipe, train, place / TRAIN, lambda position: emit(position, inputs.size))
    facts = train.ledger.facts()
    _require_variety(facts, recipe, inputs.train[0])
    judged, kept = None, 0
    if inputs.evaluation:
        ingest(inputs.evaluation, recipe, evaluation, place / EVALUATION, lambda position: emit(done + position, inputs.size))
        judged = evaluation.ledger.facts()
    elif dataset.evaluation_fraction is not None:
        learnt, aside, kept = split(facts, dataset.evaluation_fraction, labelled=recipe.objective == "classification")
        np.save(place / TRAIN_INDEX, learnt)
        np.save(place / EVALUATION_INDEX, aside)
        facts, judged = facts.pick(learnt), facts.pick(aside)
        _require_variety(facts, recipe, inputs.train[0])
    _record(place, inputs, recipe, digest, (train, facts), (evaluation if inputs.evaluation else None, judged), kept)


def _record(
    place: Path,
    inputs: Inputs,
    recipe: Recipe,
    digest: str,
    train: tuple[Intake, Facts],
    evaluation: tuple[Intake | None, Facts | None],
    kept: int,
) -> None:
    """Write the report and all that is needed to open the rows again; its presence says that they are whole."""
    labelled = recipe.objective == "classification"
    met = recipe.labels.met
    labels = tuple(sorted(met[i] for i in np.unique(train[1].targets))) if labelled else ()
    names, judged_names = tuple(file.name for file in inputs.train), tuple(file.name for file in inputs.evaluation)
    learnt, judged = _rows(place, digest, names, judged_names, None)
    if judged is not None and evaluation[1] is not None and labelled:
        _require_known_labels(met, labels, evaluation[1], judged)
    report = build_report(
        digest,
        Written(learnt, train[1], train[0]),
        Written(judged, evaluation[1], evaluation[0]) if judged is not None and evaluation[1] is not None else None,
        met=met,
        labelled=labelled,
        max_length=recipe.max_length,
        oddities=train[0].oddities,
        kept=kept,
    )
    sizes = {path.name: path.stat().st_size for path in place.iterdir()}
    record = Prepared(digest=digest, met=met, labels=labels, names=names, evaluation_names=judged_names, sizes=sizes, report=report)
    (place / RECORD).write_text(record.model_dump_json(by_alias=True))


def _open(folder: Path, record: Prepared) -> PreparedData:
    ids = final_ids(record.met, record.labels) if record.labels else None
    train, evaluation = _rows(folder, record.digest, record.names, record.evaluation_names, ids)
    return PreparedData(train, evaluation, record.labels, record.report, record.digest)


def _rows(
    folder: Path,
    digest: str,
    names: tuple[str, ...],
    evaluation_names: tuple[str, ...],
    ids: np.ndarray[tuple[int], np.dtype[np.int64]] | None,
) -> tuple[Rows, Rows | None]:
    if (folder / EVALUATION_INDEX).exists():
        learnt, aside = np.load(folder / TRAIN_INDEX), np.load(folder / EVALUATION_INDEX)
        train = Rows(folder / TRAIN, digest=f"{digest}/train", files=names, index=learnt, label_ids=ids)
        return train, Rows(folder / TRAIN, digest=f"{digest}/evaluation", files=names, index=aside, label_ids=ids)
    train = Rows(folder / TRAIN, digest=f"{digest}/train", files=names, label_ids=ids)
    if not (folder / EVALUATION).exists():
        return train, None
    return train, Rows(folder / EVALUATION, digest=f"{digest}/evaluation", files=evaluation_names, label_ids=ids)


def _require_variety(facts: Facts, recipe: Recipe, file: InputFile) -> None:
    """A model cannot learn a target that is the same in every row."""
    if facts.targets.min() != facts.targets.max():
        return
    field = recipe.wants.paths[recipe.wants.label]
    if recipe.objective == "classification":
        message = f'{field}: every training row has the label "{recipe.labels.met[facts.targets[0]]}" ({file.name} and the rest)'
        raise invalid(message, "Give rows of at least two labels, or name the column that holds the label.")
    raise invalid(
        f"{field}: every training row has the number {facts.targets[0]:g}",
        "Give rows with different numbers, or name the column that holds them.",
    )


def _require_known_labels(met: tuple[str, ...], labels: tuple[str, ...], facts: Facts, rows: Rows) -> None:
    """Evaluation rows may carry no label that the model cannot give."""
    unknown = final_ids(met, labels)[facts.targets] < 0
    if not unknown.any():
        return
    file, line = rows.source(int(np.flatnonzero(unknown)[0]))
    names = sorted({met[i] for i in np.unique(facts.targets[unknown])})
    listed = ", ".join(f'"{name}"' for name in names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    count = f"{int(unknown.sum())} evaluation rows have labels that no training row has"
    raise invalid(
        f"spec.dataset.evaluation: {count}: {listed} (first at {file}:{line})", "Correct these labels, or add training rows for them."
    )
