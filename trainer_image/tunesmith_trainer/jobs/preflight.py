"""Everything that can be known and prepared before a weight is loaded: the model, the data, the plan."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from tunesmith_api.plan import ModelFacts, Plan
from tunesmith_api.protocol import Failure, PlanEvent, Reason
from tunesmith_api.tuning import TuningSpec
from tunesmith_trainer.artifacts.publish import published
from tunesmith_trainer.data.prepare import PreparedData, prepare
from tunesmith_trainer.data.sources import fetch_from
from tunesmith_trainer.engine.precision import Precision, choose
from tunesmith_trainer.jobs.planning import draw_plan
from tunesmith_trainer.models.folder import LocalModel
from tunesmith_trainer.models.inspect import facts
from tunesmith_trainer.models.learner import Task
from tunesmith_trainer.models.source import resolve
from tunesmith_trainer.models.tokenizer import load_tokenizer
from tunesmith_trainer.run import Run

USUAL_LENGTH = 512
"""maxLength where neither spec nor model asks for less."""
SHORT = 128
"""Up to this many tokens eager attention beats the fused kernels on a CPU."""


@dataclass(frozen=True)
class Ready:
    """What training starts from."""

    base: LocalModel
    data: PreparedData
    task: Task
    plan: Plan


def preflight(spec: TuningSpec, run: Run) -> Ready:
    """Resolve the model, read and prepare the data, and say what will happen.

    Raises Failure: ModelUnavailable, DatasetInvalid, InvalidSpec (maxLength), OutOfMemory (the model cannot fit), or storage's.
    """
    run.phase("Preflight", "looking at the output")
    published(run.stores.folder(spec.output.uri), "", overwrite=True)  # no digest is known yet: whether it can be reached
    run.phase("Preflight", "reading the model")
    base = resolve(spec.model.uri, stores=run.stores, cache=run.cache, environ=os.environ)
    about, tokenizer = facts(base), load_tokenizer(base)
    run.phase("Preflight", "reading the data")
    data = prepare(
        spec.dataset,
        objective="classification" if spec.objective.classification else "regression",
        tokenizer=tokenizer,
        max_length=max_length(spec, about),
        slices=spec.evaluation.slices,
        fetch=fetch_from(run.stores, run.cache),
        cache=run.cache,
        emit=run.progress("Preflight"),
    )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    precision = choose(spec.hyperparameters.precision, device)
    task = _task(spec, data, precision, device, pad_id=tokenizer.pad_id)
    plan = draw_plan(spec, base, about=about, data=data, task=task, precision=precision)
    for warning in plan.warnings:
        run.warn(warning)
    run.emit(PlanEvent(plan=plan))
    _require_memory(plan)
    return Ready(base=base, data=data, task=task, plan=plan)


def max_length(spec: TuningSpec, about: ModelFacts) -> int:
    """Most tokens of a row: the spec's, else what the model takes, at most 512."""
    wanted, context = spec.hyperparameters.max_length, about.context_length
    if wanted and context and wanted > context:
        raise Failure(
            Reason.INVALID_SPEC,
            f"spec.hyperparameters.maxLength: {wanted}, but {about.uri} takes at most {context} tokens",
            f"set maxLength to {context} or less, or take a model with a longer context",
        )
    return wanted or min(context or USUAL_LENGTH, USUAL_LENGTH)


def _task(spec: TuningSpec, data: PreparedData, precision: Precision, device: torch.device, *, pad_id: int) -> Task:
    hp = spec.hyperparameters
    return Task(
        labels=data.labels,
        dtype=precision.dtype,
        device=device,
        dropout=hp.dropout,
        activation_checkpointing=hp.activation_checkpointing,
        seed=hp.seed,
        attention="eager" if device.type == "cpu" and data.report.max_length <= SHORT else "sdpa",
        pad_id=pad_id,
        max_length=data.report.max_length,
    )


def _require_memory(plan: Plan) -> None:
    memory = plan.memory
    fixed = memory.total - memory.activations
    if fixed > memory.available:
        raise Failure(
            Reason.OUT_OF_MEMORY,
            f"{plan.model.uri} ({plan.model.parameters:,} parameters) by method {plan.method} takes about {_gib(fixed)} "
            f"before a single row is computed; this machine has {_gib(memory.available)}",
            "take a smaller model or a method that trains less (lora, outputLayers, features), or a machine with more memory",
        )


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
