"""From what a job found out to its report."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import torch

from tunesmith_api.protocol import Failure, Reason
from tunesmith_api.tuning import TuningJob
from tunesmith_trainer.engine.memory import peak_bytes
from tunesmith_trainer.engine.state import TrainState
from tunesmith_trainer.evaluation.headline import headline
from tunesmith_trainer.jobs.judging import Verdict
from tunesmith_trainer.jobs.preflight import Ready
from tunesmith_trainer.report import document as doc
from tunesmith_trainer.report.sections import classification_sections, error_reports, slice_reports


def write_report(
    job: TuningJob, ready: Ready, state: TrainState, verdict: Verdict | None, digests: doc.Digests, *, seconds: float, warnings: list[str]
) -> doc.Report:
    """Everything the reports show, as if the job succeeded; see `refused`."""
    metric = job.spec.selection_metric if verdict else None
    return doc.Report(
        outcome=doc.Outcome(
            reason=Reason.SUCCEEDED,
            headline=headline(metric, verdict.metrics, verdict.base_metrics) if verdict and metric else _without_evaluation(state),
            name=job.metadata.name,
            uri=job.spec.output.uri,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            metric=metric,
            gate=job.spec.evaluation.gate,
        ),
        metrics=verdict.metrics if verdict else {},
        base_metrics=verdict.base_metrics if verdict else {},
        plan=ready.plan,
        data=ready.data.report,
        usage=_usage(ready, state, seconds),
        curves=_curves(state),
        worst_errors=error_reports(verdict.worst) if verdict else (),
        slices={column: slice_reports(slices) for column, slices in verdict.slices.items()} if verdict else {},
        warnings=tuple(warnings),
        spec=job.model_dump(mode="json", by_alias=True, exclude_none=True),
        digests=digests,
        **_details(verdict, ready.data.labels),
    )


def refused(report: doc.Report, failure: Failure) -> doc.Report:
    """The same report of a job that ended with a failure after its evaluation."""
    update = {"reason": failure.reason, "message": failure.message, "remedy": failure.remedy}
    return report.model_copy(update={"outcome": report.outcome.model_copy(update=update)})


def _without_evaluation(state: TrainState) -> str:
    return f"trained for {state.step} steps to a loss of {state.recent[-1]:.3g}; no evaluation rows were given"


def _usage(ready: Ready, state: TrainState, seconds: float) -> doc.Usage:
    return doc.Usage(
        seconds=seconds,
        train_seconds=state.seconds,
        tokens=state.tokens,
        tokens_per_second=state.tokens / max(state.seconds, 1e-9),
        peak_memory_bytes=peak_bytes(),
        padding_percent=100 * (1 - state.tokens / max(state.padded_tokens, 1)),
        device=_device_name(ready.task.device),
        attempts=state.attempts,
        memory_retries=state.memory_retries,
    )


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{torch.cpu.get_capabilities().get('cpu_name', 'CPU')}, {torch.get_num_threads()} threads"


def _curves(state: TrainState) -> doc.Curves:
    best = state.best.step if state.best else None
    return doc.Curves(
        loss=tuple((p.step, p.loss) for p in state.curve),
        learning_rate=tuple((p.step, p.learning_rate) for p in state.curve),
        evaluations=tuple(doc.EvaluationPoint(step=e.step, metrics=e.metrics, best=e.step == best) for e in state.evaluations),
    )


def _details(verdict: Verdict | None, labels: tuple[str, ...]) -> dict[str, Any]:
    if verdict is None or verdict.classification is None:
        return {"labels": labels}
    return classification_sections(verdict.classification, labels)
