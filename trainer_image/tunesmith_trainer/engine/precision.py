"""Which precision to compute in on the hardware at hand."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch

from tunesmith_trainer.engine.speed import flops

GAIN = 1.3
"""How much faster bf16 must multiply than fp32 to be worth its rounding."""


class Precision(NamedTuple):
    """A dtype to compute in, and why."""

    dtype: torch.dtype
    why: str

    @property
    def name(self) -> str:
        """bf16 or fp32."""
        return "bf16" if self.dtype == torch.bfloat16 else "fp32"


def choose(wish: Literal["auto", "bf16", "fp32"], device: torch.device) -> Precision:
    """The precision that was asked for; for auto, bf16 with fp32 master weights where the hardware gains from it.

    A GPU says so itself. Of CPUs that know bf16 some multiply it several times as fast as fp32 (AMX) and some at half the speed
    (AVX512-BF16 alone), so a CPU is measured.
    """
    if wish == "fp32":
        return Precision(torch.float32, "asked for")
    if wish == "bf16":
        return Precision(torch.bfloat16, "asked for; master weights are fp32")
    if device.type == "cuda":
        return _gpu(device)
    ratio = flops(torch.bfloat16, device) / flops(torch.float32, device)
    measured = f"this CPU multiplies bf16 {ratio:.1f} times as fast as fp32 (measured)"
    if ratio < GAIN:
        return Precision(torch.float32, measured)
    return Precision(torch.bfloat16, f"{measured}; master weights are fp32")


def _gpu(device: torch.device) -> Precision:
    name = torch.cuda.get_device_name(device)
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return Precision(torch.bfloat16, f"{name} multiplies bf16 natively; master weights are fp32")
    return Precision(torch.float32, f"{name} does not multiply bf16 natively")
