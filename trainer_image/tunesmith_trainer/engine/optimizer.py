"""AdamW over fp32 master weights, whatever precision the model computes in."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn


class MasterAdamW:
    """AdamW (arXiv 1711.05101) that updates fp32 masters and copies them into the lower-precision parameters.

    A parameter that is fp32 is its own master. Norms and biases (fewer than two dimensions) have no weight decay.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], *, rate: Callable[[str], float], weight_decay: float) -> None:
        self._parameters = dict(parameters)
        self._masters = {n: p.data if p.dtype == torch.float32 else p.data.float() for n, p in parameters.items()}
        low = [n for n, p in parameters.items() if p.dtype != torch.float32]
        self._low: list[Tensor] = [parameters[n] for n in low]
        self._low_masters = [self._masters[n] for n in low]
        groups: dict[tuple[float, float], list[Tensor]] = {}
        for name, master in self._masters.items():
            groups.setdefault((rate(name), weight_decay if master.ndim > 1 else 0.0), []).append(master)
        self._adamw = torch.optim.AdamW(
            [{"params": ps, "lr": lr, "peak": lr, "weight_decay": decay} for (lr, decay), ps in groups.items()], fused=True
        )

    def step(self, *, factor: float, max_norm: float) -> float:
        """Clip the gradients to max_norm, take one step at factor times the peak rates; returns the norm before clipping."""
        masters = list(self._masters.values())
        for name, parameter in self._parameters.items():
            self._masters[name].grad = None if parameter.grad is None else parameter.grad.float()
        norm = float(nn.utils.clip_grad_norm_(masters, max_norm, foreach=True))
        for group in self._adamw.param_groups:
            group["lr"] = group["peak"] * factor
        self._adamw.step()
        self.forget_gradients()
        self._copy_down()
        return norm

    def forget_gradients(self) -> None:
        """Drop every gradient."""
        for name, parameter in self._parameters.items():
            parameter.grad = None
            self._masters[name].grad = None

    def state(self) -> dict[str, Tensor]:
        """Copies of masters and moments, named kind/parameter; the count of steps is the caller's to keep."""
        tensors = {f"master/{n}": m.detach().clone() for n, m in self._masters.items()}
        for name, master in self._masters.items():
            moments = self._adamw.state.get(master, {})
            tensors |= {f"{kind}/{name}": moments[kind].clone() for kind in ("exp_avg", "exp_avg_sq") if kind in moments}
        return tensors

    def load(self, tensors: Mapping[str, Tensor], *, step: int) -> None:
        """Go on from a saved state of the given count of steps."""
        with torch.no_grad():
            for name, master in self._masters.items():
                master.copy_(tensors[f"master/{name}"])
                if step:
                    self._adamw.state[master] = {
                        "step": torch.tensor(float(step), device=master.device),
                        "exp_avg": tensors[f"exp_avg/{name}"].to(master.device).clone(),
                        "exp_avg_sq": tensors[f"exp_avg_sq/{name}"].to(master.device).clone(),
                    }
        self._copy_down()

    def _copy_down(self) -> None:
        if self._low:
            with torch.no_grad():
                torch._foreach_copy_(self._low, self._low_masters)
