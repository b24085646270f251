"""What is done with metrics: the gate, slices, worst errors and the headline."""

from __future__ import annotations

import numpy as np
import pytest

from tunesmith_api.protocol import Failure, Reason
from tunesmith_api.tuning import Gate
from tunesmith_trainer.evaluation.errors import worst_answers, worst_numbers
from tunesmith_trainer.evaluation.gate import met, require
from tunesmith_trainer.evaluation.headline import headline
from tunesmith_trainer.evaluation.metrics import classification
from tunesmith_trainer.evaluation.slices import OTHER, by_value


class Texts:
    def text(self, row: int) -> str:
        return f"text {row}"

    def source(self, row: int) -> tuple[str, int]:
        return "test.csv", row + 2


@pytest.mark.parametrize(
    ("gate", "value", "passes"),
    [
        (Gate(metric="accuracy", at_least=0.9), 0.9, True),
        (Gate(metric="accuracy", at_least=0.9), 0.89999, False),
        (Gate(metric="accuracy", at_least=0.0), 0.0, True),
        (Gate(metric="accuracy", at_most=0.5), 0.5, True),
        (Gate(metric="accuracy", at_most=0.0), 0.1, False),
    ],
)
def test_the_bound_itself_is_good(gate: Gate, value: float, passes: bool) -> None:
    assert met(gate, {"accuracy": value}) is passes


def test_no_gate_lets_all_through() -> None:
    require(None, {})


@pytest.mark.parametrize("value", [0.87128, 0.899999, 0.5, 1e-7])
def test_the_gate_that_the_remedy_names_would_be_met(value: float) -> None:
    with pytest.raises(Failure) as failure:
        require(Gate(metric="macroF1", at_least=0.9), {"macroF1": value})
    assert failure.value.reason is Reason.GATE_NOT_MET
    assert "below atLeast: 0.9" in failure.value.message
    named = float(failure.value.remedy.split("atLeast to ")[1].split()[0])
    require(Gate(metric="macroF1", at_least=named), {"macroF1": value})


def test_a_gate_from_above_names_its_numbers_too() -> None:
    with pytest.raises(Failure, match=r"rmse is 1\.235, above atMost: 1\.0;") as failure:
        require(Gate(metric="rmse", at_most=1.0), {"rmse": 1.23412})
    assert "gate.atMost to 1.235" in failure.value.remedy
    assert "without training again" in failure.value.remedy


def test_slices_score_each_value_by_its_own_rows() -> None:
    values = ["de"] * 40 + ["en"] * 10 + [""] * 40
    right = np.array([True] * 40 + [False] * 10 + [True] * 20 + [False] * 20)
    slices = by_value(values, lambda rows: {"accuracy": float(right[rows].mean())})
    assert [(s.value, s.rows, s.scalars["accuracy"], s.small) for s in slices] == [
        ("", 40, 0.5, False),
        ("de", 40, 1.0, False),
        ("en", 10, 0.0, True),
    ]


def test_the_rarest_values_share_a_slice_and_no_row_is_lost() -> None:
    values = [f"v{i}" for i in range(50) for _ in range(50 - i)]
    slices = by_value(values, lambda rows: {"rows": float(len(rows))}, max_values=5)
    assert [s.value for s in slices] == ["v0", "v1", "v2", "v3", OTHER]
    assert (slices[-1].folded, sum(s.rows for s in slices)) == (46, len(values))
    assert by_value([], lambda rows: {}) == []


def test_worst_answers_are_the_surest_wrong_ones() -> None:
    logits = np.array([[9.0, 0.0], [0.0, 2.0], [0.0, 5.0], [3.0, 0.0]])
    errors = worst_answers(classification(logits, np.array([0, 0, 0, 1])), np.array([0, 0, 0, 1]), ("a", "b"), Texts(), most=2)
    assert [(e.row, e.truth, e.predicted, e.file, e.line) for e in errors] == [(2, "a", "b", "test.csv", 4), (3, "b", "a", "test.csv", 5)]
    assert errors[0].confidence == pytest.approx(1 / (1 + np.exp(-5)))


def test_a_model_without_errors_has_no_worst_ones() -> None:
    assert worst_answers(classification(np.eye(2), np.arange(2)), np.arange(2), ("a", "b"), Texts()) == []
    assert worst_numbers(np.ones(3), np.ones(3), Texts()) == []


def test_worst_numbers_are_furthest_off() -> None:
    errors = worst_numbers(np.array([1.0, 2.0, -3.0]), np.array([1.0, 4.0, 5.0]), Texts())
    assert [(e.row, e.truth, e.predicted, e.error) for e in errors] == [(2, "5", "-3", -8.0), (1, "4", "2", -2.0)]


def test_headline() -> None:
    assert headline("accuracy", {"accuracy": 0.93149}, {"accuracy": 0.01299}) == "accuracy 0.931 (baseline 0.013)"
