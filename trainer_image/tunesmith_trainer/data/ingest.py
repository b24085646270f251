"""From files to one Arrow file of tokens: read, check, tokenise, cut, write, a batch at a time; tokenising runs beside the rest."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tunesmith_api.plan import SourceFile
from tunesmith_trainer.data import fingerprints
from tunesmith_trainer.data.check import Checked, check
from tunesmith_trainer.data.columns import Wanted
from tunesmith_trainer.data.encode import Encode, Encoding
from tunesmith_trainer.data.labels import LabelIndex
from tunesmith_trainer.data.ledger import Facts, Ledger
from tunesmith_trainer.data.oddities import Oddities
from tunesmith_trainer.data.problems import BadRows, invalid
from tunesmith_trainer.data.read import InputFile, read
from tunesmith_trainer.data.writer import PreparedBatch, Ragged, RowWriter

AHEAD = 2
"""Batches that may wait for the tokenizer."""

Emit = Callable[[int, int], None]
"""Told how many bytes of how many are read."""


@dataclass(frozen=True)
class Recipe:
    """How every row of a set is treated."""

    wants: Wanted
    objective: str
    tokenizer: Encode
    max_length: int
    on_too_long: str
    labels: LabelIndex


@dataclass
class Intake:
    """What is known of a set once it is written."""

    bad: BadRows
    ledger: Ledger = field(default_factory=Ledger)
    oddities: Oddities = field(default_factory=Oddities)
    files: list[SourceFile] = field(default_factory=list)
    dropped: int = 0
    truncated: int = 0


def ingest(inputs: list[InputFile], recipe: Recipe, intake: Intake, path: Path, progress: Callable[[int], None]) -> None:
    """Write every usable row of the files to one Arrow file; fails as the policies say."""
    with RowWriter(path) as writer, ThreadPoolExecutor(1) as pool:
        waiting: deque[tuple[_Batch, Future[list[Encoding]]]] = deque()
        for batch in _batches(inputs, recipe, intake, progress):
            waiting.append((batch, pool.submit(recipe.tokenizer.encode_batch, batch.rows.texts, batch.rows.pairs)))
            batch.look(recipe, intake)
            if len(waiting) >= AHEAD:
                _finish(*waiting.popleft(), recipe, intake, writer)
        while waiting:
            _finish(*waiting.popleft(), recipe, intake, writer)
        intake.bad.judge(writer.rows + intake.dropped)
        _require_rows(inputs, intake, writer)


@dataclass
class _Batch:
    """Checked rows of one file on their way."""

    rows: Checked
    file: InputFile
    exact: fingerprints.Fingerprints = field(init=False)
    near: NDArray[np.int64] = field(init=False)
    first: fingerprints.Fingerprints = field(init=False)
    targets: NDArray[np.int32] | NDArray[np.float64] = field(init=False)

    def look(self, recipe: Recipe, intake: Intake) -> None:
        """All that needs no tokens."""
        rows = self.rows
        self.exact = fingerprints.exact(rows.texts, rows.pairs)
        self.first = self.exact if rows.pairs is None else fingerprints.exact(rows.texts)
        self.near = fingerprints.near(rows.texts, rows.pairs)
        classification = recipe.objective == "classification"
        self.targets = recipe.labels.number(rows.labels, recipe.wants.paths[recipe.wants.label]) if classification else rows.numbers
        intake.oddities.look(rows.texts, rows.pairs, self.file.name, rows.lines)


def _batches(inputs: list[InputFile], recipe: Recipe, intake: Intake, progress: Callable[[int], None]) -> Iterator[_Batch]:
    """Usable rows of every file; once the set is lost, only the search for further bad rows goes on."""
    before = 0
    for file in inputs:
        rows = 0
        for raw, position in read(file, recipe.wants):
            checked = check(raw, recipe.wants, recipe.objective)
            intake.bad.add(file.name, checked.bad)
            rows += len(checked.lines) + len(checked.bad)
            if checked.lines and not intake.bad.fatal:
                yield _Batch(checked, file)
            progress(before + position)
        before += file.local.size
        if not rows:
            raise invalid(
                f"{file.name}: holds no rows, only a header" if file.detected.format in ("csv", "tsv") else f"{file.name}: holds no rows",
                "Add rows.",
            )
        intake.files.append(
            SourceFile(uri=file.local.uri, digest=file.digest, size_bytes=file.local.size, rows=rows, format=str(file.detected))
        )


def _finish(batch: _Batch, future: Future[list[Encoding]], recipe: Recipe, intake: Intake, writer: RowWriter) -> None:
    """Cut what is too long, then write the batch and note its facts."""
    encodings = future.result()
    rows = batch.rows
    tokens = np.fromiter((len(ids) for ids, _ in encodings), np.int32, len(encodings))
    keep = _cut(batch, encodings, tokens, recipe, intake)
    facts = Facts(batch.exact, batch.near, batch.exact if batch.first is batch.exact else batch.first, batch.targets, tokens)
    lines = np.array(rows.lines, np.int64)
    texts, pairs, slices = rows.texts, rows.pairs, rows.slices
    if keep is not None:
        facts, lines, chosen = facts.pick(keep), lines[keep], keep.tolist()
        encodings, texts = [encodings[i] for i in chosen], [texts[i] for i in chosen]
        pairs = None if pairs is None else [pairs[i] for i in chosen]
        slices = {name: [values[i] for i in chosen] for name, values in slices.items()}
    if not encodings:
        return
    intake.ledger.batches.append(facts)
    ids, type_ids = _flatten(encodings)
    writer.write(PreparedBatch(ids, type_ids, facts.targets, texts, pairs, slices, batch.file.number, lines))


def _cut(batch: _Batch, encodings: list[Encoding], tokens: NDArray[np.int32], recipe: Recipe, intake: Intake) -> NDArray[np.int64] | None:
    """Apply onTooLong in place; returns the rows that stay where some go, else None."""
    keep = tokens > 0
    intake.bad.add(batch.file.name, [(batch.rows.lines[i], "holds nothing that the tokenizer knows") for i in np.flatnonzero(~keep)])
    long = np.flatnonzero(tokens > recipe.max_length)
    if len(long) and recipe.on_too_long == "fail":
        where = f"{batch.file.name}:{batch.rows.lines[long[0]]}"
        message = f"{where}: has {tokens[long[0]]} tokens, more than the {recipe.max_length} of maxLength"
        raise invalid(message, "Raise spec.hyperparameters.maxLength, shorten the row, or set spec.dataset.onTooLong: truncate or drop.")
    if recipe.on_too_long == "drop":
        intake.dropped += len(long)
        keep[long] = False
    else:
        intake.truncated += len(long)
        texts, pairs = ([of[i] for i in long] if of else None for of in (batch.rows.texts, batch.rows.pairs))
        for i, cut in zip(long.tolist(), recipe.tokenizer.encode_truncated(texts or [], pairs, recipe.max_length), strict=True):
            encodings[i] = cut
    return None if keep.all() else np.flatnonzero(keep)


def _flatten(encodings: list[Encoding]) -> tuple[Ragged, Ragged | None]:
    ids = [row for row, _ in encodings]
    offsets = np.zeros(len(ids) + 1, np.int32)
    np.cumsum(np.fromiter(map(len, ids), np.int32, len(ids)), out=offsets[1:])
    total = int(offsets[-1])
    values = Ragged(np.fromiter(chain.from_iterable(ids), np.int32, total), offsets)
    if encodings[0][1] is None:
        return values, None
    return values, Ragged(np.fromiter(chain.from_iterable(types or () for _, types in encodings), np.int8, total), offsets)


def _require_rows(inputs: list[InputFile], intake: Intake, writer: RowWriter) -> None:
    if writer.rows:
        return
    names = ", ".join(file.name for file in inputs[:5])
    if intake.dropped:
        raise invalid(
            f"{names}: all {intake.dropped} rows have more tokens than maxLength",
            "Raise spec.hyperparameters.maxLength, or set onTooLong: truncate.",
        )
    raise invalid(f"{names}: holds no row that can be used", "Add rows.")
