"""One recorded run: the events of a small classifier's training, with hostile text in its labels."""

from tunesmith_api.plan import DataReport, Duplicates, ExampleRow, LabelCount, Lengths, Memory, ModelFacts, Oddity, Plan, SourceFile
from tunesmith_api.protocol import (
    CheckpointEvent,
    EvaluationEvent,
    Event,
    NoteEvent,
    PhaseEvent,
    PlanEvent,
    ProgressEvent,
    Reason,
    Result,
    WordEvent,
    encode,
)

HOSTILE = "card\x1b[31m [red]fee[/red] \x1b]0;owned\x07\u202e"
LENGTHS = Lengths(p50=12, p95=30, p99=50, max=198, mean=14.2)
DATA = DataReport(
    digest="sha256:2",
    files=(SourceFile(uri="s3://data/train.csv", digest="sha256:3", size_bytes=1000, rows=10003, format="csv (by name)"),),
    train_rows=10003,
    evaluation_rows=3080,
    bad_rows=0,
    dropped_too_long=0,
    truncated=2,
    max_length=128,
    train_lengths=LENGTHS,
    labels=(LabelCount(label=HOSTILE, train=187, evaluation=40), LabelCount(label="contactless", train=35, evaluation=40)),
    duplicates=Duplicates(exact=4, near=10, conflicting=0),
    overlap=3,
    oddities=(Oddity(kind="mojibake", rows=2, example="train.csv:17"),),
    examples=(ExampleRow(text=f"Where is my {HOSTILE}?", label=HOSTILE, tokens=9),),
    warnings=("3 evaluation rows are also training rows",),
)
PLAN = Plan(
    model=ModelFacts(uri="hf://org/mini", digest="sha256:1", architecture="BertModel", parameters=22_713_216, dtype="float32"),
    data=DATA,
    method="lora",
    trainable_parameters=1_230_000,
    precision="bf16",
    precision_why="4.3 times as fast here",
    epochs=4,
    steps=628,
    steps_per_epoch=157,
    batch_size=64,
    micro_batch_size=32,
    tokens_per_epoch=142_000,
    memory=Memory(
        weights=10**8, optimizer=10**7, gradients=10**6, activations=10**8, process=8 * 10**8, total=1_011_000_000, available=24 * 10**9
    ),
    estimated_seconds=170,
    warnings=("3 evaluation rows are also training rows",),
)
RESULT = Result(
    uri="s3://models/banking-intents",
    digest="sha256:4",
    size_bytes=1,
    metrics={"accuracy": 0.938},
    base_metrics={"accuracy": 0.013},
    report_uri="s3://models/banking-intents/report.html",
    headline="accuracy 0.938 (baseline 0.013)",
)
SUCCEEDED = WordEvent(reason=Reason.SUCCEEDED, message="published", result=RESULT)


def progress(step: int) -> ProgressEvent:
    return ProgressEvent(
        phase="training",
        step=step,
        total_steps=628,
        percent=100 * step / 628,
        loss=4.3 - step / 300,
        tokens_per_second=12345.6,
        eta_seconds=(628 - step) / 4,
        updated_at=1.0,
    )


def recording() -> list[Event]:
    """Everything up to the word, in order."""
    found: list[Event] = [PhaseEvent(phase="preflight"), PlanEvent(plan=PLAN), PhaseEvent(phase="training", detail="628 steps")]
    for step in range(1, 629):
        found.append(progress(step))
        if step == 157:
            found.append(EvaluationEvent(step=step, metrics={"accuracy": 0.61}, best=True))
            found.append(CheckpointEvent(step=step, uri="s3://models/banking-intents/checkpoints/157"))
            found.append(NoteEvent(level="warning", message=f"the loss of {HOSTILE} rose"))
    return [*found, PhaseEvent(phase="publishing")]


def script(*lines: Event | str) -> str:
    """Events and commands as a script for the scripted trainer."""
    return "".join(f"{line if isinstance(line, str) else encode(line)}\n" for line in lines)
