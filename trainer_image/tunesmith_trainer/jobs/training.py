"""From a spec to a training: which loss, which batches, which judge; then fit."""

from __future__ import annotations

import numpy as np

from tunesmith_api.tuning import TuningSpec
from tunesmith_trainer.data.batches import epoch_batches
from tunesmith_trainer.data.rows import Rows
from tunesmith_trainer.engine.checkpoint import Checkpoints
from tunesmith_trainer.engine.feed import Feed
from tunesmith_trainer.engine.linear import fit_linear
from tunesmith_trainer.engine.loop import Course, fit
from tunesmith_trainer.engine.state import TrainState
from tunesmith_trainer.engine.types import Objective
from tunesmith_trainer.jobs.judging import judge
from tunesmith_trainer.jobs.subject import Subject
from tunesmith_trainer.models.learner import assemble
from tunesmith_trainer.objectives.supervised import classification, regression
from tunesmith_trainer.run import Run

SHOWN_ROWS = 3
"""Rows that a message about a step names."""


def train(spec: TuningSpec, subject: Subject, checkpoints: Checkpoints, run: Run) -> TrainState:
    """Fit the subject's learner; it is left holding its best parameters."""
    run.phase("Starting", "computing what training does not change")
    for rows in filter(None, (subject.data.train, subject.data.evaluation)):
        subject.learner.cache(rows, run)
    run.phase("Training")
    if spec.method.features is not None:
        return _fit_head(spec, subject, l2=spec.method.features.l2, run=run)
    return fit(subject.learner, course(spec, subject), checkpoints, run)


def course(spec: TuningSpec, subject: Subject) -> Course:
    """The training that the spec describes."""
    rows, hp = subject.data.train, spec.hyperparameters
    targets = subject.targets
    feed = Feed(
        lambda epoch: epoch_batches(rows.lengths, batch_size=hp.batch_size, digest=rows.digest, seed=hp.seed, epoch=epoch),
        lambda indices: assemble(subject.learner, rows, targets, indices),
        epochs=hp.epochs,
    )
    return Course(
        objective=objective(spec),
        feed=feed,
        hyperparameters=hp,
        learning_rate=spec.learning_rate,
        head_learning_rate=spec.head_learning_rate,
        digest=rows.digest,
        judge=judge(spec, subject, steps_per_epoch=feed.steps_per_epoch),
        checkpoint_every=spec.checkpoints.every_steps,
        describe_rows=lambda step: _sources(rows, feed.rows(step)),
    )


def objective(spec: TuningSpec) -> Objective:
    """The loss that the spec asks for."""
    return classification(spec.hyperparameters.label_smoothing) if spec.objective.classification else regression()


def _fit_head(spec: TuningSpec, subject: Subject, *, l2: float, run: Run) -> TrainState:
    batch = assemble(subject.learner, subject.data.train, subject.targets, np.arange(len(subject.data.train)))
    return fit_linear(subject.learner, subject.learner.final, batch, objective(spec), l2=l2, run=run)


def _sources(rows: Rows, indices: np.ndarray) -> str:
    named = ", ".join("{}:{}".format(*rows.source(int(i))) for i in indices[:SHOWN_ROWS])
    more = len(indices) - SHOWN_ROWS
    return f"{named} and {more} more" if more > 0 else named
