"""Which rows form a step, and the arrays a step is computed from: pure functions, so that a resumed run sees the same batches."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tunesmith_trainer.data.rows import Rows

Indices = NDArray[np.int64]


def epoch_batches(lengths: NDArray[np.int32], *, batch_size: int, digest: str, seed: int, epoch: int, window: int = 50) -> list[Indices]:
    """Cut one epoch into batches of rows of like length, in an order that depends on the arguments alone.

    Rows are shuffled, sorted by length inside windows of `window` batches, cut, and the batches shuffled. The last cut may be short.
    """
    draw = _generator(digest, seed, epoch)
    order = draw.permutation(len(lengths))
    span = batch_size * window
    windows = [order[start : start + span] for start in range(0, len(order), span)]
    sorted_rows = [rows[np.argsort(lengths[rows], kind="stable")] for rows in windows]
    batches = [rows[start : start + batch_size] for rows in sorted_rows for start in range(0, len(rows), batch_size)]
    return [batches[position] for position in draw.permutation(len(batches))]


def length_sorted(lengths: NDArray[np.int32], batch_size: int) -> list[Indices]:
    """Batches of rows of like length, longest first, so that a lack of memory shows at once."""
    order = np.argsort(-lengths.astype(np.int64), kind="stable")
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def collate(rows: Rows, indices: Indices, pad_id: int) -> dict[str, NDArray[np.int64]]:
    """Pad rows to the longest of them: input_ids, attention_mask and, for pairs, token_type_ids; each [rows, tokens]."""
    lengths = rows.lengths[indices].astype(np.int64)
    positions = np.arange(int(lengths.max(initial=0)))
    mask = positions[None, :] < lengths[:, None]
    inputs = np.full(mask.shape, pad_id, dtype=np.int64)
    inputs[mask] = rows.values[_places(rows.starts[indices], lengths)]
    batch = {"input_ids": inputs, "attention_mask": mask.astype(np.int64)}
    if rows.type_values is not None and rows.type_starts is not None:
        types = np.zeros(mask.shape, dtype=np.int64)
        types[mask] = rows.type_values[_places(rows.type_starts[indices], lengths)]
        batch["token_type_ids"] = types
    return batch


def _places(starts: Indices, lengths: Indices) -> Indices:
    """Positions of the rows' tokens in the flat values, row after row."""
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))


def _generator(digest: str, seed: int, epoch: int) -> np.random.Generator:
    key = hashlib.sha256(f"{digest}\n{seed}\n{epoch}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(key, "little")))
