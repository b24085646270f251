"""What a report holds: the models of report.json, from which the HTML is drawn."""

from __future__ import annotations

import json
from typing import Any

from pydantic import Field

from tunesmith_api.meta import ApiModel
from tunesmith_api.plan import DataReport, Plan
from tunesmith_api.tuning import Gate


class Outcome(ApiModel):
    """How the job ended."""

    reason: str
    """Succeeded, GateNotMet ..."""
    headline: str
    """The one line that says how it went, such as "accuracy 0.931 (baseline 0.013)"."""
    message: str = ""
    """What stood in the way, if anything did."""
    remedy: str = ""
    """What to do about it."""
    name: str
    """Name of the job."""
    uri: str
    """The output folder."""
    created: str
    """When the report was written (ISO 8601, UTC)."""
    metric: str | None = None
    """The metric that picked the model; absent without evaluation rows."""
    gate: Gate | None = None
    """The condition under which the model is published."""


class Usage(ApiModel):
    """What the job cost, over all its attempts."""

    seconds: float
    """Wall-clock time of the job."""
    train_seconds: float
    """The part of it spent on optimizer steps."""
    tokens: int
    """Tokens trained on, without padding."""
    tokens_per_second: float
    """Of the time spent on optimizer steps."""
    peak_memory_bytes: int
    """Most memory held at once."""
    padding_percent: float
    """Share of the computed positions that were padding."""
    device: str
    """What it ran on."""
    attempts: int = 1
    """How often it was started."""
    memory_retries: int = 0
    """How often the micro batch was halved because memory ran out."""


class EvaluationPoint(ApiModel):
    """The model was evaluated during training."""

    step: int
    metrics: dict[str, float]
    best: bool = False
    """Whether this is the state that was kept."""


class Curves(ApiModel):
    """The course of training: pairs of optimizer step and value."""

    loss: tuple[tuple[int, float], ...] = ()
    learning_rate: tuple[tuple[int, float], ...] = ()
    evaluations: tuple[EvaluationPoint, ...] = ()


class ClassReport(ApiModel):
    """How well one label is told from the others."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    """Evaluation rows of this label."""


class ConfusedPair(ApiModel):
    """Evaluation rows of one label that were taken for another."""

    truth: str
    predicted: str
    rows: int


class BinReport(ApiModel):
    """The evaluation rows whose answer was about this certain."""

    lower: float
    upper: float
    rows: int
    confidence: float
    accuracy: float


class ErrorReport(ApiModel):
    """One evaluation row that the model got badly wrong."""

    text: str
    truth: str
    predicted: str
    file: str
    line: int
    confidence: float | None = None
    """Classification: the probability given to the wrong answer."""
    error: float | None = None
    """Regression: prediction less truth."""


class SliceReport(ApiModel):
    """The metrics of the evaluation rows that share one value of a column."""

    value: str
    rows: int
    metrics: dict[str, float]
    small: bool = False
    """Too few rows to trust the numbers."""
    folded: int = 0
    """How many rare values this one stands for."""


class Digests(ApiModel):
    """What identifies exactly this result."""

    spec: str
    data: str
    base: str


class Report(ApiModel):
    """The whole of report.json."""

    outcome: Outcome
    metrics: dict[str, float] = Field(default_factory=dict)
    """Measured on the evaluation rows; empty where there are none."""
    base_metrics: dict[str, float] = Field(default_factory=dict)
    """The same of the baseline: the majority label, or the mean."""
    labels: tuple[str, ...] = ()
    """Names in id order; empty for regression."""
    plan: Plan
    data: DataReport
    usage: Usage
    curves: Curves = Curves()
    per_class: tuple[ClassReport, ...] = ()
    """In id order."""
    confusion: tuple[tuple[int, ...], ...] = ()
    """Evaluation rows by truth (outer) and prediction (inner), in id order; empty above 256 labels."""
    confused_pairs: tuple[ConfusedPair, ...] = ()
    """Most frequent first."""
    calibration: tuple[BinReport, ...] = ()
    worst_errors: tuple[ErrorReport, ...] = ()
    slices: dict[str, tuple[SliceReport, ...]] = Field(default_factory=dict)
    """By column."""
    warnings: tuple[str, ...] = ()
    spec: dict[str, Any]
    """The manifest that was run."""
    digests: Digests

    def to_json(self) -> str:
        """The text of report.json; half a surrogate pair, which UTF-8 cannot hold, becomes the replacement character."""
        text = json.dumps(self.model_dump(by_alias=True), ensure_ascii=False, allow_nan=False, indent=2)
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
