"""What preflight finds out: facts of the model, the data report and the plan."""

from __future__ import annotations

from tunesmith_api.meta import ApiModel


class ModelFacts(ApiModel):
    """What the base model's files say, read without loading a weight."""

    uri: str
    """Where it came from."""
    digest: str
    """Digest of its files (sha256:...)."""
    architecture: str
    """The class that its config names."""
    parameters: int
    """Number of parameters in its safetensors files."""
    dtype: str
    """The dtype most of them are stored in."""
    context_length: int | None = None
    """Most tokens that it takes."""
    licence: str | None = None
    """From its model card."""
    languages: tuple[str, ...] = ()
    """From its model card."""


class Lengths(ApiModel):
    """Distribution of the tokens of a row."""

    p50: int
    p95: int
    p99: int
    max: int
    mean: float


class LabelCount(ApiModel):
    """Rows of one label."""

    label: str
    train: int
    evaluation: int


class BadRow(ApiModel):
    """A row that cannot be used."""

    file: str
    line: int
    reason: str


class Oddity(ApiModel):
    """A kind of odd text and where it first appears."""

    kind: str
    """empty, nul, mojibake, replacementCharacter, control ..."""
    rows: int
    example: str
    """file:line of the first one."""


class Duplicate(ApiModel):
    """Rows that say the same, shown by one text."""

    text: str
    rows: int


class Duplicates(ApiModel):
    """Rows that repeat others within the training data."""

    exact: int
    """Rows whose text is that of an earlier row."""
    near: int
    """Further rows whose text equals an earlier row's but for case, punctuation and white space."""
    conflicting: int
    """Texts that carry more than one label."""
    examples: tuple[Duplicate, ...] = ()


class ExampleRow(ApiModel):
    """A row as the model will see it."""

    text: str
    label: str
    tokens: int


class SourceFile(ApiModel):
    """One file of the data."""

    uri: str
    digest: str
    size_bytes: int
    rows: int
    format: str
    """The format, and how it was found out, such as "csv (by name)"."""


class DataReport(ApiModel):
    """What a person should know of the data before training on it."""

    digest: str
    """Digest of the prepared data: files, columns and options (sha256:...)."""
    files: tuple[SourceFile, ...]
    evaluation_files: tuple[SourceFile, ...] = ()
    train_rows: int
    evaluation_rows: int
    bad_rows: int
    bad_row_examples: tuple[BadRow, ...] = ()
    dropped_too_long: int
    truncated: int
    max_length: int
    train_lengths: Lengths
    """Before maxLength cuts."""
    evaluation_lengths: Lengths | None = None
    labels: tuple[LabelCount, ...] = ()
    """Most frequent first; empty for regression."""
    rare_labels: tuple[str, ...] = ()
    """Labels with fewer than 10 training rows."""
    target_mean: float | None = None
    """Regression: mean of the training targets."""
    target_std: float | None = None
    """Regression: standard deviation of the training targets."""
    duplicates: Duplicates
    overlap: int
    """Evaluation rows whose text is also in the training rows."""
    oddities: tuple[Oddity, ...] = ()
    examples: tuple[ExampleRow, ...] = ()
    warnings: tuple[str, ...] = ()


class Memory(ApiModel):
    """Bytes that training is expected to take."""

    weights: int
    optimizer: int
    """Master weights and moments."""
    gradients: int
    activations: int
    process: int
    total: int
    available: int
    """What this machine (or container) has."""


class Plan(ApiModel):
    """What will happen, known before anything is trained."""

    model: ModelFacts
    data: DataReport
    method: str
    trainable_parameters: int
    precision: str
    """bf16 or fp32."""
    precision_why: str
    epochs: int
    steps: int
    steps_per_epoch: int
    batch_size: int
    micro_batch_size: int
    tokens_per_epoch: int
    """Tokens of the training rows, without padding."""
    memory: Memory
    estimated_seconds: float
    """A rough estimate, from a short measurement of this machine's matrix products."""
    warnings: tuple[str, ...] = ()
