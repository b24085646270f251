"""What the data report says of the data, in numbers that can be counted by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tunesmith_trainer.data.fingerprints import exact, folded
from tunesmith_trainer.data.oddities import Oddities


def test_lengths_are_tokens_before_the_cut(workshop: Any) -> None:
    rows = [("x" * n, "ab"[n % 2]) for n in range(1, 101)]
    report = workshop.prepare(workshop.put("a.csv", rows), workshop.put("b.csv", rows[:9]), max_length=50).report
    assert report.train_lengths.model_dump() == {"p50": 53, "p95": 97, "p99": 101, "max": 102, "mean": 52.5}
    assert report.evaluation_lengths is not None
    assert report.evaluation_lengths.max == 11
    assert report.truncated == 52
    assert "52 rows (47.7 %) are longer than 50 tokens and will be cut." in report.warnings


def test_labels_are_counted_most_frequent_first_and_rare_ones_named(workshop: Any) -> None:
    train = [(f"row {i}", "often" if i < 300 else "seldom") for i in range(304)]
    evaluation = [(f"other {i}", "often") for i in range(100)]
    report = workshop.prepare(workshop.put("a.csv", train), workshop.put("b.csv", evaluation)).report
    assert [(c.label, c.train, c.evaluation) for c in report.labels] == [("often", 300, 100), ("seldom", 4, 0)]
    assert report.rare_labels == ("seldom",)
    assert "1 label has fewer than 10 training rows: seldom." in report.warnings
    assert 'The labels are unbalanced: "often" has 300 training rows, "seldom" has 4.' in report.warnings
    assert "1 label has no evaluation row, so nothing tells how well they are learnt: seldom." in report.warnings


def test_duplicates_exact_near_and_conflicting(workshop: Any) -> None:
    rows = [("Hello there", "x"), ("Hello there", "x"), ("hello,  THERE!", "y"), ("Hello there", "y"), ("Else", "x"), ("Ｅｌｓｅ", "x")]
    found = workshop.prepare(workshop.put("a.csv", rows)).report.duplicates
    assert (found.exact, found.near, found.conflicting) == (2, 2, 1)
    assert [(d.text, d.rows) for d in found.examples] == [("Hello there", 3)]


def test_rows_in_both_sets(workshop: Any) -> None:
    train = [(f"row {i}", "ab"[i % 2]) for i in range(200)]
    evaluation = [(f"row {i}", "ab"[i % 2]) for i in range(180, 380)]
    report = workshop.prepare(workshop.put("a.csv", train), workshop.put("b.csv", evaluation)).report
    assert report.overlap == 20
    assert "20 evaluation rows (10.0 %) are also in the training rows; the score will flatter the model." in report.warnings


def test_odd_text_is_counted_by_kind_with_its_first_place(workshop: Any) -> None:
    odd = {"empty": "  ", "nul": "a\0b", "mojibake": "CafÃ© nebenan", "replacementCharacter": "caf\ufffd", "control": "bell\x07"}
    rows = [("fine – naïve café, œuvre, â la mode", "x"), *((text, "y") for text in odd.values()), ("donâ€™t", "y")]
    report = workshop.prepare(workshop.put("a.csv", rows)).report
    found = {o.kind: (o.rows, o.example) for o in report.oddities}
    assert found == {
        "empty": (1, "a.csv:3"),
        "nul": (1, "a.csv:4"),
        "mojibake": (2, "a.csv:5"),
        "replacementCharacter": (1, "a.csv:6"),
        "control": (1, "a.csv:7"),
    }
    assert '2 rows look like UTF-8 read as latin-1 ("Ã©" for "é"), first at a.csv:5.' in report.warnings
    assert "1 row holds NUL characters, first at a.csv:4." in report.warnings


@pytest.mark.parametrize(
    "text",
    [
        "Ça va? À bientôt! Âge",
        "Grüße aus Köln",
        "São Paulo, Ãngulo",
        "日本語",
        "emoji 🎉 ok",
        "tab\tand\nline",
        "İstanbul’da",
        "“café”… «né»",
        "É»",
    ],
)
def test_honest_text_is_not_odd(text: str) -> None:
    oddities = Oddities()
    oddities.look([text], None, "a", [1])
    assert oddities.found() == ()


@pytest.mark.parametrize("text", ["é", "Grüße", "naïve", "don’t", "“quoted”", "日本語", "🎉"])
@pytest.mark.parametrize("wrong", ["latin-1", "cp1252"])
def test_utf8_read_as_latin1_is_odd(text: str, wrong: str) -> None:
    garbled = text.encode().decode(wrong, errors="ignore")
    oddities = Oddities()
    oddities.look(["plain", garbled], None, "a", [1, 2])
    assert {o.kind for o in oddities.found()} & {"mojibake", "control"}


def test_labels_that_differ_only_in_case_are_pointed_out(workshop: Any) -> None:
    report = workshop.prepare(workshop.put("a.csv", [("a", "Card"), ("b", "card"), ("c", "other")])).report
    assert any("'Card' and 'card' differ only in case" in w or "'card' and 'Card' differ only in case" in w for w in report.warnings)


def test_examples_are_cut_to_300_characters(workshop: Any) -> None:
    report = workshop.prepare(workshop.put("a.csv", [("x" * 1000, "a"), ("y", "b")]), max_length=10).report
    assert [(len(e.text), e.label, e.tokens) for e in report.examples] == [(300, "a", 10), (1, "b", 3)]


def test_without_evaluation_rows_the_report_says_so(workshop: Any, rows: list[tuple[str, str]]) -> None:
    report = workshop.prepare(workshop.put("a.csv", rows)).report
    assert report.evaluation_rows == 0
    assert any("no evaluation rows" in warning for warning in report.warnings)


def test_clean_data_gives_no_warning(workshop: Any) -> None:
    train = [(f"question number {i}", "ab"[i % 2]) for i in range(400)]
    evaluation = [(f"other question {i}", "ab"[i % 2]) for i in range(100)]
    assert workshop.prepare(workshop.put("a.csv", train), workshop.put("b.csv", evaluation)).report.warnings == ()


def test_folding_keeps_what_carries_meaning() -> None:
    assert folded("  Hello,\tWORLD!! ") == folded("hello world")
    assert folded("Ｈｅｌｌｏ－world") == folded("hello world")
    assert folded("किताब") != folded("कतब")
    assert folded("I 😀 it") != folded("I 😡 it")
    assert folded("?!") != folded("...")


def test_fingerprints_are_the_same_everywhere() -> None:
    assert exact(["", "abc", "日本"]).tolist() == [13020603013274838756, 6455300059550759896, 4223062404410717160]
    assert exact(["a"], ["bc"]) != exact(["ab"], ["c"])
