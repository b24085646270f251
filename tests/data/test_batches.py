"""Batches: every row once an epoch, a pure function of their arguments, padded to the longest of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tunesmith_trainer.data.batches import collate, epoch_batches, length_sorted

LENGTHS = np.random.default_rng(0).integers(3, 60, 1003).astype(np.int32)
ARGUMENTS: dict[str, Any] = {"batch_size": 16, "digest": "sha256:abc", "seed": 0, "epoch": 0}


def flat(batches: list[Any]) -> list[int]:
    return np.concatenate(batches).tolist()


@pytest.mark.parametrize("batch_size", [1, 7, 16, 1003, 5000])
@pytest.mark.parametrize("window", [1, 3, 50])
def test_every_row_exactly_once_an_epoch(batch_size: int, window: int) -> None:
    batches = epoch_batches(LENGTHS, **ARGUMENTS | {"batch_size": batch_size}, window=window)
    assert sorted(flat(batches)) == list(range(1003))
    assert len(batches) == -(-1003 // batch_size)
    assert sorted(map(len, batches))[1:] == [batch_size] * (len(batches) - 1)


def test_the_same_arguments_give_the_same_batches() -> None:
    one, other = (epoch_batches(LENGTHS, **ARGUMENTS) for _ in range(2))
    assert [batch.tolist() for batch in one] == [batch.tolist() for batch in other]


@pytest.mark.parametrize("change", [{"epoch": 1}, {"seed": 1}, {"digest": "sha256:abd"}])
def test_another_epoch_seed_or_digest_gives_another_order(change: dict[str, Any]) -> None:
    one, other = epoch_batches(LENGTHS, **ARGUMENTS), epoch_batches(LENGTHS, **ARGUMENTS | change)
    assert flat(one) != flat(other)
    assert {frozenset(batch.tolist()) for batch in one} != {frozenset(batch.tolist()) for batch in other}


def test_rows_of_a_batch_are_of_like_length() -> None:
    padded = sum(len(batch) * LENGTHS[batch].max() for batch in epoch_batches(LENGTHS, **ARGUMENTS))
    unsorted = sum(len(batch) * LENGTHS[batch].max() for batch in epoch_batches(LENGTHS, **ARGUMENTS, window=1))
    assert padded < 1.06 * LENGTHS.sum() < 1.5 * LENGTHS.sum() < unsorted


def test_the_order_of_batches_is_not_that_of_their_lengths() -> None:
    longest = [int(LENGTHS[batch].max()) for batch in epoch_batches(LENGTHS, **ARGUMENTS)]
    assert longest != sorted(longest)
    assert longest != sorted(longest, reverse=True)


def test_evaluation_batches_go_from_long_to_short() -> None:
    batches = length_sorted(LENGTHS, 100)
    assert sorted(flat(batches)) == list(range(1003))
    assert LENGTHS[flat(batches)].tolist() == sorted(LENGTHS.tolist(), reverse=True)


def test_no_rows_no_batches() -> None:
    nothing = np.zeros(0, np.int32)
    assert epoch_batches(nothing, **ARGUMENTS) == []
    assert length_sorted(nothing, 4) == []


@pytest.mark.parametrize("options", [{}, {"evaluationFraction": 0.5}])
def test_collating_pads_each_row_to_the_longest(workshop: Any, options: dict[str, Any]) -> None:
    """Rows of several record batches, in any order, against the plain way."""
    rows = [("x" * (i % 13) + str(i), "ab"[i % 2]) for i in range(25_000)]
    train = workshop.prepare(workshop.put("a.csv", rows), **options).train
    indices = np.array([len(train) - 1, 0, 7, 10_003 % len(train), 3])
    batch = collate(train, indices, pad_id=9)
    width = max(len(train.tokens(i)) for i in indices)
    assert batch["input_ids"].tolist() == [train.tokens(i).tolist() + [9] * (width - len(train.tokens(i))) for i in indices]
    assert batch["attention_mask"].tolist() == [[1] * len(train.tokens(i)) + [0] * (width - len(train.tokens(i))) for i in indices]
    assert batch["input_ids"].dtype == batch["attention_mask"].dtype == np.int64
    assert set(batch) == {"input_ids", "attention_mask"}
    assert train.tokens(7).tolist() == workshop.tokenizer.encode_batch([train.text(7)], None)[0][0]


def test_collating_pairs_gives_token_types(workshop: Any) -> None:
    objects = [{"text": "a" * (i % 5), "pair": "b" * (i % 3), "label": i % 2} for i in range(40)]
    train = workshop.prepare(workshop.put("a.jsonl", objects), columns={"textPair": "pair"}).train
    batch = collate(train, np.array([4, 0, 11]), pad_id=0)
    width = batch["input_ids"].shape[1]
    assert batch["token_type_ids"].tolist() == [train.type_ids(i).tolist() + [0] * (width - train.lengths[i]) for i in (4, 0, 11)]
