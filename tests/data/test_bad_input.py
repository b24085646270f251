"""Data that cannot be used: each kind is refused with what and where, a remedy, and exit code 65."""

from __future__ import annotations

import gzip
import json
import resource
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

MIB = 2**20


@pytest.mark.parametrize(
    ("content", "message", "remedy"),
    [
        pytest.param("", "a.csv: is empty", "holds rows", id="empty"),
        pytest.param(" \n\n", "a.csv: is empty", "holds rows", id="only white space"),
        pytest.param("text,label\n", "a.csv: holds no rows, only a header", "Add rows", id="header only"),
        pytest.param(
            "text,category\na,x\n",
            'spec.dataset.columns.label: a.csv has no column "label" (it has: text, category)',
            "Name one of them.",
            id="column missing",
        ),
        pytest.param(
            "text,Labels\na,x\n", 'has no column "label" (it has: text, Labels)', 'did you mean "Labels"?', id="column nearly there"
        ),
        pytest.param("text;label\na;x\n", 'has no column "text" (it has: text;label)', "Separate the fields by commas", id="semicolons"),
        pytest.param(
            "text,text,label\na,b,x\n",
            'spec.dataset.columns.text: a.csv has more than one column "text" (columns 1 and 2)',
            "Rename",
            id="column twice",
        ),
        pytest.param("text,label\na,x\nb,x\n", 'every training row of a.csv has the label "x"', "at least two labels", id="one class"),
        pytest.param("text,label\na,x\nb\n", "a.csv:3: has 1 fields, the header has 2", "onBadRow: skip", id="too few fields"),
        pytest.param('text,label\n"a\nb",x\nb,c,y\n', "a.csv:4: has 3 fields, the header has 2", "onBadRow: skip", id="too many fields"),
        pytest.param(
            'text,label\na,x\n"b,y\nc,x\n', 'a.csv:3: a quote (") that is opened in this row is never closed', "Close it", id="open quote"
        ),
        pytest.param('text,label\na,x\n"b" c,y\n', "a.csv:3: ',' expected after '\"'", "onBadRow: skip", id="text behind a quote"),
        pytest.param("text,label\na,\nb,y\n", 'a.csv:2: "label" is empty', "onBadRow: skip", id="empty label"),
        pytest.param("text,label\na,x\nb,  \n", 'a.csv:3: "label" is empty', "onBadRow: skip", id="blank label"),
        pytest.param(
            b"text,label\na,x\ncaf\xe9,y\n", "a.csv:3: is not UTF-8: byte 0xe9 at byte 4 of the line", "onBadRow: skip", id="latin-1"
        ),
        pytest.param(b"t\xe9xt,label\na,x\n", "a.csv:1: the header is not UTF-8", "name the columns", id="latin-1 header"),
        pytest.param("text,label\na,x\n".encode("utf-16"), "a.csv:1: is UTF-16 (by its byte order mark)", "iconv -f UTF-16", id="utf-16"),
        pytest.param(b"PAR1rest", "a.csv: is csv by name, but holds parquet", "format", id="parquet called csv"),
    ],
)
def test_csv(workshop: Any, content: str | bytes, message: str, remedy: str) -> None:
    failure = workshop.refused(workshop.put("a.csv", content))
    assert message in failure.message
    assert remedy in failure.remedy


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"text": "a", "label": ', "malformed JSON: Expecting value at character 24"),
        ('{"text": "a" "label": "x"}', "malformed JSON: Expecting ',' delimiter at character 14"),
        ('["a", "x"]', "is an array, not an object"),
        ("null", "is null, not an object"),
        ('{"text": ["a"], "label": "x"}', '"text" is a list, not text'),
        ('{"text": {"de": "a"}, "label": "x"}', '"text" is an object, not text'),
        ('{"text": 5, "label": "x"}', '"text" is a number, not text'),
        ('{"text": null, "label": "x"}', '"text" is missing'),
        ('{"text": "\\ud800", "label": "x"}', '"text" holds half of a surrogate pair'),
        ('{"text": "a"}', '"label" is missing'),
        ('{"text": "a", "label": null}', '"label" is missing'),
        ('{"text": "a", "label": ["x"]}', '"label" is a list, not a label'),
        ('{"text": "a", "label": NaN}', '"label" is missing (not a number)'),
        ("[" * 5000, "malformed JSON: "),
    ],
)
def test_jsonl_line(workshop: Any, line: str, reason: str) -> None:
    good = [json.dumps({"text": f"row {i}", "label": "ab"[i % 2]}) for i in range(7011)]
    failure = workshop.refused(workshop.put("a.jsonl", "\n".join([*good, line, good[0]])))
    assert f"spec.dataset.train: 1 row cannot be used:\n  a.jsonl:7012: {reason}" in failure.message
    assert "onBadRow: skip" in failure.remedy


