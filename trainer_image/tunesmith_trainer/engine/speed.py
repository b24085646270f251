"""How fast this machine multiplies, for a rough estimate of time."""

from __future__ import annotations

import time
from functools import cache

import torch

SECONDS = 0.05


@cache
def flops(dtype: torch.dtype, device: torch.device) -> float:
    """Floating-point operations a second of a [1024, 384] by [384, 1536] product, measured for a twentieth of a second."""
    left, right = torch.randn(1024, 384, device=device).to(dtype), torch.randn(384, 1536, device=device).to(dtype)
    left @ right
    began, rounds = time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS:
        left @ right
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        rounds += 1
    return rounds * 2.0 * 1024 * 384 * 1536 / (time.perf_counter() - began)
