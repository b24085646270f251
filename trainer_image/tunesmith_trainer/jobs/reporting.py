"""From what a job found out to its report."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

import torch

from tunesmith_api.protocol import Failure, Reason
from tunesmith_api.tuning import TuningJob
from tunesmith_trainer.engine.memory import peak_bytes
from tunesmith_trainer.engine.state import TrainState
from tunesmith_trainer.evaluation.headline import headline
from tunesmith_trainer.evaluation.metrics import ClassificationScores
from tunesmith_trainer.jobs.judging import Verdict
from tunesmith_trainer.jobs.preflight import Ready
from tunesmith_trainer.report import document as doc

CONFUSED_PAIRS = 20
CONFUSION_LABELS = 256
"""Beyond this many labels the report holds the most confused pairs alone."""


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
        labels=ready.data.labels,
        plan=ready.plan,
        data=ready.data.report,
        usage=_usage(ready, state, seconds),
        curves=_curves(state),
        worst_errors=tuple(doc.ErrorReport(**{k: v for k, v in asdict(w).items() if k != "row"}) for w in verdict.worst) if verdict else (),
        slices=_slices(verdict),
        warnings=tuple(warnings),
        spec=job.model_dump(mode="json", by_alias=True, exclude_none=True),
        digests=digests,
        **(_details(verdict.classification, ready.data.labels) if verdict and verdict.classification else {}),
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


def _slices(verdict: Verdict | None) -> dict[str, tuple[doc.SliceReport, ...]]:
    if verdict is None:
        return {}
    return {
        column: tuple(
            doc.SliceReport(value=s.value, rows=s.rows, metrics=s.scalars, small=s.small, folded=s.folded) for s in slices
        )
        for column, slices in verdict.slices.items()
    }


def _details(scores: ClassificationScores, labels: tuple[str, ...]) -> dict[str, object]:
    return {
        "per_class": tuple(doc.ClassReport(label=label, **asdict(s)) for label, s in zip(labels, scores.per_class, strict=True)),
        "confusion": tuple(map(tuple, scores.confusion.tolist())) if len(labels) <= CONFUSION_LABELS else (),
        "confused_pairs": tuple(
            doc.ConfusedPair(truth=labels[t], predicted=labels[p], rows=rows) for t, p, rows in scores.confused_pairs(CONFUSED_PAIRS)
        ),
        "calibration": tuple(doc.BinReport(**asdict(b)) for b in scores.bins),
    }
