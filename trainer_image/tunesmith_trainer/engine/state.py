"""Where a training stands: all of it but the tensors, as one JSON value."""

from __future__ import annotations

from tunesmith_api.meta import ApiModel
from tunesmith_trainer.engine.guard import WINDOW

CURVE_POINTS = 1000


class Evaluated(ApiModel):
    """The metrics of one evaluation."""

    step: int
    metrics: dict[str, float]


class CurvePoint(ApiModel):
    """The mean loss of a stretch of steps that ends at `step`."""

    step: int
    loss: float
    learning_rate: float


class TrainState(ApiModel):
    """A frozen value: each step makes the next one."""

    step: int = 0
    """Optimizer steps done."""
    micro_batch: int
    """Rows computed at once; halved when memory runs out."""
    memory_retries: int = 0
    """How often it was."""
    first_loss: float = 0.0
    """Mean loss of the first steps, at most WINDOW of them."""
    recent: tuple[float, ...] = ()
    """Losses of the last WINDOW steps."""
    curve: tuple[CurvePoint, ...] = ()
    stretch: tuple[float, ...] = ()
    """Losses since the last point of the curve."""
    evaluations: tuple[Evaluated, ...] = ()
    best: Evaluated | None = None
    worse_in_a_row: int = 0
    """Evaluations since the best one."""
    stopped_early: bool = False
    tokens: int = 0
    padded_tokens: int = 0
    seconds: float = 0.0
    """Seconds of optimizer steps, over all attempts."""
    attempts: int = 1
    """How often the training was started or resumed."""

    def after_step(self, loss: float, rate: float, *, tokens: int, padded: int, seconds: float, stride: int) -> TrainState:
        """The state after one more step of the given mean loss; every `stride` steps a point is added to the curve."""
        recent = (*self.recent, loss)[-WINDOW:]
        step = self.step + 1
        stretch = (*self.stretch, loss)
        curve = self.curve
        if step % stride == 0:
            curve, stretch = (*curve, CurvePoint(step=step, loss=sum(stretch) / len(stretch), learning_rate=rate)), ()
        return self.model_copy(
            update={
                "step": step,
                "recent": recent,
                "first_loss": sum(recent) / len(recent) if step <= WINDOW else self.first_loss,
                "curve": curve,
                "stretch": stretch,
                "tokens": self.tokens + tokens,
                "padded_tokens": self.padded_tokens + padded,
                "seconds": self.seconds + seconds,
            }
        )

    def after_evaluation(self, evaluated: Evaluated, *, better: bool, patience: int | None) -> TrainState:
        """The state after an evaluation; training ends once `patience` of them in a row were no better."""
        worse = 0 if better else self.worse_in_a_row + 1
        return self.model_copy(
            update={
                "evaluations": (*self.evaluations, evaluated),
                "best": evaluated if better else self.best,
                "worse_in_a_row": worse,
                "stopped_early": patience is not None and worse >= patience,
            }
        )


def curve_stride(total_steps: int) -> int:
    """Steps between two points of the curve, so that it has at most about CURVE_POINTS."""
    return max(1, total_steps // CURVE_POINTS)
