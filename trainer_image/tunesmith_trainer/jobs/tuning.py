"""Tune a model: the recipe of a TuningJob, top to bottom."""

from __future__ import annotations

import time

from tunesmith_api.protocol import Failure, Reason, Result, WordEvent
from tunesmith_api.tuning import TuningJob
from tunesmith_trainer.artifacts.layout import CHECKPOINTS, REPORT_HTML
from tunesmith_trainer.artifacts.manifest import Manifest
from tunesmith_trainer.artifacts.publish import leave, publish, published
from tunesmith_trainer.engine.checkpoint import Checkpoints
from tunesmith_trainer.evaluation.gate import require
from tunesmith_trainer.jobs.digests import spec_digest, training_digest
from tunesmith_trainer.jobs.judging import examine
from tunesmith_trainer.jobs.preflight import preflight
from tunesmith_trainer.jobs.publishing import stage, stage_reports
from tunesmith_trainer.jobs.reporting import refused, write_report
from tunesmith_trainer.jobs.subject import load_subject
from tunesmith_trainer.jobs.training import train
from tunesmith_trainer.report.document import Digests
from tunesmith_trainer.run import Run
from tunesmith_trainer.storage.ownership import claim


def tune(job: TuningJob, run: Run) -> WordEvent:
    """Tune a model as the spec says, from the newest checkpoint if an earlier attempt left one, and publish it.

    Raises Failure with each of the typed reasons; what was finished by then is kept.
    """
    began, spec = time.monotonic(), job.spec
    ready = preflight(spec, run)
    base, data = ready.base.digest, ready.data.digest
    digests = Digests(spec=spec_digest(spec, base=base, data=data), data=data, base=base)
    output = run.stores.folder(spec.output.uri)
    if artifact := published(output, digests.spec, overwrite=spec.output.overwrite):
        return _word(Reason.REUSED, output.uri, artifact)
    with claim(output, run.owner) as held:
        run.phase("Starting", "loading the model")
        subject = load_subject(ready, spec.method)
        saved = Checkpoints(output.child(CHECKPOINTS), run.work, check=held.check)
        state = train(spec, subject, saved.of(training_digest(spec, base=base, data=data, precision=ready.plan.precision)), run)

        run.phase("Evaluating")
        verdict = examine(subject, spec.evaluation.slices)
        report = write_report(job, ready, state, verdict, digests, seconds=time.monotonic() - began, warnings=run.notes)
        try:
            require(spec.evaluation.gate, report.metrics)
        except Failure as failure:
            stage_reports(refused(report, failure), run.work / "refused")
            place = leave(output, run.work / "refused", held)
            return _refusal(failure, place.uri)

        run.phase("Publishing", output.uri)
        subject.settle()
        subject.learner.write(run.work / "artifact")
        facts = stage(job, ready, report, run.work / "artifact")
        artifact = publish(output, run.work / "artifact", facts, held, overwrite=spec.output.overwrite)
        if not spec.checkpoints.keep:
            saved.remove_all()
    return _word(Reason.SUCCEEDED, output.uri, artifact)


def _refusal(failure: Failure, place: str) -> WordEvent:
    return WordEvent(reason=failure.reason, message=failure.message, remedy=failure.remedy, report_uri=f"{place}/{REPORT_HTML}")


def _word(reason: Reason, uri: str, artifact: Manifest) -> WordEvent:
    result = Result(
        uri=uri,
        digest=artifact.digest,
        size_bytes=artifact.size_bytes,
        metrics=artifact.metrics,
        base_metrics=artifact.base_metrics,
        report_uri=f"{uri}/{REPORT_HTML}",
        headline=artifact.headline,
    )
    return WordEvent(reason=reason, message=artifact.headline, result=result)
