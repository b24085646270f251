"""TuningJob: a base model, a dataset, an objective and a method give a tuned model."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from tunesmith_api.common import Checkpoints, ColumnName, Columns, DataSource, ModelSource, Output
from tunesmith_api.meta import ApiModel, FieldProblem, FieldProblems, Metadata, OneOf
from tunesmith_api.methods import Lora, Method

CLASSIFICATION_METRICS = ("accuracy", "macroF1", "calibrationError", "loss")
REGRESSION_METRICS = ("mae", "rmse", "r2", "spearman", "loss")
Metric = Literal["accuracy", "macroF1", "calibrationError", "loss", "mae", "rmse", "r2", "spearman"]
SMALLER_IS_BETTER = frozenset({"calibrationError", "loss", "mae", "rmse"})


class Classification(ApiModel):
    """One label out of a set; the set is read from the training data."""


class Regression(ApiModel):
    """A number; targets are standardised in training and the scale is folded into the published head."""


class Objective(OneOf):
    """What the model learns to do."""

    classification: Classification | None = None
    """Predict one label out of those in the training data."""
    regression: Regression | None = None
    """Predict a number."""


DEFAULT_LEARNING_RATES = {"full": 5e-5, "outputLayers": 2e-4, "lora": 5e-4, "features": 1.0}
FRESH_HEAD_LEARNING_RATE = 5e-3


class Hyperparameters(ApiModel):
    """How training proceeds."""

    epochs: int = Field(default=3, ge=1, le=10_000)
    """Passes over the training rows."""
    learning_rate: float | None = Field(default=None, gt=0, le=1)
    """Peak learning rate. Default by method: full 5e-5, outputLayers 2e-4, lora 5e-4."""
    head_learning_rate: float | None = Field(default=None, gt=0, le=1)
    """Peak learning rate of the head. Default: the larger of learningRate and 5e-3, for a fresh head wants a higher rate."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """Course of the learning rate after the warm-up: down to zero in a line or a half cosine, or constant."""
    warmup_fraction: float = Field(default=0.1, ge=0, lt=1)
    """Share of the steps in which the learning rate climbs from zero to its peak."""
    batch_size: int = Field(default=32, ge=1, le=65_536)
    """Rows of one optimizer step over all workers."""
    micro_batch_size: int | None = Field(default=None, ge=1, le=65_536)
    """Most rows computed at once; the result does not depend on it. Default: batchSize, halved when memory runs out."""
    max_length: int | None = Field(default=None, ge=4, le=1_048_576)
    """Most tokens of a row. Default: what the model can take, at most 512."""
    weight_decay: float = Field(default=0.01, ge=0, le=1)
    """Decoupled weight decay (arXiv 1711.05101); none on norms and biases."""
    max_gradient_norm: float = Field(default=1.0, gt=0, le=1e6)
    """Gradients are scaled down to this norm."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of the target spread evenly over all labels; classification only."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout inside the model while training."""
    activation_checkpointing: bool = False
    """Compute activations again in the backward pass instead of keeping them: slower, less memory."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """bf16 keeps fp32 master weights; auto takes bf16 where the hardware gains from it. The plan says which, and why."""
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    """Seed of the order of rows, of dropout and of fresh weights."""


class Gate(ApiModel):
    """The condition under which a model is published."""

    metric: Metric
    """Metric of the evaluation rows that decides."""
    at_least: float | None = None
    """Publish if the metric is this or more."""
    at_most: float | None = None
    """Publish if the metric is this or less."""

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("give exactly one of atLeast, atMost")
        return self


class EarlyStopping(ApiModel):
    """End training when the evaluation no longer improves."""

    patience: int = Field(default=2, ge=1, le=1000)
    """Evaluations in a row without improvement before training ends."""


class EvaluationPolicy(ApiModel):
    """How the model is judged."""

    metric: Metric | None = None
    """Metric that picks the best checkpoint. Default: the gate's, else accuracy (classification) or rmse (regression)."""
    every_steps: int | None = Field(default=None, ge=1, le=1_000_000)
    """Optimizer steps between two evaluations. Default: once an epoch."""
    early_stopping: EarlyStopping | None = None
    """End training when the evaluation no longer improves."""
    slices: tuple[ColumnName, ...] = Field(default=(), max_length=16)
    """Columns by whose values the metrics are shown apart, so that a bias is seen."""
    gate: Gate | None = None
    """The condition under which the model is published."""


