"""The plan: steps, memory and time of a training, from shapes alone."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from torch import nn

from tunesmith_api.plan import ModelFacts, Plan
from tunesmith_api.tuning import TuningSpec
from tunesmith_trainer.data.prepare import PreparedData
from tunesmith_trainer.engine.memory import available, estimate
from tunesmith_trainer.engine.precision import Precision
from tunesmith_trainer.engine.speed import flops
from tunesmith_trainer.engine.types import trainable
from tunesmith_trainer.models.folder import LocalModel
from tunesmith_trainer.models.learner import Task
from tunesmith_trainer.models.methods import apply
from tunesmith_trainer.models.predict import ROWS

EFFICIENCY = 0.4
"""Share of a matrix product's speed that a whole step reaches; measured on short rows."""


def draw_plan(spec: TuningSpec, base: LocalModel, *, about: ModelFacts, data: PreparedData, task: Task, precision: Precision) -> Plan:
    """What will happen, computed from a model without its weights; a method that fits its head on all rows at once takes one step."""
    hp, rows = spec.hyperparameters, data.train
    learner = apply(base, spec.method, replace(task, skeleton=True))
    module, whole = learner.module, spec.method.features is not None
    trained = sum(p.numel() for p in (learner.final.parameters() if whole else trainable(module).values()))
    batch = len(rows) if whole else hp.batch_size
    micro_batch = min(ROWS if whole else hp.micro_batch_size or batch, batch, len(rows))
    width, depth = _shape(module)
    epochs, per_epoch = (1, 1) if whole else (hp.epochs, math.ceil(len(rows) / batch))
    tokens = rows.token_count
    memory = estimate(
        parameters=sum(p.numel() for p in module.parameters()),
        trained=trained,
        width=width,
        depth=depth,
        tokens=micro_batch * int(rows.lengths.max()),
        bf16=precision.name == "bf16",
        checkpointing=hp.activation_checkpointing or whole,  # what computes no gradient keeps no activation
        available=available(),
    )
    return Plan(
        model=about,
        data=data.report,
        method=spec.method.choice,
        trainable_parameters=trained,
        precision=precision.name,
        precision_why=precision.why,
        epochs=epochs,
        steps=per_epoch * epochs,
        steps_per_epoch=per_epoch,
        batch_size=batch,
        micro_batch_size=micro_batch,
        tokens_per_epoch=tokens,
        memory=memory,
        estimated_seconds=_operations(module, trained, tokens, epochs) / (flops(task.dtype, task.device) * EFFICIENCY),
        warnings=(*data.report.warnings, *_warnings(memory.total, memory.available)),
    )


def _shape(module: nn.Module) -> tuple[int, int]:
    config: Any = module.config
    return int(config.hidden_size), int(config.num_hidden_layers)


def _operations(module: nn.Module, trained: int, tokens: int, epochs: int) -> float:
    """Floating-point operations: 2 a token for each weight that multiplies forward, 2 back through it, 2 for each trained one."""
    embeddings = sum(p.numel() for m in module.modules() if isinstance(m, nn.Embedding) for p in m.parameters())
    multiplied = sum(p.numel() for p in module.parameters()) - embeddings
    return tokens * epochs * (4.0 * multiplied + 2.0 * min(trained, multiplied))


def _warnings(needed: int, present: int) -> list[str]:
    if needed <= present:
        return []
    return [
        f"a full micro-batch of the longest rows would take about {needed / 2**30:.1f} GiB, more than the {present / 2**30:.1f} GiB "
        "here: it will be halved when memory runs out"
    ]
