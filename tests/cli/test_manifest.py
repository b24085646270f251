"""YAML as people write it: what it means, where each field stands, and what is wrong with it."""

from pathlib import Path
from typing import Any

import pytest

from tunesmith_cli.manifest import Unreadable, documents, load


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5e-4", 5e-4),
        ("2.0e-3", 2e-3),
        ("010", 10),
        ("0o10", 8),
        ("0x1f", 31),
        ("+5", 5),
        (".5", 0.5),
        ("-.inf", float("-inf")),
        ("true", True),
        ("True", True),
        ("yes", "yes"),
        ("on", "on"),
        ("no", "no"),
        ("2020-01-01", "2020-01-01"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("~", None),
        ("", None),
        ("'5'", "5"),
        ("!!str 5", "5"),
        ("null", None),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    (document,) = documents(f"a: {text}\n")
    assert document.slips == []
    assert document.data == {"a": value}
    assert type(document.data["a"]) is type(value)


def test_each_field_has_its_line_and_a_missing_one_that_of_its_section() -> None:
    (document,) = documents("# head\na:\n  b: 1\n  c:\n    - x\n    - y\n")
    assert document.line(("a",)) == 2
    assert document.line(("a", "b")) == 3
    assert document.line(("a", "c", 1)) == 6
    assert document.line(("a", "zebra", "x")) == 2
    assert document.line(("zebra",)) == 2


def test_empty_documents_are_skipped_and_the_others_counted() -> None:
    found = documents("---\n---\na: 1\n---\n# nothing\n---\nb: 2\n")
    assert [(d.index, d.start, d.data) for d in found] == [(1, 3, {"a": 1}), (2, 7, {"b": 2})]


def test_anchors_and_aliases_are_fine() -> None:
    (document,) = documents("a: &x {b: 1}\nc: *x\n")
    assert document.data == {"a": {"b": 1}, "c": {"b": 1}}


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9))


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\na: 2\n", 2, "is given twice (first in line 1)"),
        ("a: [1\nb: 2\n", 2, "is no valid YAML: expected ',' or ']', but got ':' (column 2)"),
        ("a:\n\t- 1\n", 2, "is no valid YAML: found character '\\t' that cannot start any token (column 1)"),
        ("a: 1\n  b: 2\n", 2, "is no valid YAML: mapping values are not allowed here (column 4)"),
        ("- 1\n", 1, "must be a mapping with apiVersion, kind, metadata and spec"),
        ("just words\n", 1, "must be a mapping with apiVersion, kind, metadata and spec"),
        ("a: 1\nb: !!python/object:os.system {}\n", 2, "has the tag '!!python/object:os.system', which a manifest cannot have; remove it"),
        ("a: !!int x\n", 1, "is no int: 'x'"),
        ("a: " + "9" * 5000, 1, "is no int: '9999999999999999999999999999999999999999'"),
        ("x: &x {a: 1}\ny:\n  <<: *x\n", 3, "merge keys are not supported; write the fields out"),
        ("? [a]\n: b\n", 1, "has a key that is no text"),
        ('a: "\\ud800"\n', 1, "holds half a surrogate pair, which is no character"),
        ("a: 1\nb: \x01\n", 2, "holds a character that YAML does not allow (U+0001)"),
        ("a: *nowhere\n", 1, "is no valid YAML: found undefined alias 'nowhere' (column 4)"),
        ("a: &a [*a]\n", 1, "is no valid YAML: grows too large through its aliases (column 4)"),
        ("[" * 5000, 1, "is no valid YAML: is nested more than 64 deep (column 65)"),
    ],
)
def test_what_is_wrong_with_the_yaml_is_said_with_its_line(text: str, line: int, message: str) -> None:
    (slip,) = documents(text)[-1].slips
    assert (slip.line, slip.message) == (line, message)


def test_a_bomb_of_aliases_is_refused() -> None:
    (slip,) = documents(BOMB)[-1].slips
    assert "grows too large through its aliases" in slip.message


def test_documents_before_a_broken_one_are_kept() -> None:
    first, broken = documents("a: 1\n---\nb: [\n")
    assert (first.data, first.slips) == ({"a": 1}, [])
    assert broken.index == 2
    assert broken.slips


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no manifest: it is empty"),
        (b"# only a comment\n---\n", "holds no manifest: it is empty"),
        (b"a: 1\nb: \xff\n", "is not UTF-8: byte 0xff in line 2"),
        (b"a: b\n" * 300_000, "is larger than 1 MiB; that is no manifest"),
    ],
)
def test_a_file_without_a_manifest_says_why(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "job.yaml"
    file.write_bytes(content)
    with pytest.raises(Unreadable, match=message):
        load(file)


def test_a_missing_file_and_a_folder_say_so(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="cannot be read: No such file"):
        load(tmp_path / "none.yaml")
    with pytest.raises(Unreadable, match="is a folder; name a manifest in it"):
        load(tmp_path)


def test_a_byte_order_mark_is_no_part_of_the_manifest(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert load(file)[0].data == {"a": 1}
