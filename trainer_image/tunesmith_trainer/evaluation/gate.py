"""The gate: the condition under which a model is published."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Context

from tunesmith_api.protocol import Failure, Reason
from tunesmith_api.tuning import Gate


def met(gate: Gate, metrics: dict[str, float]) -> bool:
    """Whether the metrics satisfy the gate; its bound is still good."""
    value = metrics[gate.metric]
    return value >= gate.at_least if gate.at_least is not None else value <= (gate.at_most or 0.0)


def require(gate: Gate | None, metrics: dict[str, float]) -> None:
    """Raise Failure(GateNotMet), with the numbers and the ways out, unless the gate is met or absent."""
    if gate is None or met(gate, metrics):
        return
    value = metrics[gate.metric]
    if gate.at_least is not None:
        key, bound, side, reached = "atLeast", gate.at_least, "below", _short(value, ROUND_FLOOR)
    else:
        key, bound, side, reached = "atMost", gate.at_most or 0.0, "above", _short(value, ROUND_CEILING)
    raise Failure(
        Reason.GATE_NOT_MET,
        f"spec.evaluation.gate: {gate.metric} is {reached}, {side} {key}: {bound!r}; the model was not published",
        f"To accept this model set spec.evaluation.gate.{key} to {reached} and run again: the same job publishes without training again. "
        "To improve it look at the worst errors and rare labels in report.html, then change data, epochs or learningRate.",
    )


def _short(value: float, rounding: str) -> str:
    """Four digits, rounded to the side on which a gate of just this number is met."""
    return f"{Context(prec=4, rounding=rounding).create_decimal_from_float(value):f}"