def test_jsonl_without_the_column_anywhere(workshop: Any) -> None:
    failure = workshop.refused(workshop.put("a.jsonl", [{"text": "a", "lable": "x"}]))
    assert 'spec.dataset.columns.label: a.jsonl has no column "label" (it has: text, lable)' in failure.message
    assert 'did you mean "lable"?' in failure.remedy


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"text": "a", "label": "x"},\n {"text": "b" "label": "y"}]', "a.json:2: malformed JSON in row 2: Expecting ',' delimiter"),
        ('[{"text": "a", "label": "x"}\n {"text": "b"}]', 'a.json:2: malformed JSON in row 1: expected "," or "]"'),
        ('[{"text": "a", "label": "x"}', "a.json:1: malformed JSON in row 1: the array is never closed"),
        ('"text"', "a.json:1: malformed JSON in row 1: expected an array of objects"),
        ('[{"text": "a", "label": "x"}, 7]', "a.json:2: is a number, not an object"),
        ("[]", "a.json: holds no rows"),
        (b'[{"text": "a", "label": "x"},\n{"text": "\xe9", "label": "y"}]', "a.json:2: is not UTF-8: byte 0xe9"),
    ],
)
def test_json(workshop: Any, content: str | bytes, message: str) -> None:
    assert message in workshop.refused(workshop.put("a.json", content)).message


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("nan", "is nan, not a finite number"),
        ("-inf", "is -inf, not a finite number"),
        ("1e999", "is inf"),
        ("many", "is no number: 'many'"),
        ("", "is missing"),
    ],
)
def test_targets_that_are_no_numbers(workshop: Any, value: str, reason: str) -> None:
    rows = [("a", "1"), ("b", value), ("c", "2")]
    assert f'a.csv:3: "label" {reason}' in workshop.refused(workshop.put("a.csv", rows), objective="regression").message


@pytest.mark.parametrize(
    ("value", "reason"),
    [(float("nan"), "is nan"), (True, "is true or false"), ([1], "is a list"), (None, "is missing"), (10**400, "is too large a number")],
)
def test_json_targets_that_are_no_numbers(workshop: Any, value: Any, reason: str) -> None:
    objects = [{"text": "a", "label": 1}, {"text": "b", "label": value}, {"text": "c", "label": 2}]
    assert f'a.jsonl:2: "label" {reason}' in workshop.refused(workshop.put("a.jsonl", objects), objective="regression").message


def test_targets_that_are_all_the_same(workshop: Any) -> None:
    failure = workshop.refused(workshop.put("a.csv", [("a", "3"), ("b", "3.0")]), objective="regression")
    assert "every training row of a.csv has the number 3" in failure.message


def test_a_file_that_is_not_there(workshop: Any) -> None:
    failure = workshop.refused("file:nowhere.csv")
    assert failure.message == "spec.dataset.train.uri: file:nowhere.csv does not exist"
    assert "Correct the path" in failure.remedy


def test_a_pattern_that_matches_nothing(workshop: Any, rows: list[tuple[str, str]]) -> None:
    failure = workshop.refused(workshop.put("a.csv", rows), "file:test-*.csv")
    assert failure.message == "spec.dataset.evaluation.uri: file:test-*.csv matches no file"


def test_a_file_of_a_pattern_with_other_columns(workshop: Any, rows: list[tuple[str, str]]) -> None:
    workshop.put("a.csv", rows)
    workshop.put("b.csv", "body,label\nc,x\n")
    failure = workshop.refused("file:*.csv")
    assert 'spec.dataset.columns.text: b.csv has no column "text" (it has: body, label)' in failure.message


def test_labels_that_only_evaluation_rows_have(workshop: Any, rows: list[tuple[str, str]]) -> None:
    failure = workshop.refused(workshop.put("a.csv", rows), workshop.put("b.csv", [("c", "lost"), ("d", "stolen"), ("e", "found")]))
    assert failure.message == 'spec.dataset.evaluation: 2 rows have labels that no training row has: "found", "stolen" (first at b.csv:3)'
    assert "Correct these labels" in failure.remedy


