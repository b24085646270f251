"""The training loop: steps, evaluations, checkpoints, and what to do when one of them goes wrong."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from tunesmith_api.protocol import CheckpointEvent, EvaluationEvent, Failure, ProgressEvent, Reason
from tunesmith_api.tuning import Hyperparameters
from tunesmith_trainer.engine.checkpoint import Checkpoints, restore, snapshot
from tunesmith_trainer.engine.feed import Feed
from tunesmith_trainer.engine.guard import divergence
from tunesmith_trainer.engine.memory import is_out_of_memory, release
from tunesmith_trainer.engine.optimizer import MasterAdamW
from tunesmith_trainer.engine.schedule import factor, warmup_steps
from tunesmith_trainer.engine.seeds import seed_torch
from tunesmith_trainer.engine.state import Evaluated, TrainState, curve_stride
from tunesmith_trainer.engine.types import Learner, Objective, trainable
from tunesmith_trainer.run import Run


@dataclass(frozen=True)
class Judge:
    """How evaluations decide."""

    evaluate: Callable[[], dict[str, float]]
    """Measures the learner as it is now."""
    metric: str
    """The metric that picks the best."""
    smaller_is_better: bool
    every_steps: int
    patience: int | None
    """Evaluations in a row without improvement before training ends."""

    def better(self, new: Evaluated, best: Evaluated | None) -> bool:
        """Whether the new evaluation is the best so far."""
        if best is None:
            return True
        gain = new.metrics[self.metric] - best.metrics[self.metric]
        return gain < 0 if self.smaller_is_better else gain > 0


@dataclass(frozen=True)
class Course:
    """Everything that determines a training besides the learner."""

    objective: Objective
    feed: Feed
    hyperparameters: Hyperparameters
    learning_rate: float
    head_learning_rate: float
    digest: str
    """Digest of the data: part of every seed."""
    judge: Judge | None
    checkpoint_every: int
    describe_rows: Callable[[int], str]
    """Names the rows of a step for a message."""

    def rate(self, learner: Learner) -> Callable[[str], float]:
        """The peak learning rate of a parameter, by its name."""
        return lambda name: self.head_learning_rate if learner.is_head(name) else self.learning_rate

    def factor(self, step: int) -> float:
        """The factor on the peak rates at the step."""
        hp, total = self.hyperparameters, self.feed.total_steps
        return factor(step, total=total, warmup=warmup_steps(total, hp.warmup_fraction), shape=hp.schedule)


def fit(learner: Learner, course: Course, checkpoints: Checkpoints, run: Run) -> TrainState:
    """Train from the newest checkpoint, if there is one, to the end; the learner is left holding its best parameters.

    A step's rows and its dropout depend on (data digest, seed, step) alone, so a resumed training equals an uninterrupted one bit
    for bit. The loss of a step is the sum over its rows divided by their count, whatever the size of the micro-batches.

    Raises Failure: Preempted after a signal (the state is saved), LossDiverged, OutOfMemory, OutputInUse, or storage's.
    """
    parameters = trainable(learner.module)
    optimizer = MasterAdamW(parameters, rate=course.rate(learner), weight_decay=course.hyperparameters.weight_decay)
    state = _start(optimizer, course, checkpoints, run)
    try:
        while state.step < course.feed.total_steps and not state.stopped_early:
            state = _advance(learner, optimizer, course, checkpoints, run, state)
            if run.stop.is_set():
                _save_and_leave(optimizer, checkpoints, run, state)
        checkpoints.save(state, optimizer.state())
    finally:
        checkpoints.wait()
    if state.best is not None and state.best.step != state.step:
        restore(parameters, checkpoints.best(state.best.step))
    return state


def _start(optimizer: MasterAdamW, course: Course, checkpoints: Checkpoints, run: Run) -> TrainState:
    hp = course.hyperparameters
    saved = checkpoints.newest()
    if saved is None:
        return TrainState(micro_batch=min(hp.micro_batch_size or hp.batch_size, hp.batch_size))
    state, tensors = saved
    optimizer.load(tensors, step=state.step)
    run.note(f"resuming at step {state.step} of {course.feed.total_steps} from {checkpoints.uri}")
    return state.model_copy(update={"attempts": state.attempts + 1})


def _advance(
    learner: Learner, optimizer: MasterAdamW, course: Course, checkpoints: Checkpoints, run: Run, state: TrainState
) -> TrainState:
    """One optimizer step, and the evaluation and the checkpoint that are due after it."""
    state = _step(learner, optimizer, course, run, state)
    last = state.step == course.feed.total_steps
    judge = course.judge
    if judge and (state.step % judge.every_steps == 0 or last):
        state = _evaluate(learner, judge, checkpoints, run, state)
    if state.step % course.checkpoint_every == 0 and not last:
        checkpoints.save(state, optimizer.state())
        run.emit(CheckpointEvent(step=state.step, uri=checkpoints.uri))
    return state


def _step(learner: Learner, optimizer: MasterAdamW, course: Course, run: Run, state: TrainState) -> TrainState:
    """One optimizer step; when memory runs out it is done again with half the micro-batch and the same rows."""
    began = time.perf_counter()
    while True:
        try:
            loss, tokens, padded = _gradients(learner, course, state.step, state.micro_batch)
            break
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            state = _smaller(state, course, run)
        optimizer.forget_gradients()
        release()
    scale = course.factor(state.step)
    norm = optimizer.step(factor=scale, max_norm=course.hyperparameters.max_gradient_norm)
    rate = scale * course.learning_rate
    seconds = time.perf_counter() - began
    step = state.step
    state = state.after_step(
        loss, rate, tokens=tokens, padded=padded, seconds=seconds, stride=curve_stride(course.feed.total_steps)
    )
    if wrong := divergence(state.first_loss, state.recent, norm):
        raise Failure(
            Reason.LOSS_DIVERGED,
            f"step {step + 1} of {course.feed.total_steps}: {wrong}; its rows: {course.describe_rows(step)}",
            "lower hyperparameters.learningRate (a third is a good next try), lengthen warmupFraction, or look at those rows",
        )
    run.emit(_progress(course, state, loss, rate))
    return state


def _gradients(learner: Learner, course: Course, step: int, micro_batch: int) -> tuple[float, int, int]:
    """Add up the gradients of the step's rows; returns the mean loss, the tokens and the tokens with padding."""
    learner.module.train()
    seed_torch(course.digest, course.hyperparameters.seed, step)
    count = len(course.feed.rows(step))
    total, tokens, padded = 0.0, 0, 0
    for batch in course.feed.micro_batches(step, micro_batch):
        loss = course.objective(learner, batch)
        (loss.sum / count).backward()
        total += float(loss.sum.detach())
        tokens += batch.tokens
        padded += batch.padded_tokens
    return total / count, tokens, padded


