"""Which precision to compute in on the hardware at hand."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch


class Precision(NamedTuple):
    """A dtype to compute in, and why."""

    dtype: torch.dtype
    why: str

    @property
    def name(self) -> str:
        """bf16 or fp32."""
        return "bf16" if self.dtype == torch.bfloat16 else "fp32"


def choose(wish: Literal["auto", "bf16", "fp32"], device: torch.device) -> Precision:
    """The precision that was asked for; for auto, bf16 with fp32 masters where the hardware multiplies bf16 natively."""
    if wish == "fp32":
        return Precision(torch.float32, "asked for")
    if wish == "bf16":
        return Precision(torch.bfloat16, "asked for; master weights are fp32")
    native = _native_bf16(device)
    if native:
        return Precision(torch.bfloat16, f"{native} multiplies bf16 natively; master weights are fp32")
    return Precision(torch.float32, f"this {device.type} does not multiply bf16 natively")


def _native_bf16(device: torch.device) -> str | None:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device) if torch.cuda.is_bf16_supported(including_emulation=False) else None
    features = torch.cpu.get_capabilities()
    return next((name for key, name in _CPU_FEATURES.items() if features.get(key)), None)


_CPU_FEATURES = {"amx_bf16": "this CPU (AMX)", "avx512_bf16": "this CPU (AVX512-BF16)", "bf16": "this CPU"}
