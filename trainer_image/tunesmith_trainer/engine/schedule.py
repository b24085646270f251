"""The learning rate as a closed form of the step."""

from __future__ import annotations

import math
from typing import Literal

Shape = Literal["linear", "cosine", "constant"]


def warmup_steps(total: int, fraction: float) -> int:
    """Steps of the warm-up: the fraction of all steps, rounded down."""
    return int(total * fraction)


def factor(step: int, *, total: int, warmup: int, shape: Shape) -> float:
    """What the peak rate is multiplied by at the step, counted from 0.

    Warm-up: (step + 1) / warmup. Then, with q the share of the remaining steps that is done:
    linear 1 - q, cosine (1 + cos(pi q)) / 2 (arXiv 1608.03983, eq. 5 without restarts), constant 1.
    """
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, total - warmup)
    if shape == "linear":
        return 1.0 - done
    if shape == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * done))
    return 1.0
