"""Prepared rows are made once, found again by content, and never believed when they are not whole."""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunesmith_api.protocol import VERDICTS, Failure, Reason


def folders(workshop: Any) -> list[Path]:
    return [path for path in (workshop.cache / "prepared").iterdir() if path.is_dir()]


def same(one: Any, other: Any) -> bool:
    return (
        one.report == other.report
        and one.labels == other.labels
        and all(np.array_equal(getattr(one.train, name), getattr(other.train, name)) for name in ("lengths", "targets", "starts", "values"))
    )


class Refusing:
    """A tokenizer that must not be asked."""

    context_length = 512

    def __init__(self, digest: str) -> None:
        self.digest = digest

    def encode_batch(self, texts: list[str], pairs: list[str] | None) -> Any:
        raise AssertionError("tokenised again")

    def encode_truncated(self, texts: list[str], pairs: list[str] | None, max_length: int) -> Any:
        raise AssertionError("tokenised again")


@pytest.mark.parametrize("options", [{}, {"evaluationFraction": 0.4}, {"objective": "regression"}])
def test_a_second_run_opens_what_the_first_prepared(workshop: Any, options: dict[str, Any]) -> None:
    uri = workshop.put("a.csv", [(f"row {i}", str(i % 3)) for i in range(50)])
    first = workshop.prepare(uri, **options)
    workshop.tokenizer = Refusing(workshop.tokenizer.digest)
    workshop.reads.clear()
    assert same(first, workshop.prepare(uri, **options))
    assert workshop.reads == []


def test_what_changes_the_rows_changes_the_digest(workshop: Any, rows: list[tuple[str, str]]) -> None:
    uri = workshop.put("a.csv", rows)
    seen = {
        workshop.prepare(uri).digest,
        workshop.prepare(uri, max_length=8).digest,
        workshop.prepare(uri, onTooLong="drop").digest,
        workshop.prepare(uri, slices=("label",)).digest,
        workshop.prepare(uri, columns={"text": "label", "label": "text"}).digest,
        workshop.prepare(uri, uri).digest,
        workshop.prepare(workshop.put("b.csv", rows[::-1])).digest,
    }
    assert len(seen) == 7


def test_the_digest_goes_by_content_not_by_place(workshop: Any, rows: list[tuple[str, str]]) -> None:
    one = workshop.prepare(workshop.put("a.csv", rows))
    other = workshop.prepare(workshop.put("elsewhere/b.csv", rows))
    assert one.digest == other.digest
    assert one.train.digest == other.train.digest
    assert other.train.source(0) == ("b.csv", 2)
    assert other.report.files[0].uri == "file:elsewhere/b.csv"


def test_a_file_that_changed_is_read_again(workshop: Any, rows: list[tuple[str, str]]) -> None:
    uri = workshop.put("a.csv", rows)
    before = workshop.prepare(uri)
    workshop.put("a.csv", [("another", "x"), *rows])
    after = workshop.prepare(uri)
    assert after.digest != before.digest
    assert after.train.text(0) == "another"
    assert before.train.text(0) == rows[0][0]


@pytest.mark.parametrize("damage", ["no record", "half a record", "cut rows"])
def test_a_folder_that_is_not_whole_is_made_again(workshop: Any, rows: list[tuple[str, str]], damage: str) -> None:
    uri = workshop.put("a.csv", rows)
    before = workshop.prepare(uri)
    expected = before.train.tokens(0).tolist()
    folder = folders(workshop)[0]
    record = folder / "prepared.json"
    if damage == "no record":
        record.unlink()
    elif damage == "half a record":
        record.write_bytes(record.read_bytes()[:100])
    else:
        shutil.copyfile(folder / "train.arrow", folder / "copy")
        (folder / "copy").replace(folder / "train.arrow")
        os.truncate(folder / "train.arrow", 200)
    assert workshop.prepare(uri).train.tokens(0).tolist() == expected


def _prepare_and_die(workshop: Any, uri: str) -> None:
    def die(texts: list[str], pairs: list[str] | None) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)

    workshop.tokenizer.encode_batch = die
    workshop.prepare(uri)


def test_a_run_that_was_killed_leaves_nothing_that_is_believed(workshop: Any, rows: list[tuple[str, str]]) -> None:
    uri = workshop.put("a.csv", rows)
    process = multiprocessing.get_context("fork").Process(target=_prepare_and_die, args=(workshop, uri))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert [path.suffix for path in folders(workshop)] == [".building"]
    assert len(workshop.prepare(uri).train) == 4
    assert [path.suffix for path in folders(workshop)] == [""]


def test_what_a_killed_run_left_is_swept_by_the_next_of_any_data(workshop: Any, rows: list[tuple[str, str]]) -> None:
    uri = workshop.put("a.csv", rows)
    process = multiprocessing.get_context("fork").Process(target=_prepare_and_die, args=(workshop, uri))
    process.start()
    process.join(60)
    workshop.prepare(workshop.put("b.csv", rows[::-1]))
    assert [path.suffix for path in folders(workshop)] == [""]


def _prepare_with_little_room(workshop: Any, uri: str) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        workshop.prepare(uri)
    except Failure as failure:
        os._exit(VERDICTS[failure.reason].exit_code)


def test_a_full_disk_is_a_failure_that_is_tried_again(workshop: Any) -> None:
    uri = workshop.put("a.csv", [(f"row {i}", "ab"[i % 2]) for i in range(20_000)])
    process = multiprocessing.get_context("fork").Process(target=_prepare_with_little_room, args=(workshop, uri))
    process.start()
    process.join(60)
    assert process.exitcode == VERDICTS[Reason.STORAGE_UNAVAILABLE].exit_code
    assert folders(workshop) == []


def test_several_processes_at_once_agree(workshop: Any) -> None:
    uri = workshop.put("a.csv", [(f"row {i}", "ab"[i % 2]) for i in range(2000)])
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=workshop.prepare, args=(uri,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(folders(workshop)) == 1


def test_a_cache_that_cannot_be_written_is_the_storages_fault(workshop: Any, rows: list[tuple[str, str]]) -> None:
    uri = workshop.put("a.csv", rows)
    workshop.cache.write_text("a file where the folder should be")
    with pytest.raises(Failure) as caught:
        workshop.prepare(uri)
    assert caught.value.reason in (Reason.STORAGE_DENIED, Reason.STORAGE_UNAVAILABLE)


def test_objects_of_a_bucket_are_named_by_their_uri(workshop: Any, rows: list[tuple[str, str]], tmp_path: Path) -> None:
    from tunesmith_trainer.data.sources import fetch_from
    from tunesmith_trainer.storage.stores import Stores

    workshop.put("store/data/train.csv", rows)
    files = fetch_from(Stores(tmp_path, workshop.folder / "store"), workshop.cache)("s3://data/*.csv")
    assert [(file.uri, file.path.read_text()[:10]) for file in files] == [("s3://data/train.csv", "text,label")]
