"""The training loop: steps, evaluations, checkpoints, and what to do when one of them goes wrong."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from tunesmith_api.protocol import CheckpointEvent, EvaluationEvent, Failure, ProgressEvent, Reason
from tunesmith_api.tuning import Hyperparameters
from tunesmith_trainer.engine.checkpoint import Checkpoints, restore, snapshot
from tunesmith_trainer.engine.feed import Feed
from tunesmith_trainer.engine.guard import WINDOW, divergence
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
    training = _Training(learner, optimizer, course, checkpoints, run)
    state = training.start()
    try:
        while state.step < course.feed.total_steps and not state.stopped_early:
            state = training.advance(state)
            if run.stop.is_set():
                training.save_and_leave(state)
        checkpoints.save(state, optimizer.state())
    finally:
        checkpoints.wait()
    if state.best is not None and state.best.step != state.step:
        restore(parameters, checkpoints.best(state.best.step))
    return state


@dataclass(frozen=True)
class _Training:
    """One training; what changes is the state that each step takes and gives, and the parameters."""

    learner: Learner
    optimizer: MasterAdamW
    course: Course
    checkpoints: Checkpoints
    run: Run

    def start(self) -> TrainState:
        """The newest saved state, or the first one."""
        hp = self.course.hyperparameters
        saved = self.checkpoints.newest()
        if saved is None:
            return TrainState(micro_batch=min(hp.micro_batch_size or hp.batch_size, hp.batch_size))
        state, tensors = saved
        self.optimizer.load(tensors, step=state.step)
        self.run.note(f"resuming at step {state.step} of {self.course.feed.total_steps} from {self.checkpoints.uri}")
        return state.model_copy(update={"attempts": state.attempts + 1})

    def advance(self, state: TrainState) -> TrainState:
        """One optimizer step, and the evaluation and the checkpoint that are due after it."""
        state = self._step(state)
        last = state.step == self.course.feed.total_steps
        judge = self.course.judge
        if judge and (state.step % judge.every_steps == 0 or last):
            state = self._evaluate(judge, state)
        if state.step % self.course.checkpoint_every == 0 and not last:
            self._save(state)
        return state

    def save_and_leave(self, state: TrainState) -> None:
        """Save the state and end with Failure(Preempted)."""
        self._save(state)
        self.checkpoints.wait()
        raise Failure(
            Reason.PREEMPTED,
            f"stopped by a signal after step {state.step}; saved in {self.checkpoints.uri}",
            "run the same command again: it goes on from that step",
        )

    def _save(self, state: TrainState) -> None:
        complete = CheckpointEvent(step=state.step, uri=self.checkpoints.uri)
        self.checkpoints.save(state, self.optimizer.state(), told=lambda: self.run.emit(complete))

    def _step(self, state: TrainState) -> TrainState:
        """One optimizer step; when memory runs out it is done again with half the micro-batch and the same rows."""
        began = time.perf_counter()
        while True:
            try:
                loss, tokens, padded = accumulate(self.learner, self.course, state.step, state.micro_batch)
                break
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                state = self._smaller(state)
            self.optimizer.forget_gradients()
            release()
        course, scale = self.course, self.course.factor(state.step)
        norm = self.optimizer.step(factor=scale, max_norm=course.hyperparameters.max_gradient_norm)
        rate, stride = scale * course.learning_rate, curve_stride(course.feed.total_steps)
        seconds = time.perf_counter() - began
        if wrong := divergence(state.first_loss or loss, (*state.recent, loss)[-WINDOW:], norm):
            raise Failure(
                Reason.LOSS_DIVERGED,
                f"step {state.step + 1} of {course.feed.total_steps}: {wrong}; its rows: {course.describe_rows(state.step)}",
                "lower hyperparameters.learningRate (a third is a good next try), lengthen warmupFraction, or look at those rows",
            )
        after = state.after_step(loss, rate, tokens=tokens, padded=padded, seconds=seconds, stride=stride)
        self.run.emit(_progress(course, after, loss, rate))
        return after

    def _smaller(self, state: TrainState) -> TrainState:
        if state.micro_batch == 1:
            raise Failure(
                Reason.OUT_OF_MEMORY,
                f"step {state.step + 1}: memory ran out with a micro-batch of one row",
                "lower hyperparameters.maxLength, set activationCheckpointing: true, take a smaller method (lora), or more memory",
            )
        half = (min(state.micro_batch, len(self.course.feed.rows(state.step))) + 1) // 2
        self.run.warn(f"memory ran out at step {state.step + 1}: going on with micro-batches of {half} rows, the same global batch")
        return state.model_copy(update={"micro_batch": half, "memory_retries": state.memory_retries + 1})

    def _evaluate(self, judge: Judge, state: TrainState) -> TrainState:
        evaluated = Evaluated(step=state.step, metrics=judge.evaluate())
        better = judge.better(evaluated, state.best)
        if better:
            self.checkpoints.save_best(state.step, snapshot(trainable(self.learner.module)))
        self.run.emit(EvaluationEvent(step=state.step, metrics=evaluated.metrics, best=better))
        return state.after_evaluation(evaluated, better=better, patience=judge.patience)


def accumulate(learner: Learner, course: Course, step: int, micro_batch: int) -> tuple[float, int, int]:
    """Add up the gradients of the step's rows, of the mean loss over all of them; returns it, the tokens and the tokens with padding.

    The size of the micro-batches changes nothing but the order of additions.
    """
    learner.module.train()
    seed_torch(course.digest, course.hyperparameters.seed, step)
    count = len(course.feed.rows(step))
    total, tokens, padded = 0.0, 0, 0
    for batch in course.feed.micro_batches(step, micro_batch):
        loss = course.objective(learner, batch)
        (loss.sum / count).backward()  # type: ignore[no-untyped-call]
        total += float(loss.sum.detach())
        tokens += batch.tokens
        padded += batch.padded_tokens
    return total / count, tokens, padded


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
