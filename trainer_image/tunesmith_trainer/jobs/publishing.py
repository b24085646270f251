"""From a tuned learner to the artifact in the output."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from tunesmith_api.tuning import TuningJob, TuningSpec
from tunesmith_trainer.artifacts.card import CardFacts, model_card
from tunesmith_trainer.artifacts.layout import ADAPTER, CARD, REPORT_HTML, REPORT_JSON
from tunesmith_trainer.artifacts.manifest import Base, Facts
from tunesmith_trainer.jobs.preflight import Ready
from tunesmith_trainer.report.document import Report


def stage(job: TuningJob, ready: Ready, report: Report, staged: Path) -> Facts:
    """Put the card and the reports next to the model in the staging folder; gives what the manifest says beside its files."""
    (staged / CARD).write_text(model_card(_card(job, ready, report, staged)), encoding="utf-8")
    stage_reports(report, staged)
    return Facts(
        name=job.metadata.name,
        kind=job.kind,
        digest=report.digests.spec,
        base=Base(uri=ready.base.uri, digest=ready.base.digest),
        data_digest=ready.data.digest,
        spec=report.spec["spec"],
        metrics=report.metrics,
        base_metrics=report.base_metrics,
        headline=report.outcome.headline,
        version=version("tunesmith"),
        created=report.outcome.created,
    )


def stage_reports(report: Report, folder: Path) -> None:
    """Write both forms of the report into the folder."""
    from tunesmith_trainer.report.html import render

    folder.mkdir(parents=True, exist_ok=True)
    for name, text in ((REPORT_JSON, report.to_json()), (REPORT_HTML, render(report))):
        (folder / name).write_text(text, encoding="utf-8")


def _card(job: TuningJob, ready: Ready, report: Report, staged: Path) -> CardFacts:
    about, data = ready.plan.model, ready.data.report
    return CardFacts(
        name=job.metadata.name,
        objective=job.spec.objective.choice,
        method=job.spec.method.choice,
        base_uri=about.uri,
        base_digest=about.digest,
        licence=about.licence,
        languages=about.languages,
        library=_library(staged),
        parameters=about.parameters,
        trainable_parameters=ready.plan.trainable_parameters,
        data={file.uri: file.digest for file in (*data.files, *data.evaluation_files)},
        data_digest=data.digest,
        labels=ready.data.labels,
        metrics=report.metrics,
        base_metrics=report.base_metrics,
        headline=report.outcome.headline,
        digest=report.digests.spec,
        version=version("tunesmith"),
        hyperparameters=_settings(job.spec),
        slices={f"{column} = {s.value}": s.metrics for column, slices in report.slices.items() for s in slices},
    )


def _settings(spec: TuningSpec) -> dict[str, object]:
    """What decided the training: a head that is fitted in one go has no epochs and no rates."""
    options: dict[str, object] = spec.method.chosen.model_dump(by_alias=True)
    return options if spec.method.features else options | spec.hyperparameters.model_dump(by_alias=True, exclude_none=True)


def _library(staged: Path) -> str:
    if (staged / ADAPTER).is_dir():
        return "peft"
    return "sentence-transformers" if (staged / "model" / "modules.json").exists() else "transformers"