class Dataset(ApiModel):
    """The rows to learn from and the rows to be judged by."""

    train: DataSource
    """Rows to learn from."""
    evaluation: DataSource | None = None
    """Rows to be judged by."""
    evaluation_fraction: float | None = Field(default=None, gt=0, lt=1)
    """Share of train set aside as evaluation rows, by a hash of the text: duplicates stay on one side, reruns agree."""
    columns: Columns = Columns()
    """Which columns hold what."""
    on_bad_row: Literal["fail", "skip"] = "fail"
    """A row that cannot be used ends the job after the first 20 are listed (fail), or is counted and left out (skip; refused above 5 %)."""
    on_too_long: Literal["fail", "drop", "truncate"] = "truncate"
    """What happens to a row of more than maxLength tokens."""

    @model_validator(mode="after")
    def _one_evaluation(self) -> Self:
        if self.evaluation is not None and self.evaluation_fraction is not None:
            raise ValueError("give evaluation or evaluationFraction, not both")
        return self

    @property
    def has_evaluation(self) -> bool:
        """Whether there are rows to be judged by."""
        return self.evaluation is not None or self.evaluation_fraction is not None


class TuningSpec(ApiModel):
    """What to tune, on what, how, and where the result goes."""

    model: ModelSource
    """The base model."""
    dataset: Dataset
    """The data."""
    objective: Objective
    """What the model learns to do."""
    method: Method = Method(lora=Lora())
    """Which parameters are trained, and how."""
    hyperparameters: Hyperparameters = Hyperparameters()
    """How training proceeds."""
    evaluation: EvaluationPolicy = EvaluationPolicy()
    """How the model is judged."""
    checkpoints: Checkpoints = Checkpoints()
    """How often progress is saved."""
    output: Output
    """Where the result goes."""

    @model_validator(mode="after")
    def _sections_agree(self) -> Self:
        problems = [*self._evaluation_problems(), *self._metric_problems(), *self._objective_problems()]
        if problems:
            raise FieldProblems(problems)
        return self

    def _evaluation_problems(self) -> list[FieldProblem]:
        policy = self.evaluation
        if self.dataset.has_evaluation:
            return []
        wants = {"gate": policy.gate, "slices": policy.slices, "earlyStopping": policy.early_stopping}
        remedy = "needs rows to judge by; give dataset.evaluation or dataset.evaluationFraction"
        return [FieldProblem(f"evaluation.{name}", remedy) for name, value in wants.items() if value]

    def _metric_problems(self) -> list[FieldProblem]:
        policy = self.evaluation
        known = CLASSIFICATION_METRICS if self.objective.classification else REGRESSION_METRICS
        named = {"evaluation.metric": policy.metric, "evaluation.gate.metric": policy.gate and policy.gate.metric}
        return [
            FieldProblem(path, f"{metric} is no metric of {self.objective.choice} (it has: {', '.join(known)})")
            for path, metric in named.items()
            if metric is not None and metric not in known
        ]

    def _objective_problems(self) -> list[FieldProblem]:
        if self.hyperparameters.label_smoothing and not self.objective.classification:
            return [FieldProblem("hyperparameters.labelSmoothing", "is for classification only; remove it")]
        return []

    @property
    def learning_rate(self) -> float:
        """Peak learning rate: the one given, else the method's default."""
        return self.hyperparameters.learning_rate or DEFAULT_LEARNING_RATES[self.method.choice]

    @property
    def head_learning_rate(self) -> float:
        """Peak learning rate of the head: the one given, else the larger of learningRate and 5e-3."""
        return self.hyperparameters.head_learning_rate or max(self.learning_rate, FRESH_HEAD_LEARNING_RATE)

    @property
    def selection_metric(self) -> str:
        """The metric that picks the best checkpoint."""
        fallback = "accuracy" if self.objective.classification else "rmse"
        return self.evaluation.metric or (self.evaluation.gate.metric if self.evaluation.gate else fallback)


class TuningJob(ApiModel):
    """Tune a model as the spec says and publish the result."""

    api_version: Literal["tunesmith.dev/v1alpha1"]
    """Group and version of this API."""
    kind: Literal["TuningJob"]
    """Kind of the resource."""
    metadata: Metadata
    """Name and labels."""
    spec: TuningSpec
    """What to tune, on what, how, and where the result goes."""
