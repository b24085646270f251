"""Fits a linear head on fixed features with LBFGS: the whole data is one batch."""

from __future__ import annotations

import time

import torch
from torch import Tensor, nn

from tunesmith_api.protocol import Failure, Reason
from tunesmith_trainer.engine.state import CurvePoint, TrainState
from tunesmith_trainer.engine.types import Batch, Learner, Objective
from tunesmith_trainer.run import Run

ITERATIONS = 200


def fit_linear(learner: Learner, linear: nn.Linear, batch: Batch, objective: Objective, *, l2: float, run: Run) -> TrainState:
    """Minimise the mean loss plus l2 times the sum of squared weights by LBFGS with a strong-Wolfe line search.

    The problem is convex, so neither seed nor order matter; an interrupted fit starts again.
    """
    began = time.perf_counter()
    curve: list[CurvePoint] = []
    optimizer = torch.optim.LBFGS(
        linear.parameters(), lr=1, max_iter=ITERATIONS, history_size=10, tolerance_grad=1e-6, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        run.leave_if_asked()
        optimizer.zero_grad()
        loss = objective(learner, batch)
        mean = loss.sum / loss.count
        if not torch.isfinite(mean):
            raise Failure(
                Reason.LOSS_DIVERGED,
                f"the loss of the head over all {loss.count} rows is {float(mean.detach())}",
                "the base model gives embeddings that are no numbers: take another model, or precision: fp32",
            )
        total = mean + l2 * linear.weight.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        curve.append(CurvePoint(step=len(curve) + 1, loss=float(mean.detach()), learning_rate=1.0))
        return total

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return TrainState(
        step=len(curve),
        micro_batch=len(batch.rows),
        first_loss=curve[0].loss,
        recent=(curve[-1].loss,),
        curve=tuple(curve),
        tokens=batch.tokens,
        padded_tokens=batch.padded_tokens,
        seconds=time.perf_counter() - began,
    )
