"""Finds the files of a dataset: what each is, what messages call it, and the digests that stand for all of them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path, PurePath

from tunesmith_api.common import DataSource
from tunesmith_api.tuning import Dataset
from tunesmith_trainer.data.cache import content_digest
from tunesmith_trainer.data.encode import Encode
from tunesmith_trainer.data.formats import detect
from tunesmith_trainer.data.problems import invalid
from tunesmith_trainer.data.read import InputFile
from tunesmith_trainer.data.sources import Fetch, LocalFile
from tunesmith_trainer.storage.errors import Missing, reading

FORMAT_VERSION = 1
"""Counts changes of what is written; prepared data of another version is made again."""


@dataclass(frozen=True)
class Inputs:
    """The files of both sets."""

    train: list[InputFile]
    evaluation: list[InputFile]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.local.size for file in [*self.train, *self.evaluation])


def gather(dataset: Dataset, fetch: Fetch, cache: Path) -> Inputs:
    """Fetch and look at every file; fails for what is missing, empty or no text."""
    train = _fetched(dataset.train, "spec.dataset.train.uri", fetch)
    evaluation = _fetched(dataset.evaluation, "spec.dataset.evaluation.uri", fetch) if dataset.evaluation is not None else []
    names = [PurePath(file.uri.removeprefix("file:")).name for file in [*train, *evaluation]]
    if len(set(names)) < len(names):
        names = [file.uri.removeprefix("file:") for file in [*train, *evaluation]]
    judged = dataset.evaluation.format if dataset.evaluation is not None else None
    return Inputs(
        [_input(file, name, i, dataset.train.format, cache) for i, (file, name) in enumerate(zip(train, names, strict=False))],
        [_input(file, name, i, judged, cache) for i, (file, name) in enumerate(zip(evaluation, names[len(train) :], strict=True))],
    )


def _fetched(source: DataSource, field: str, fetch: Fetch) -> list[LocalFile]:
    files = fetch(source.uri)
    if files:
        return files
    if any(mark in source.uri for mark in "*?["):
        raise invalid(f"{field}: {source.uri} matches no file", "Correct the pattern, or put the files there.")
    raise invalid(
        f"{field}: {source.uri} does not exist", "Correct the path, or put the file there; a file: path starts at the manifest's folder."
    )


def _input(file: LocalFile, name: str, number: int, given: str | None, cache: Path) -> InputFile:
    try:
        with reading(file.uri):
            detected = detect(file.path, name, given)
    except Missing as gone:
        raise invalid(
            f"{file.uri}: was there when the files were listed and is gone now", "Do not change the data while a job reads it."
        ) from gone
    return InputFile(file, name, number, content_digest(file, cache), detected)


def data_digest(inputs: Inputs, dataset: Dataset, *, objective: str, tokenizer: Encode, max_length: int, slices: tuple[str, ...]) -> str:
    """Digest of everything that the prepared rows depend on; where the files lie is not part of it."""
    facts = {
        "version": FORMAT_VERSION,
        "train": [[file.digest, file.detected.format] for file in inputs.train],
        "evaluation": [[file.digest, file.detected.format] for file in inputs.evaluation],
        "options": dataset.model_dump(mode="json", exclude={"train", "evaluation"}),
        "objective": objective,
        "tokenizer": tokenizer.digest,
        "maxLength": max_length,
        "slices": slices,
    }
    return f"sha256:{hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()}"


def folder_key(digest: str, inputs: Inputs) -> str:
    """Name of the cached folder: the report names files, so the same rows under other names are kept apart."""
    named = [[file.local.uri, file.name] for file in [*inputs.train, *inputs.evaluation]]
    return hashlib.sha256(json.dumps([digest, named]).encode()).hexdigest()
