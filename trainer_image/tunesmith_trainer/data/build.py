"""Makes a folder of prepared rows: reads both sets, splits if asked to, and writes the record last."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tunesmith_api.tuning import Dataset
from tunesmith_trainer.data.cache import RECORD, Prepared
from tunesmith_trainer.data.gather import Inputs
from tunesmith_trainer.data.ingest import Emit, Intake, Recipe, ingest
from tunesmith_trainer.data.labels import final_ids
from tunesmith_trainer.data.ledger import Facts
from tunesmith_trainer.data.problems import BadRows, invalid
from tunesmith_trainer.data.report import Written, build_report
from tunesmith_trainer.data.rows import Rows
from tunesmith_trainer.data.split import split

TRAIN, EVALUATION = "train.arrow", "evaluation.arrow"
TRAIN_INDEX, EVALUATION_INDEX = "train_index.npy", "evaluation_index.npy"


@dataclass(frozen=True)
class Task:
    """What is to be prepared, and the digest that stands for it."""

    inputs: Inputs
    dataset: Dataset
    recipe: Recipe
    digest: str

    @property
    def names(self) -> tuple[str, ...]:
        """Files of the training rows, as messages call them."""
        return tuple(file.name for file in self.inputs.train)

    @property
    def evaluation_names(self) -> tuple[str, ...]:
        """Files of the evaluation rows."""
        return tuple(file.name for file in self.inputs.evaluation)

    @property
    def labelled(self) -> bool:
        """Whether the targets are labels."""
        return self.recipe.objective == "classification"


def build(place: Path, task: Task, emit: Emit) -> None:
    """Fill an empty folder; `emit` is told how many bytes of how many are read."""
    inputs, policy = task.inputs, task.dataset.on_bad_row
    intake = Intake(BadRows("spec.dataset.train", policy))
    before = sum(file.local.size for file in inputs.train)
    ingest(inputs.train, task.recipe, intake, place / TRAIN, lambda position: emit(position, inputs.size))
    facts = intake.ledger.facts()
    _require_variety(facts, task)
    if inputs.evaluation:
        other = Intake(BadRows("spec.dataset.evaluation", policy), oddities=intake.oddities)
        ingest(inputs.evaluation, task.recipe, other, place / EVALUATION, lambda position: emit(before + position, inputs.size))
        _record(place, task, (facts, intake), (other.ledger.facts(), other), kept=0)
    elif task.dataset.evaluation_fraction is not None:
        learnt, aside, kept = split(facts, task.dataset.evaluation_fraction, labelled=task.labelled)
        np.save(place / TRAIN_INDEX, learnt)
        np.save(place / EVALUATION_INDEX, aside)
        judged = facts.pick(aside)
        facts.keep(learnt)
        _require_variety(facts, task)
        _record(place, task, (facts, intake), (judged, None), kept=kept)
    else:
        _record(place, task, (facts, intake), None, kept=0)


def open_rows(
    folder: Path, digest: str, names: tuple[str, ...], evaluation_names: tuple[str, ...], ids: NDArray[np.int64] | None = None
) -> tuple[Rows, Rows | None]:
    """The rows to learn from and to be judged by; `ids` turns provisional label ids into the model's."""
    index, aside = (_saved(folder / name) for name in (TRAIN_INDEX, EVALUATION_INDEX))
    train = Rows(folder / TRAIN, digest=f"{digest}/train", files=names, index=index, label_ids=ids)
    if aside is not None:
        return train, Rows(folder / TRAIN, digest=f"{digest}/evaluation", files=names, index=aside, label_ids=ids)
    if not (folder / EVALUATION).exists():
        return train, None
    return train, Rows(folder / EVALUATION, digest=f"{digest}/evaluation", files=evaluation_names, label_ids=ids)


def _saved(path: Path) -> NDArray[np.int64] | None:
    return np.load(path, mmap_mode="r") if path.exists() else None


def _record(place: Path, task: Task, train: tuple[Facts, Intake], evaluation: tuple[Facts, Intake | None] | None, *, kept: int) -> None:
    """Write the report and all that is needed to open the rows again; its presence says that they are whole."""
    met = task.recipe.labels.met
    labels = tuple(sorted(met[i] for i in np.unique(train[0].targets))) if task.labelled else ()
    learnt, judged = open_rows(place, task.digest, task.names, task.evaluation_names)
    if task.labelled and judged is not None and evaluation is not None:
        _require_known_labels(met, labels, evaluation[0], judged)
    report = build_report(
        task.digest,
        Written(learnt, *train),
        Written(judged, *evaluation) if judged is not None and evaluation is not None else None,
        met=met,
        labelled=task.labelled,
        max_length=task.recipe.max_length,
        kept=kept,
    )
    sizes = {path.name: path.stat().st_size for path in place.iterdir()}
    record = Prepared(
        digest=task.digest, met=met, labels=labels, names=task.names, evaluation_names=task.evaluation_names, sizes=sizes, report=report
    )
    (place / RECORD).write_text(record.model_dump_json(by_alias=True))


def _require_variety(facts: Facts, task: Task) -> None:
    """A model cannot learn a target that is the same in every row."""
    if facts.targets.min() != facts.targets.max():
        return
    field = task.recipe.wants.paths[task.recipe.wants.label]
    where = ", ".join(task.names[:3]) + (" ..." if len(task.names) > 3 else "")
    if task.labelled:
        message = f'{field}: every training row of {where} has the label "{task.recipe.labels.met[facts.targets[0]]}"'
        raise invalid(message, "Give rows of at least two labels, or name the column that holds the label.")
    message = f"{field}: every training row of {where} has the number {facts.targets[0]:g}"
    raise invalid(message, "Give rows with different numbers, or name the column that holds them.")


def _require_known_labels(met: tuple[str, ...], labels: tuple[str, ...], facts: Facts, rows: Rows) -> None:
    """Evaluation rows may carry no label that the model cannot give."""
    unknown = final_ids(met, labels)[facts.targets] < 0
    if not unknown.any():
        return
    file, line = rows.source(int(np.flatnonzero(unknown)[0]))
    names = sorted({met[i] for i in np.unique(facts.targets[unknown])})
    listed = ", ".join(f'"{name}"' for name in names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    rows_have = "1 row has a label" if unknown.sum() == 1 else f"{int(unknown.sum())} rows have labels"
    message = f"spec.dataset.evaluation: {rows_have} that no training row has: {listed} (first at {file}:{line})"
    raise invalid(message, "Correct these labels, or add training rows for them.")
