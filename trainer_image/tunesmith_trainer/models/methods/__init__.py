"""Methods: which parameters of a model are trained. One file each, named as the API's key, with one `apply`."""

from __future__ import annotations

from importlib import import_module

from tunesmith_api.methods import Method
from tunesmith_trainer.models.folder import LocalModel
from tunesmith_trainer.models.learner import ModuleLearner, Task


def apply(base: LocalModel, method: Method, task: Task) -> ModuleLearner:
    """Load the base and make the method's parameters trainable."""
    name = next(n for n in type(method).model_fields if getattr(method, n) is not None)
    learner: ModuleLearner = import_module(f"{__name__}.{name}").apply(base, method.chosen, task)
    return learner
