"""Notices a training that has gone wrong while there is still something to save."""

from __future__ import annotations

import math
from collections.abc import Sequence

WINDOW = 20
"""Steps that are averaged."""
RISE = 5.0
"""How far the average may rise above where it began."""
SPIKE = 100.0
"""How far one step may."""


def divergence(first: float, recent: Sequence[float], norm: float) -> str | None:
    """Why training must stop, or None.

    first: the mean loss of the first steps; recent: the losses of the last WINDOW steps, newest last; norm: of the newest gradient.
    """
    newest = recent[-1]
    if not math.isfinite(newest):
        return f"the loss is {newest}"
    if not math.isfinite(norm):
        return f"the norm of the gradient is {norm}"
    if newest > SPIKE * max(first, 1e-3):
        return f"the loss is {newest:.3g}, more than {SPIKE:.0f} times the first ({first:.3g})"
    mean = sum(recent) / len(recent)
    if len(recent) >= WINDOW and mean > RISE * max(first, 1e-3):
        return f"the mean loss of the last {WINDOW} steps is {mean:.3g}, more than {RISE:.0f} times the first ({first:.3g})"
    return None
