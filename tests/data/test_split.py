"""evaluationFraction sets rows aside by a hash of their text."""

from __future__ import annotations

from typing import Any


def sides(data: Any) -> tuple[set[str], set[str]]:
    return {data.train.text(i) for i in range(len(data.train))}, {data.evaluation.text(i) for i in range(len(data.evaluation))}


def test_duplicates_stay_on_one_side_and_about_the_fraction_is_set_aside(workshop: Any) -> None:
    rows = [(f"row {i % 1000}", "ab"[i % 2]) for i in range(3000)]
    data = workshop.prepare(workshop.put("a.csv", rows), evaluationFraction=0.2)
    train, evaluation = sides(data)
    assert not train & evaluation
    assert len(data.train) + len(data.evaluation) == 3000
    assert 150 <= len(evaluation) <= 250
    assert data.report.overlap == 0
    assert (data.report.train_rows, data.report.evaluation_rows) == (len(data.train), len(data.evaluation))


def test_a_row_keeps_its_side_when_rows_are_added_or_shuffled(workshop: Any) -> None:
    rows = [(f"row {i}", "ab"[i % 2]) for i in range(1000)]
    before = sides(workshop.prepare(workshop.put("a.csv", rows), evaluationFraction=0.1))
    after = sides(workshop.prepare(workshop.put("b.csv", [("new", "a"), *reversed(rows)]), evaluationFraction=0.1))
    assert before[0] <= after[0]
    assert before[1] <= after[1]


def test_pairs_are_split_by_their_first_text(workshop: Any) -> None:
    objects = [{"text": f"q {i % 50}", "pair": f"answer {i}", "label": i % 2} for i in range(500)]
    data = workshop.prepare(workshop.put("a.jsonl", objects), columns={"textPair": "pair"}, evaluationFraction=0.3)
    questions = [{text.split(" ||| ")[0] for text in side} for side in sides(data)]
    assert not questions[0] & questions[1]


def test_a_label_is_never_lost_to_the_evaluation(workshop: Any) -> None:
    rows = [(f"row {i}", "a" if i % 2 else "b") for i in range(300)] + [(f"single {i}", f"rare {i}") for i in range(30)]
    data = workshop.prepare(workshop.put("a.csv", rows), evaluationFraction=0.3)
    assert len(data.labels) == 32
    assert set(data.train.targets.tolist()) == set(range(32))
    assert set(data.evaluation.targets.tolist()) <= {0, 1}
    assert any("stay in training" in warning for warning in data.report.warnings)


def test_every_fact_of_a_row_follows_it_to_its_side(workshop: Any) -> None:
    rows = [(f"{'x' * (i % 9)} row {i}", "ab"[i % 2]) for i in range(200)]
    data = workshop.prepare(workshop.put("a.csv", rows), evaluationFraction=0.5, slices=("label",))
    for side in (data.train, data.evaluation):
        labels = side.slice_values("label")
        for i in range(len(side)):
            number = int(side.text(i).rsplit(" ", 1)[1])
            assert side.source(i) == ("a.csv", number + 2)
            assert data.labels[side.targets[i]] == labels[i] == "ab"[number % 2]
            assert side.tokens(i).tolist() == workshop.tokenizer.encode_batch([side.text(i)], None)[0][0]
