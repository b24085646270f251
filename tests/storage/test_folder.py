"""What every store promises: names, versions, conditional writes; on a bucket, a folder, and a folder that stands for a bucket."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tunesmith_trainer.storage.errors import Missing
from tunesmith_trainer.storage.folder import Folder


def test_an_object_is_read_back_as_written(folder: Folder) -> None:
    folder.write("a/b.txt", b"one")
    folder.write("a/b.txt", b"two")
    assert folder.read("a/b.txt") == b"two"
    assert folder.exists("a/b.txt")
    entry = folder.head("a/b.txt")
    assert entry is not None
    assert (entry.uri, entry.name, entry.size) == (f"{folder.uri}/a/b.txt", "a/b.txt", 3)


def test_what_is_not_there_is_missing(folder: Folder) -> None:
    folder.write("other", b"")
    with pytest.raises(Missing, match="nothing"):
        folder.read("nothing")
    with pytest.raises(Missing):
        list(folder.stream("nothing"))
    assert folder.head("nothing") is None
    assert folder.list("nothing") == []
    folder.delete(["nothing"])


def test_put_if_absent_and_replace_have_one_winner(folder: Folder) -> None:
    with ThreadPoolExecutor(8) as pool:
        for round_ in range(5):
            name = f"object-{round_}"
            assert sorted(pool.map(lambda i, name=name: folder.write_new(name, f"new {i}".encode()), range(8))) == [False] * 7 + [True]
            _, version = folder.read_versioned(name)
            won = list(pool.map(lambda i, name=name, version=version: folder.replace(name, f"next {i}".encode(), version), range(8)))
            assert sum(won) == 1
            assert folder.read(name) == f"next {won.index(True)}".encode()


def test_replace_of_a_vanished_object_is_refused(folder: Folder) -> None:
    folder.write("x", b"1")
    _, version = folder.read_versioned("x")
    folder.delete(["x"])
    assert not folder.replace("x", b"2", version)
    assert not folder.exists("x")


def test_files_go_up_and_come_down(folder: Folder, tmp_path: Path) -> None:
    data = bytes(range(256)) * 80_000
    source, target = tmp_path / "source", tmp_path / "deep" / "target"
    source.write_bytes(data)
    folder.upload("big/file", source)
    folder.download("big/file", target)
    assert target.read_bytes() == data
    assert folder.sha256("big/file").startswith("sha256:")
    assert not folder.upload_new("big/file", source)
    assert folder.upload_new("big/other", source)
    assert [p.name for p in target.parent.iterdir()] == ["target"]


def test_listing_is_sorted_relative_and_deep(folder: Folder) -> None:
    names = ["b", "a/z", "a/y/1", "ab/x", "a b/ü.txt", "50%20#?~+&=.txt"]
    for name in names:
        folder.write(name, name.encode())
    assert [e.name for e in folder.list()] == sorted(names)
    assert [e.name for e in folder.list("a")] == ["a/y/1", "a/z"]
    assert [e.name for e in folder.child("a").list()] == ["y/1", "z"]
    assert folder.child("a").read("z") == b"a/z"
    folder.delete(names[:3])
    assert [e.name for e in folder.list()] == ["50%20#?~+&=.txt", "a b/ü.txt", "ab/x"]


def test_the_version_changes_with_the_content(folder: Folder) -> None:
    folder.write("x", b"1")
    first = folder.head("x")
    folder.write("x", b"2")
    second = folder.head("x")
    assert first is not None
    assert second is not None
    assert first.version != second.version


def test_the_clock_is_the_stores(folder: Folder) -> None:
    assert abs(folder.now() - datetime.now(UTC)) < timedelta(seconds=30)
    assert folder.list() == []


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", "a\nb", "a\\b"])
def test_no_name_leaves_the_folder(folder: Folder, name: str) -> None:
    with pytest.raises(ValueError, match="no name of a file"):
        folder.write(name, b"")


def test_a_file_that_is_gone_is_not_blamed_on_the_store(folder: Folder, tmp_path: Path) -> None:
    for upload in (folder.upload, folder.upload_new):
        with pytest.raises(Missing, match=r"gone\.bin"):
            upload("x", tmp_path / "gone.bin")