def _smaller(state: TrainState, course: Course, run: Run) -> TrainState:
    if state.micro_batch == 1:
        raise Failure(
            Reason.OUT_OF_MEMORY,
            f"step {state.step + 1}: memory ran out with a micro-batch of one row",
            "lower hyperparameters.maxLength, set activationCheckpointing: true, take a smaller method (lora), or more memory",
        )
    half = (state.micro_batch + 1) // 2
    run.warn(f"memory ran out at step {state.step + 1}: going on with micro-batches of {half} rows, the same global batch")
    return state.model_copy(update={"micro_batch": half, "memory_retries": state.memory_retries + 1})


def _evaluate(learner: Learner, judge: Judge, checkpoints: Checkpoints, run: Run, state: TrainState) -> TrainState:
    evaluated = Evaluated(step=state.step, metrics=judge.evaluate())
    better = judge.better(evaluated, state.best)
    if better:
        checkpoints.save_best(state.step, snapshot(trainable(learner.module)))
    run.emit(EvaluationEvent(step=state.step, metrics=evaluated.metrics, best=better))
    return state.after_evaluation(evaluated, better=better, patience=judge.patience)


def _save_and_leave(optimizer: MasterAdamW, checkpoints: Checkpoints, run: Run, state: TrainState) -> None:
    checkpoints.save(state, optimizer.state())
    checkpoints.wait()
    run.emit(CheckpointEvent(step=state.step, uri=checkpoints.uri))
    raise Failure(
        Reason.PREEMPTED,
        f"stopped by a signal after step {state.step}; saved in {checkpoints.uri}",
        "run the same command again: it goes on from that step",
    )


def _progress(course: Course, state: TrainState, loss: float, rate: float) -> ProgressEvent:
    total = course.feed.total_steps
    per_step = state.seconds / state.step
    return ProgressEvent(
        phase="Training",
        step=state.step,
        total_steps=total,
        percent=100 * state.step / total,
        loss=loss,
        learning_rate=rate,
        tokens_per_second=state.tokens / max(state.seconds, 1e-9),
        eta_seconds=per_step * (total - state.step),
        updated_at=time.time(),
    )