@pytest.mark.parametrize("compression", ["gz", "zst"])
@pytest.mark.parametrize("kept", [0.5, 0.999])
def test_a_compressed_file_that_ends_early(workshop: Any, compression: str, kept: float) -> None:
    rows = "text,label\n" + "".join(f"row {i * 7919 % 100_003},{'ab'[i % 2]}\n" for i in range(50_000))
    data = gzip.compress(rows.encode()) if compression == "gz" else zstandard.compress(rows.encode())
    path = workshop.folder / f"a.csv.{compression}"
    path.write_bytes(data[: int(len(data) * kept)])
    failure = workshop.refused(f"file:{path.name}")
    assert f"a.csv.{compression}: the {'gzip' if compression == 'gz' else 'zstd'} data ends early or is damaged" in failure.message
    assert "not complete" in failure.remedy


@pytest.mark.parametrize("damage", ["cut", "scrambled", "no parquet"])
def test_a_damaged_parquet_file(workshop: Any, damage: str) -> None:
    path: Path = workshop.folder / "a.parquet"
    pq.write_table(pa.table({"text": [f"row {i}" for i in range(5000)], "label": ["x", "y"] * 2500}), path, compression="snappy")
    data = path.read_bytes()
    path.write_bytes(
        {"cut": data[:-100], "scrambled": data[:200] + b"\xff" * 5000 + data[5200:], "no parquet": b"text,label\na,b\n"}[damage]
    )
    failure = workshop.refused("file:a.parquet")
    assert "a.parquet: is no parquet file that can be read" in failure.message or "but holds no parquet" in failure.message


def test_parquet_rows_are_named_by_number(workshop: Any) -> None:
    table = pa.table({"text": pa.array([["a"], ["b"]]), "label": ["x", "y"]})
    pq.write_table(table, workshop.folder / "a.parquet")
    assert 'a.parquet:1: "text" is a list, not text' in workshop.refused("file:a.parquet").message


def test_the_first_twenty_bad_rows_are_listed(workshop: Any) -> None:
    rows = [("a", "x" if i % 2 else "") for i in range(100)]
    failure = workshop.refused(workshop.put("a.csv", rows))
    listed = failure.message.splitlines()
    assert listed[0] == "spec.dataset.train: at least 50 rows cannot be used; the first 20:"
    assert listed[1:] == [f'  a.csv:{2 + 2 * i}: "label" is empty' for i in range(20)]


def test_bad_rows_of_the_evaluation_are_its_own(workshop: Any, rows: list[tuple[str, str]]) -> None:
    failure = workshop.refused(workshop.put("a.csv", rows), workshop.put("b.csv", [("c", ""), ("d", "lost")]))
    assert failure.message == 'spec.dataset.evaluation: 1 row cannot be used:\n  b.csv:2: "label" is empty'


def test_a_bad_row_far_into_a_large_file_is_found_where_it_is(workshop: Any) -> None:
    rows = [(f"row {i}\nsecond line " + "x" * 90, "ab"[i % 2]) for i in range(15_000)]
    content = "text,label\n" + "".join(f'"{text}",{label}\n' for text, label in rows) + "only one field\n"
    assert "a.csv.gz:30002: has 1 fields, the header has 2" in workshop.refused(workshop.put("a.csv.gz", content)).message


def test_skipping_counts_bad_rows_and_goes_on(workshop: Any) -> None:
    rows = [(f"row {i}", "ab"[i % 2]) for i in range(98)]
    data = workshop.prepare(workshop.put("a.csv", [*rows[:50], ("bad", ""), *rows[50:], ("worse", " ")]), onBadRow="skip")
    assert len(data.train) == 98
    assert data.report.bad_rows == 2
    assert [(row.line, row.reason) for row in data.report.bad_row_examples] == [(52, '"label" is empty'), (101, '"label" is empty')]
    assert "2 rows (2.0 %) cannot be used and are left out." in data.report.warnings


def test_skipping_is_refused_above_five_percent(workshop: Any) -> None:
    rows = [(f"row {i}", "ab"[i % 2]) for i in range(94)]
    failure = workshop.refused(workshop.put("a.csv", rows + [("bad", "")] * 6), onBadRow="skip")
    assert "6 of 100 rows (6.0%) cannot be used, more than the 5 % that onBadRow: skip allows" in failure.message
    assert failure.remedy == "Fix these rows."


