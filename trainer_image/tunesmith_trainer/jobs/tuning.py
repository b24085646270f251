"""Tune a model: the recipe of a TuningJob, top to bottom."""

from __future__ import annotations

import time

import numpy as np

from tunesmith_api.protocol import Failure, Reason, Result, WordEvent
from tunesmith_api.tuning import TuningJob, TuningSpec
from tunesmith_trainer.artifacts.manifest import Manifest
from tunesmith_trainer.artifacts.publish import leave, publish, published
from tunesmith_trainer.data.batches import epoch_batches
from tunesmith_trainer.data.rows import Rows
from tunesmith_trainer.engine.checkpoint import Checkpoints
from tunesmith_trainer.engine.feed import Feed
from tunesmith_trainer.engine.linear import fit_linear
from tunesmith_trainer.engine.loop import Course, fit
from tunesmith_trainer.engine.state import TrainState
from tunesmith_trainer.engine.types import Objective
from tunesmith_trainer.evaluation.gate import require
from tunesmith_trainer.jobs.digests import spec_digest, training_digest
from tunesmith_trainer.jobs.judging import Examiner, judge
from tunesmith_trainer.jobs.preflight import Ready, preflight
from tunesmith_trainer.jobs.publishing import stage, stage_reports
from tunesmith_trainer.jobs.reporting import refused, write_report
from tunesmith_trainer.models.heads import Scaling, fold_scale, target_scaling
from tunesmith_trainer.models.learner import ModuleLearner, assemble
from tunesmith_trainer.models.methods import apply
from tunesmith_trainer.models.methods.features import FeatureLearner
from tunesmith_trainer.objectives.supervised import classification, regression
from tunesmith_trainer.report.document import Digests
from tunesmith_trainer.run import Run
from tunesmith_trainer.storage.ownership import claim

SHOWN_ROWS = 3
"""Rows that a message about a step names."""


def tune(job: TuningJob, run: Run) -> WordEvent:
    """Tune a model as the spec says, from the newest checkpoint if an earlier attempt left one, and publish it."""
    began = time.monotonic()
    spec = job.spec
    ready = preflight(spec, run)
    digests = Digests(
        spec=spec_digest(spec, base=ready.base.digest, data=ready.data.digest), data=ready.data.digest, base=ready.base.digest
    )
    output = run.stores.folder(spec.output.uri)
    if artifact := published(output, digests.spec, overwrite=spec.output.overwrite):
        return _word(Reason.REUSED, spec, artifact)
    with claim(output, run.owner) as held:
        run.phase("Starting", "loading the model")
        learner = apply(ready.base, spec.method, ready.task)
        scaling = _scaling(ready, learner)
        training = training_digest(spec, base=ready.base.digest, data=ready.data.digest)
        saved = output.child("checkpoints")
        checkpoints = Checkpoints(saved.child(training.removeprefix("sha256:")[:16]), run.work, check=held.check)
        examiner = _examiner(ready, learner, scaling)
        state = _train(spec, ready, learner, scaling, examiner, checkpoints, run)

        run.phase("Evaluating")
        verdict = examiner.verdict(spec.evaluation.slices) if examiner else None
        report = write_report(job, ready, state, verdict, digests, seconds=time.monotonic() - began, warnings=run.notes)
        try:
            require(spec.evaluation.gate, report.metrics)
        except Failure as failure:
            leave(output, stage_reports(refused(report, failure), run.work / "refused"), held)
            raise

        run.phase("Publishing", spec.output.uri)
        if not ready.data.labels:
            fold_scale(learner.final, scaling)
        staged = run.work / "artifact"
        learner.write(staged)
        artifact = publish(output, staged, stage(job, ready, report, staged), held, overwrite=spec.output.overwrite)
        if not spec.checkpoints.keep:
            Checkpoints(saved, run.work, check=held.check).remove_all()
    return _word(Reason.SUCCEEDED, spec, artifact)


def _train(
    spec: TuningSpec,
    ready: Ready,
    learner: ModuleLearner,
    scaling: Scaling,
    examiner: Examiner | None,
    checkpoints: Checkpoints,
    run: Run,
) -> TrainState:
    """Fit the learner; it is left holding its best parameters."""
    rows, hp = ready.data.train, spec.hyperparameters
    targets = _targets(ready, scaling)
    run.phase("Starting", "computing what stays the same")
    for split in filter(None, (rows, ready.data.evaluation)):
        learner.cache(split, run)
    run.phase("Training")
    if isinstance(learner, FeatureLearner):
        batch = assemble(learner, rows, targets, np.arange(len(rows)))
        return fit_linear(learner, learner.final, batch, _objective(spec), l2=learner.l2, run=run)
    feed = Feed(
        lambda epoch: epoch_batches(rows.lengths, batch_size=hp.batch_size, digest=rows.digest, seed=hp.seed, epoch=epoch),
        lambda indices: assemble(learner, rows, targets, indices),
        epochs=hp.epochs,
    )
    course = Course(
        objective=_objective(spec),
        feed=feed,
        hyperparameters=hp,
        learning_rate=spec.learning_rate,
        head_learning_rate=spec.head_learning_rate,
        digest=rows.digest,
        judge=judge(spec, examiner, steps_per_epoch=feed.steps_per_epoch) if examiner else None,
        checkpoint_every=spec.checkpoints.every_steps,
        describe_rows=lambda step: _sources(rows, feed.rows(step)),
    )
    return fit(learner, course, checkpoints, run)


def _objective(spec: TuningSpec) -> Objective:
    return classification(spec.hyperparameters.label_smoothing) if spec.objective.classification else regression()


def _scaling(ready: Ready, learner: ModuleLearner) -> Scaling:
    """How the targets are standardised; labels are not."""
    if ready.data.labels:
        return Scaling(mean=0.0, std=1.0)
    return target_scaling(ready.data.train.targets, has_bias=learner.final.bias is not None)


def _targets(ready: Ready, scaling: Scaling) -> np.ndarray:
    """What the loss is computed against: label ids, or standardised numbers."""
    targets = ready.data.train.targets
    return targets if ready.data.labels else ((targets - scaling.mean) / scaling.std).astype(np.float32)


def _examiner(ready: Ready, learner: ModuleLearner, scaling: Scaling) -> Examiner | None:
    rows = ready.data.evaluation
    return Examiner(learner, ready.data, rows, scaling) if rows is not None else None


def _sources(rows: Rows, indices: np.ndarray) -> str:
    named = ", ".join("{}:{}".format(*rows.source(int(i))) for i in indices[:SHOWN_ROWS])
    more = len(indices) - SHOWN_ROWS
    return f"{named} and {more} more" if more > 0 else named


def _word(reason: Reason, spec: TuningSpec, artifact: Manifest) -> WordEvent:
    uri = spec.output.uri.rstrip("/")
    result = Result(
        uri=uri,
        digest=artifact.digest,
        size_bytes=artifact.size_bytes,
        metrics=artifact.metrics,
        base_metrics=artifact.base_metrics,
        report_uri=f"{uri}/report.html",
        headline=artifact.headline,
    )
    return WordEvent(reason=reason, message=artifact.headline, result=result)
