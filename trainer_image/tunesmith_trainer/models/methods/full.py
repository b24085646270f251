"""Train every parameter."""

from __future__ import annotations

from pathlib import Path

from tunesmith_api.methods import Full
from tunesmith_trainer.models.files import load_for, write_model
from tunesmith_trainer.models.folder import LocalModel
from tunesmith_trainer.models.heads import above_backbone, final_linear
from tunesmith_trainer.models.learner import ModuleLearner, Task


def apply(base: LocalModel, _method: Full, task: Task) -> ModuleLearner:
    """The whole model is trained."""
    module = load_for(base, task)

    def write(folder: Path) -> None:
        write_model(module, base, folder / "model")

    final, head = final_linear(module)[1], frozenset(above_backbone(module))
    return ModuleLearner(module, final=final, head=head, pad_id=task.pad_id, write=write)
