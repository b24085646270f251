"""Where a model's head, its blocks and its backbone are; and folding a target's scale into a head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from tunesmith_api.protocol import Failure, Reason


@dataclass(frozen=True)
class Scaling:
    """How targets are standardised: (target - mean) / std."""

    mean: float
    std: float


def backbone(module: nn.Module) -> nn.Module:
    """The part of a stock model below its head."""
    base = getattr(module, "base_model", module)
    if not isinstance(base, nn.Module) or base is module:
        raise _no_place(module, "no backbone below a head")
    return base


def final_linear(module: nn.Module) -> tuple[str, nn.Linear]:
    """Name and layer of the last linear layer of the head: what gives the logits."""
    below = set(backbone(module).modules())
    outside = [(name, layer) for name, layer in module.named_modules() if isinstance(layer, nn.Linear) and layer not in below]
    giving = [found for found in outside if found[1].out_features == module.config.num_labels]  # type: ignore[union-attr]
    if not giving:
        raise _no_place(module, "no linear layer that gives the logits")
    return giving[-1]


def head_parameter_names(module: nn.Module) -> set[str]:
    """Parameters of the head: all outside of the backbone, and a pooler inside it, because a stock BERT head reads through that."""
    below = {id(p) for name, p in backbone(module).named_parameters() if "pooler" not in name.split(".")}
    return {name for name, p in module.named_parameters() if id(p) not in below}


def above_backbone(module: nn.Module) -> set[str]:
    """Parameters of the head that no pretraining has seen, which want a higher learning rate: those outside of the backbone."""
    below = {id(p) for p in backbone(module).parameters()}
    return {name for name, p in module.named_parameters() if id(p) not in below}


def blocks(module: nn.Module) -> tuple[str, nn.ModuleList]:
    """Name and list of the backbone's transformer blocks: its longest list of modules of one class."""
    below = set(backbone(module).modules())
    lists = [(n, m) for n, m in module.named_modules() if isinstance(m, nn.ModuleList) and m in below and len({type(b) for b in m}) == 1]
    if not lists:
        raise _no_place(module, "no list of like transformer blocks")
    return max(lists, key=lambda found: len(found[1]))


def target_scaling(targets: np.ndarray, has_bias: bool) -> Scaling:
    """Mean and standard deviation of the targets, float64 [rows].

    A head without a bias (decoders' score) can be given a scale but no shift: there the mean is 0 and the scale the root mean square.
    """
    values = np.asarray(targets, dtype=np.float64)
    mean = float(values.mean()) if has_bias else 0.0
    std = float(np.sqrt(np.mean((values - mean) ** 2)))
    return Scaling(mean, std if std > 1e-12 * max(1.0, abs(mean)) else 1.0)


def fold_scale(linear: nn.Linear, scaling: Scaling) -> None:
    """Change a head that gives standardised values into one that gives them in the targets' unit, in place."""
    if linear.bias is None and scaling.mean != 0:
        raise ValueError("a head without a bias cannot be given a mean: ask target_scaling with has_bias=False")
    with torch.no_grad():
        linear.weight.mul_(scaling.std)
        if linear.bias is not None:
            linear.bias.mul_(scaling.std).add_(scaling.mean)


def _no_place(module: nn.Module, what: str) -> Failure:
    return Failure(
        Reason.INVALID_SPEC,
        f"spec.model: {type(module).__name__} has {what}, which this method needs",
        "Choose method full, or a model of a common architecture such as BERT, RoBERTa, DistilBERT, Llama or Qwen.",
    )
