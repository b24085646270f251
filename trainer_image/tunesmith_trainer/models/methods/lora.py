"""Low-rank adapters (arXiv 2106.09685), by PEFT."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any

from torch import nn

from tunesmith_api.methods import Lora
from tunesmith_api.protocol import Failure, Reason
from tunesmith_trainer.engine.seeds import seed_torch
from tunesmith_trainer.engine.types import trainable
from tunesmith_trainer.models.files import load_for, write_adapter, write_model
from tunesmith_trainer.models.folder import LocalModel
from tunesmith_trainer.models.heads import above_backbone, final_linear, head_parameter_names
from tunesmith_trainer.models.learner import ModuleLearner, Task

PEFT_PREFIX = "base_model.model."
"""What PEFT puts before the names of the module that it wraps."""


def apply(base: LocalModel, method: Lora, task: Task) -> ModuleLearner:
    """Adapters on the base's linear layers and the head are trained; at step 0 the adapters change nothing."""
    from peft import LoraConfig, get_peft_model

    stock = load_for(base, task)
    head = head_parameter_names(stock)
    owners, fresh = _owners(stock, head), {name.split(".")[0] for name in above_backbone(stock)}
    config = LoraConfig(
        task_type="SEQ_CLS",
        r=method.rank,
        lora_alpha=method.alpha,
        lora_dropout=method.dropout,
        target_modules=_targets(stock, head, method.targets),
        modules_to_save=list(owners),
        use_rslora=method.rs_lora,
        use_dora=method.dora,
    )
    seed_torch("lora", task.seed)
    module: Any = get_peft_model(stock, config, autocast_adapter_dtype=False, low_cpu_mem_usage=task.skeleton)

    def write(folder: Path) -> None:
        if method.merge:
            write_model(module.merge_and_unload(), base, folder / "model")
        else:
            module.peft_config["default"].modules_to_save = owners  # PEFT adds every name that a head may have
            write_adapter(module, base, folder / "adapter")

    trained_head = frozenset(name for name in trainable(module) if name.removeprefix(PEFT_PREFIX).split(".")[0] in fresh)
    return ModuleLearner(module, final=final_linear(stock)[1], head=trained_head, pad_id=task.pad_id, write=write)


def _owners(module: nn.Module, head: set[str]) -> list[str]:
    """The modules that hold the head's parameters: "classifier", "bert.pooler"."""
    prefix = getattr(module, "base_model_prefix", "") + "."
    inside = {name for name in head if name.startswith(prefix)}
    outer = {name.split(".")[0] for name in head - inside}
    inner = {prefix + name.removeprefix(prefix).split(".")[0] for name in inside}
    return sorted(outer | inner)


def _targets(module: nn.Module, head: set[str], wanted: tuple[str, ...]) -> list[str]:
    """Endings of the names of the linear layers to adapt, such as "attention.self.query"; by default all but the head's."""
    linear = [name for name, child in module.named_modules() if isinstance(child, nn.Linear) and f"{name}.weight" not in head]
    endings = sorted({re.sub(r"^.*\.\d+\.", "", name) for name in linear})
    for target in wanted:
        if not any(name == target or name.endswith(f".{target}") for name in linear):
            leaves = {ending.split(".")[-1] for ending in endings}
            near = difflib.get_close_matches(target, [*endings, *leaves], n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise Failure(
                Reason.INVALID_SPEC,
                f"spec.method.lora.targets: the model has no linear layer {target!r}{hint}",
                f"name some of: {', '.join(endings)}; or leave targets out to adapt them all",
            )
    return list(wanted) or endings
