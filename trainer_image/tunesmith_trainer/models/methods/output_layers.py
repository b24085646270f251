"""Train the head and the last blocks; the activations of the frozen part below are computed once."""

from __future__ import annotations

from pathlib import Path

from tunesmith_api.methods import OutputLayers
from tunesmith_api.protocol import Failure, Reason
from tunesmith_trainer.models.files import load_for, write_model
from tunesmith_trainer.models.folder import LocalModel
from tunesmith_trainer.models.heads import above_backbone, blocks, head_parameter_names
from tunesmith_trainer.models.learner import ModuleLearner, Task
from tunesmith_trainer.models.prefix import PrefixLearner


def apply(base: LocalModel, method: OutputLayers, task: Task) -> ModuleLearner:
    """The last blocks and the head are trained; everything else keeps its bits."""
    module = load_for(base, task)
    head = head_parameter_names(module)
    _, stack = blocks(module)
    if method.blocks > len(stack):
        raise Failure(
            Reason.INVALID_SPEC,
            f"spec.method.outputLayers.blocks: {method.blocks}, but the model has {len(stack)} blocks",
            f"take at most {len(stack)}, or method full",
        )
    module.requires_grad_(False)
    for block in list(stack)[-method.blocks :]:
        block.requires_grad_(True)
    for name, parameter in module.named_parameters():
        if name in head:
            parameter.requires_grad_(True)

    def write(folder: Path) -> None:
        write_model(module, base, folder / "model")

    return PrefixLearner(module, stack, method.blocks, head=frozenset(above_backbone(module)), pad_id=task.pad_id, write=write)
