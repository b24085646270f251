"""What a trainer's events say, as lines of plain text: the same words on a terminal and in a pipe."""

from __future__ import annotations

from tunesmith_api.plan import DataReport, Plan
from tunesmith_api.protocol import CheckpointEvent, EvaluationEvent, Event, NoteEvent, PhaseEvent, ProgressEvent
from tunesmith_cli.text import clean, count, duration, metrics, several, size

Row = tuple[str, str]
MOST_EXAMPLES = 5


def sentence(event: Event) -> str | None:
    """An event as one line; None for those that are drawn in another way."""
    match event:
        case PhaseEvent():
            return f"{clean(event.phase)}: {clean(event.detail)}" if event.detail else clean(event.phase)
        case NoteEvent():
            return f"warning: {clean(event.message)}" if event.level == "warning" else clean(event.message)
        case EvaluationEvent():
            return f"evaluation at step {event.step:,}: {metrics(event.metrics)}{' (best so far)' if event.best else ''}"
        case CheckpointEvent():
            return f"checkpoint at step {event.step:,}: {clean(event.uri)}"
        case ProgressEvent():
            return ": ".join(part for part in (f"{clean(event.phase)} {event.percent:.0f} %", figures(event)) if part)
        case _:
            return None


def figures(event: ProgressEvent) -> str:
    """What goes beside the bar; steps where they are training's, elsewhere they may count bytes."""
    parts = [
        f"step {event.step:,}/{event.total_steps:,}" if event.loss is not None else "",
        f"loss {event.loss:.4f}" if event.loss is not None else "",
        f"{event.tokens_per_second:,.0f} tokens/s" if event.tokens_per_second is not None else "",
        f"{duration(event.eta_seconds)} left" if event.eta_seconds is not None else "",
    ]
    return ", ".join(part for part in parts if part)


def plan_rows(plan: Plan) -> list[Row]:
    """The plan as a compact table."""
    model, memory = plan.model, plan.memory
    facts = [model.architecture, f"{count(model.parameters)} parameters", model.dtype]
    facts += [f"{model.context_length:,} tokens"] if model.context_length else []
    facts += [model.licence] if model.licence else []
    share = plan.trainable_parameters / max(1, model.parameters)
    parts = f"weights {size(memory.weights)}, optimizer {size(memory.optimizer)}, gradients {size(memory.gradients)}, "
    parts += f"activations {size(memory.activations)}, process {size(memory.process)}"
    return [
        ("model", f"{clean(model.uri)} ({clean(', '.join(facts))})"),
        *_data_rows(plan.data),
        ("method", f"{clean(plan.method)}: {count(plan.trainable_parameters)} parameters trained ({share:.1%} of the base)"),
        ("precision", f"{clean(plan.precision)}: {clean(plan.precision_why)}"),
        ("steps", _steps(plan)),
        ("memory", f"{size(memory.total)} of {size(memory.available)} ({parts})"),
        ("time", f"about {duration(plan.estimated_seconds)}"),
    ]


def _steps(plan: Plan) -> str:
    micro = f" (at most {plan.micro_batch_size:,} at once)" if plan.micro_batch_size != plan.batch_size else ""
    epochs = f"{several(plan.epochs, 'epoch')} of {several(plan.steps_per_epoch, 'step')}"
    return f"{plan.steps:,}: {epochs}, {several(plan.batch_size, 'row')} a step{micro}, {count(plan.tokens_per_epoch)} tokens an epoch"


def _data_rows(data: DataReport) -> list[Row]:
    lengths, pairs = data.train_lengths, data.duplicates
    cut = f"; maxLength {data.max_length:,} cuts {several(data.truncated, 'row')}"
    cut += f", {several(data.dropped_too_long, 'row')} dropped" if data.dropped_too_long else ""
    odd = ", ".join(f"{clean(o.kind)} {o.rows:,} (first: {clean(o.example)})" for o in data.oddities)
    same = f"{pairs.exact:,} exact, {pairs.near:,} near, {pairs.conflicting:,} with more than one label"
    rows = [
        ("data", f"{several(data.train_rows, 'training row')}, {several(data.evaluation_rows, 'evaluation row')}{_sources(data)}"),
        ("labels", _labels(data)),
        ("lengths", f"p50 {lengths.p50:,}, p95 {lengths.p95:,}, p99 {lengths.p99:,}, max {lengths.max:,} tokens{cut}"),
        ("duplicates", f"{same}; {several(data.overlap, 'evaluation row')} also in training"),
        ("odd text", odd),
        ("bad rows", f"{data.bad_rows:,}" if data.bad_rows else ""),
    ]
    return [row for row in rows if row[1]]


def _sources(data: DataReport) -> str:
    files = data.files + data.evaluation_files
    formats = sorted({clean(file.format) for file in files})
    return f" in {several(len(files), 'file')}, {', '.join(formats)}" if files else ""


def _labels(data: DataReport) -> str:
    if not data.labels:
        return f"numbers, mean {data.target_mean:.4g}, standard deviation {data.target_std:.4g}" if data.target_mean is not None else ""
    most, least = data.labels[0], data.labels[-1]
    rare = f"; {several(len(data.rare_labels), 'rare label')}" if data.rare_labels else ""
    return f"{len(data.labels):,}, from {clean(most.label)} ({most.train:,} rows) to {clean(least.label)} ({least.train:,}){rare}"


def plan_details(plan: Plan) -> list[str]:
    """What `plan` shows beyond the table: bad rows, duplicates and rows as the model will see them."""
    data = plan.data
    lines = [f"bad row: {clean(row.file)}:{row.line}: {clean(row.reason)}" for row in data.bad_row_examples[:20]]
    lines += [f"{several(twin.rows, 'row')} say: {clean(twin.text)[:100]}" for twin in data.duplicates.examples[:MOST_EXAMPLES]]
    lines += [
        f"example: {clean(row.text)[:100]} -> {clean(row.label)} ({several(row.tokens, 'token')})" for row in data.examples[:MOST_EXAMPLES]
    ]
    return lines


def plan_warnings(plan: Plan) -> list[str]:
    """The warnings of the plan and of its data, each once."""
    return [f"warning: {clean(text)}" for text in dict.fromkeys((*plan.data.warnings, *plan.warnings))]
