"""Every format gives the same rows, compressed or not, and says where each came from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

OBJECTS = [
    {"text": "I lost my card", "label": "lost"},
    {"text": 'Where "is"\nit?', "label": "where"},
    {"text": "Grüße, 你好", "label": "lost"},
]


def encoded(form: str, folder: Path) -> str | bytes:
    rows = [(row["text"], row["label"]) for row in OBJECTS]
    if form in ("csv", "tsv"):
        mark = "," if form == "csv" else "\t"
        return mark.join(["text", "label"]) + "\n" + "".join('"{}"{}{}\n'.format(a.replace('"', '""'), mark, b) for a, b in rows)
    if form == "jsonl":
        return "".join(json.dumps(row) + "\n" for row in OBJECTS)
    if form == "json":
        return json.dumps(OBJECTS, indent=1, ensure_ascii=False)
    pq.write_table(pa.Table.from_pylist(OBJECTS), folder / "made")
    return (folder / "made").read_bytes()


@pytest.mark.parametrize("compression", ["", ".gz", ".zst"])
@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "json", "parquet"])
def test_every_format_gives_the_same_rows(workshop: Any, form: str, compression: str) -> None:
    data = workshop.prepare(workshop.put(f"rows.{form}{compression}", encoded(form, workshop.folder)))
    assert [data.train.text(i) for i in range(3)] == [row["text"] for row in OBJECTS]
    assert [data.labels[i] for i in data.train.targets] == ["lost", "where", "lost"]
    lines = {"csv": [2, 3, 5], "tsv": [2, 3, 5]}.get(form, [1, 2, 3])
    assert [data.train.source(i) for i in range(3)] == [(f"rows.{form}{compression}", line) for line in lines]
    assert data.report.files[0].format.startswith(form)
    assert "by name" in data.report.files[0].format


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "json", "parquet"])
def test_a_name_that_says_nothing_is_told_by_content_or_by_format(workshop: Any, form: str) -> None:
    content = encoded(form, workshop.folder)
    by_content = workshop.prepare(workshop.put("rows", content))
    assert by_content.report.files[0].format == f"{form} (by content)"
    given = workshop.prepare(workshop.put("other.txt", content), format=form)
    assert given.report.files[0].format == f"{form} (as given)"
    assert given.train.text(1) == by_content.train.text(1)


def test_json_that_holds_one_object_a_line_is_read_as_such(workshop: Any) -> None:
    data = workshop.prepare(workshop.put("rows.json", encoded("jsonl", workshop.folder)))
    assert data.report.files[0].format == "jsonl (by content: objects without an array around them)"


def test_a_glob_reads_files_in_the_order_of_their_names(workshop: Any, rows: list[tuple[str, str]]) -> None:
    workshop.put("part-2.csv", rows[2:])
    workshop.put("part-1.csv.gz", rows[:2])
    data = workshop.prepare("file:part-*")
    assert [data.train.text(i) for i in range(4)] == [text for text, _ in rows]
    assert data.train.source(2) == ("part-2.csv", 2)
    assert [file.rows for file in data.report.files] == [2, 2]


def test_columns_may_stand_in_another_order_in_each_file(workshop: Any) -> None:
    workshop.put("a.csv", "text,label\nfirst,x\n")
    workshop.put("b.csv", "id,label,text\n7,y,second\n")
    data = workshop.prepare("file:?.csv")
    assert [data.train.text(i) for i in range(2)] == ["first", "second"]


def test_pairs_have_both_texts_and_token_types(workshop: Any) -> None:
    uri = workshop.put("pairs.jsonl", [{"q": "ab", "a": "c", "label": 1}, {"q": "d", "a": "efg", "label": 0}])
    data = workshop.prepare(uri, columns={"text": "q", "textPair": "a"})
    assert data.train.text(0) == "ab ||| c"
    assert data.train.type_ids(0).tolist() == [0, 0, 0, 0, 1, 1]
    assert data.train.type_ids(1).tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert data.train.tokens(1).tolist() == workshop.tokenizer.encode_batch(["d"], ["efg"])[0][0]
    assert data.labels == ("0", "1")


def test_numbers_are_targets_of_a_regression(workshop: Any) -> None:
    data = workshop.prepare(workshop.put("stars.csv", [("good", "4.5"), ("bad", " -1e0 "), ("fine", "3")]), objective="regression")
    assert data.train.targets.tolist() == [4.5, -1.0, 3.0]
    assert data.labels == ()
    assert data.report.target_mean == pytest.approx(13 / 6)
    assert data.report.labels == ()


@pytest.mark.parametrize(
    ("values", "labels"), [([1, 0, 1], ("0", "1")), ([True, False, True], ("false", "true")), ([1.5, 2.0, 1.5], ("1.5", "2.0"))]
)
def test_a_number_is_a_label_by_its_text(workshop: Any, values: list[Any], labels: tuple[str, ...]) -> None:
    objects = [{"text": f"row {i}", "label": value} for i, value in enumerate(values)]
    assert workshop.prepare(workshop.put("a.jsonl", objects)).labels == labels
    pq.write_table(pa.Table.from_pylist(objects), workshop.folder / "a.parquet")
    assert workshop.prepare("file:a.parquet").labels == labels


def test_labels_have_the_ids_of_their_sorted_order_whatever_comes_first(workshop: Any) -> None:
    one = workshop.prepare(workshop.put("a.csv", [("1", "b"), ("2", "a"), ("3", "c")]))
    other = workshop.prepare(workshop.put("b.csv", [("3", "c"), ("2", "a"), ("1", "b")]))
    assert one.labels == other.labels == ("a", "b", "c")
    assert one.train.targets.tolist() == [1, 0, 2]
    assert other.train.targets.tolist() == [2, 0, 1]


def test_slices_are_kept_as_text(workshop: Any) -> None:
    objects = [{"text": "a", "label": "x", "country": "de", "age": 3}, {"text": "b", "label": "y", "country": None, "age": 4}]
    data = workshop.prepare(workshop.put("a.jsonl", objects), slices=("country", "age"))
    assert data.train.slice_values("country") == ["de", ""]
    assert data.train.slice_values("age") == ["3", "4"]


def test_a_utf8_mark_at_the_start_is_no_part_of_the_first_column(workshop: Any) -> None:
    for name, content in {"a.csv": "text,label\na,x\nb,y\n", "a.jsonl": '{"text":"a","label":"x"}\n{"text":"b","label":"y"}\n'}.items():
        assert len(workshop.prepare(workshop.put(name, b"\xef\xbb\xbf" + content.encode())).train) == 2


def test_windows_line_ends_blank_lines_and_a_missing_last_one(workshop: Any) -> None:
    data = workshop.prepare(workshop.put("a.csv", "text,label\r\n\r\na,x\r\n\r\nb,y"))
    assert [data.train.source(i)[1] for i in range(2)] == [3, 5]
    assert data.train.text(1) == "b"


def test_line_numbers_stay_right_over_many_blocks(workshop: Any) -> None:
    """Records of two lines, some 2 MB of them."""
    rows = [(f"{i} first line\nsecond line " + "x" * 90, "ab"[i % 2]) for i in range(15_000)]
    data = workshop.prepare(workshop.put("long.csv", rows))
    assert [data.train.source(i)[1] for i in (0, 1, 12_345, 14_999)] == [2, 4, 2 + 2 * 12_345, 2 + 2 * 14_999]
    assert data.train.text(12_345).startswith("12345 first line\nsecond")


@pytest.mark.parametrize("name", ["a.json", "a.json.gz", "a.jsonl.zst"])
def test_objects_that_lie_across_blocks_are_read_whole(workshop: Any, name: str) -> None:
    """Several MB, with characters of two to four bytes, so that blocks end inside of objects and of characters."""
    objects = [{"text": f"{i} " + "äöü日本🎉" * (i % 9), "label": "ab"[i % 2]} for i in range(30_000)]
    encode = (json.dumps(row, ensure_ascii=False) for row in objects)
    content = "[" + ",\n".join(encode) + "]" if ".jsonl" not in name else "\n".join(encode)
    assert len(content.encode()) > 2 * 2**20
    train = workshop.prepare(workshop.put(name, content), max_length=400).train
    assert len(train) == 30_000
    assert all(train.text(i) == objects[i]["text"] and train.source(i) == (name, i + 1) for i in range(0, 30_000, 97))
    assert train.lengths.tolist() == [len(row["text"].encode()) + 2 for row in objects]


def test_progress_ends_at_the_last_byte(workshop: Any, rows: list[tuple[str, str]]) -> None:
    workshop.prepare(workshop.put("a.csv", rows), workshop.put("b.csv", rows))
    total = sum((workshop.folder / name).stat().st_size for name in ("a.csv", "b.csv"))
    assert workshop.reads[-1] == (total, total)
    assert workshop.reads == sorted(workshop.reads)
