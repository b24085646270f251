"""The one contract between trainer, operator and CLI: the job file in, progress events out, one typed word at the end."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, JsonValue, TypeAdapter

from tunesmith_api.meta import ApiModel
from tunesmith_api.plan import Plan
from tunesmith_api.tuning import TuningJob


class After(StrEnum):
    """What follows a trainer's word."""

    DONE = "done"
    OVER = "over"
    LEFT = "left"
    RETRY = "retry"


class Reason(StrEnum):
    """Why a trainer ended; the reason of the Ready condition."""

    SUCCEEDED = "Succeeded"
    REUSED = "Reused"
    INVALID_SPEC = "InvalidSpec"
    DATASET_INVALID = "DatasetInvalid"
    ARTIFACT_DAMAGED = "ArtifactDamaged"
    MODEL_UNAVAILABLE = "ModelUnavailable"
    OUTPUT_IN_USE = "OutputInUse"
    STORAGE_UNAVAILABLE = "StorageUnavailable"
    PREEMPTED = "Preempted"
    STORAGE_DENIED = "StorageDenied"
    GATE_NOT_MET = "GateNotMet"
    LOSS_DIVERGED = "LossDiverged"
    OUT_OF_MEMORY = "OutOfMemory"
    INTERNAL = "Internal"


class Verdict(NamedTuple):
    """The exit code of a reason, and what follows it."""

    exit_code: int
    after: After


VERDICTS: dict[Reason, Verdict] = {
    Reason.SUCCEEDED: Verdict(0, After.DONE),
    Reason.REUSED: Verdict(0, After.DONE),
    Reason.INVALID_SPEC: Verdict(64, After.OVER),
    Reason.DATASET_INVALID: Verdict(65, After.OVER),
    Reason.ARTIFACT_DAMAGED: Verdict(65, After.OVER),
    Reason.MODEL_UNAVAILABLE: Verdict(66, After.OVER),
    Reason.INTERNAL: Verdict(70, After.RETRY),
    Reason.OUTPUT_IN_USE: Verdict(73, After.OVER),
    Reason.STORAGE_UNAVAILABLE: Verdict(74, After.RETRY),
    Reason.PREEMPTED: Verdict(75, After.LEFT),
    Reason.STORAGE_DENIED: Verdict(77, After.OVER),
    Reason.GATE_NOT_MET: Verdict(78, After.OVER),
    Reason.LOSS_DIVERGED: Verdict(79, After.OVER),
    Reason.OUT_OF_MEMORY: Verdict(79, After.OVER),
}
"""sysexits.h where one fits. An exit code that stands nowhere here is a failure that is tried again."""


class Failure(Exception):
    """A typed end: what happened and where (message), and what to do about it (remedy)."""

    def __init__(self, reason: Reason, message: str, remedy: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.remedy = remedy


class Owner(ApiModel):
    """Who writes to an output: a CR's uid and attempt, or a process of a host."""

    uid: str
    """The CR's uid; of a local run, one drawn at its start."""
    attempt: int = 1
    """Number of the attempt; a later one of the same uid takes over at once."""
    name: str
    """Name of the job, for messages."""
    host: str
    """Host (or pod) of the driver."""
    pid: int
    """Process of the driver on that host."""
    started: float
    """When that process started, in seconds since the epoch: tells a process from a later one of the same pid."""


class JobFile(ApiModel):
    """The one file that a trainer is given."""

    job: TuningJob
    """The manifest, validated."""
    base: str
    """Absolute folder that relative file: URIs start from: the manifest's."""
    buckets: str | None = None
    """Absolute folder that stands for the object store: s3://models/x is BUCKETS/models/x."""
    owner: Owner | None = None
    """Who writes; absent for a local run, whose trainer names its own process."""


class Result(ApiModel):
    """What a job that succeeded leaves behind."""

    uri: str
    """The output folder."""
    digest: str
    """Digest of the spec that made it (sha256:...)."""
    size_bytes: int
    """Bytes of the published files."""
    metrics: dict[str, float]
    """At most 20 scalars, measured on the evaluation rows."""
    base_metrics: dict[str, float]
    """The same of the baseline."""
    report_uri: str
    """The HTML report."""
    headline: str
    """The one line that says how it went, such as "accuracy 0.931 (baseline 0.013)"."""


class PhaseEvent(ApiModel):
    """A new phase of the job began."""

    event: Literal["phase"] = "phase"
    phase: str
    detail: str = ""


class NoteEvent(ApiModel):
    """Something that a person should know."""

    event: Literal["note"] = "note"
    level: Literal["info", "warning"]
    message: str


class PlanEvent(ApiModel):
    """Preflight is done: this is what will happen."""

    event: Literal["plan"] = "plan"
    plan: Plan


class ProgressEvent(ApiModel):
    """Where the current phase stands."""

    event: Literal["progress"] = "progress"
    phase: str
    step: int
    total_steps: int
    percent: float
    loss: float | None = None
    learning_rate: float | None = None
    tokens_per_second: float | None = None
    eta_seconds: float | None = None
    updated_at: float
    """Seconds since the epoch."""


class EvaluationEvent(ApiModel):
    """The model was evaluated."""

    event: Literal["evaluation"] = "evaluation"
    step: int
    metrics: dict[str, float]
    best: bool
    """Whether this is the best so far."""


class CheckpointEvent(ApiModel):
    """A checkpoint is complete in the output."""

    event: Literal["checkpoint"] = "checkpoint"
    step: int
    uri: str


class ReportEvent(ApiModel):
    """What a finished job left: the answer to `report`."""

    event: Literal["report"] = "report"
    report: dict[str, JsonValue]
    """Its report.json."""
    manifest: dict[str, JsonValue] | None = None
    """Its manifest.json; absent where nothing was published, because the gate was not met."""


class VerificationEvent(ApiModel):
    """How the published files compare with their manifest: the answer to `verify`."""

    event: Literal["verification"] = "verification"
    files: int
    """How many files the manifest names."""
    problems: tuple[str, ...] = ()
    """One line for each file that is missing or differs."""


class WordEvent(ApiModel):
    """The last event: how the job ended."""

    event: Literal["word"] = "word"
    reason: Reason
    message: str
    remedy: str = ""
    result: Result | None = None
    report_uri: str | None = None
    """The HTML report of a job that was evaluated but not published."""


Event = Annotated[
    PhaseEvent | NoteEvent | PlanEvent | ProgressEvent | EvaluationEvent | CheckpointEvent | ReportEvent | VerificationEvent | WordEvent,
    Field(discriminator="event"),
]
EVENTS: TypeAdapter[Event] = TypeAdapter(Event)


def encode(event: ApiModel) -> str:
    """One event as the JSON line that a trainer prints."""
    return event.model_dump_json(by_alias=True, exclude_none=True)


def decode(line: str | bytes) -> Event:
    """Read one JSON line; raises pydantic.ValidationError for anything else."""
    return EVENTS.validate_json(line)