def test_skipping_does_not_excuse_an_open_quote(workshop: Any) -> None:
    rows = "".join(f"row {i},{'ab'[i % 2]}\n" for i in range(100))
    failure = workshop.refused(workshop.put("a.csv", f'text,label\n{rows}"open,a\n{rows}'), onBadRow="skip")
    assert "a.csv:102: a quote" in failure.message


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_line_of_50_mb_is_a_bad_row_and_never_held(workshop: Any, name: str) -> None:
    good = [("row 1", "a"), ("row 2", "b")] * 20
    before, after = (
        ("text,label\n" + "".join(f"{a},{b}\n" for a, b in good),) * 2
        if name == "a.csv"
        else ("".join(json.dumps({"text": a, "label": b}) + "\n" for a, b in good),) * 2
    )
    path = workshop.folder / name
    with path.open("w") as file:
        file.write(before)
        for _ in range(50):
            file.write("x" * MIB)
        file.write("\n" + after.removeprefix("text,label\n"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    data = workshop.prepare(f"file:{name}", onBadRow="skip")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) // 1024
    line = before.count("\n") + 1
    assert [(row.line, row.reason) for row in data.report.bad_row_examples] == [(line, "is longer than 16 MiB")]
    assert len(data.train) == 80
    assert data.train.source(40) == (name, line + 1)
    assert grown < 50 * 1.5


def test_a_field_that_never_ends_within_16_mib_is_an_open_quote(workshop: Any) -> None:
    path = workshop.folder / "a.csv"
    path.write_text('text,label\na,x\n"open,y\n' + ("x" * 999 + "\n") * 20_000)
    assert 'a.csv:3: a quote (")' in workshop.refused("file:a.csv", onBadRow="skip").message


def test_a_bad_line_inside_a_quoted_field_spoils_that_row_alone(workshop: Any) -> None:
    rows = "".join(f"row {i},{'ab'[i % 2]}\n" for i in range(100)).encode()
    data = workshop.prepare(workshop.put("a.csv", b'text,label\n"one\ncaf\xe9\nthree",a\n' + rows), onBadRow="skip")
    assert len(data.train) == 100
    assert [(row.line, row.reason[:12]) for row in data.report.bad_row_examples] == [(3, "is not UTF-8")]
    assert data.train.source(0) == ("a.csv", 5)


@pytest.mark.parametrize(("policy", "rows", "dropped", "truncated"), [("drop", 2, 1, 0), ("truncate", 3, 0, 1)])
def test_rows_that_are_too_long(workshop: Any, policy: str, rows: int, dropped: int, truncated: int) -> None:
    uri = workshop.put("a.csv", [("abcd", "x"), ("abcdefghij", "y"), ("ab", "y")])
    data = workshop.prepare(uri, max_length=8, onTooLong=policy)
    assert (len(data.train), data.report.dropped_too_long, data.report.truncated) == (rows, dropped, truncated)
    assert data.train.lengths.tolist() == ([6, 8, 4] if policy == "truncate" else [6, 4])
    assert data.report.train_lengths.max == (12 if policy == "truncate" else 6)
    assert data.train.tokens(1)[-1] == 2
    assert any("longer than 8 tokens" in warning for warning in data.report.warnings)


def test_a_row_that_is_too_long_may_end_the_job(workshop: Any) -> None:
    failure = workshop.refused(workshop.put("a.csv", [("ab", "x"), ("abcdefghij", "y")]), max_length=8, onTooLong="fail")
    assert failure.message == "a.csv:3: has 12 tokens, more than the 8 of maxLength"
    assert "maxLength" in failure.remedy


def test_a_label_all_of_whose_rows_are_dropped_is_no_label(workshop: Any) -> None:
    uri = workshop.put("a.csv", [("ab", "x"), ("abcdefghij", "z"), ("ab", "y")])
    data = workshop.prepare(uri, max_length=8, onTooLong="drop")
    assert data.labels == ("x", "y")
    assert data.train.targets.tolist() == [0, 1]
    assert [count.label for count in data.report.labels] == ["x", "y"]


def test_dropping_every_row(workshop: Any) -> None:
    failure = workshop.refused(workshop.put("a.csv", [("abcdef", "x"), ("abcdefghij", "y")]), max_length=4, onTooLong="drop")
    assert "a.csv: all 2 rows have more tokens than maxLength" in failure.message


@pytest.mark.parametrize(("fraction", "said"), [(0.0001, "sets none aside"), (0.9999, "sets all aside and leaves none")])
def test_a_fraction_that_leaves_one_side_empty(workshop: Any, fraction: float, said: str) -> None:
    rows = [("a", "1"), ("b", "2"), ("c", "3")]
    failure = workshop.refused(workshop.put("a.csv", rows), evaluationFraction=fraction, objective="regression")
    assert f"spec.dataset.evaluationFraction: {fraction} of 3 rows {said}" in failure.message


def test_a_column_of_ids_given_as_label(workshop: Any) -> None:
    rows = [(f"row {i}", str(i)) for i in range(66_000)]
    assert "more than 65536 different labels" in workshop.refused(workshop.put("a.csv", rows)).message
