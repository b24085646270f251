"""What makes two jobs the same: digests over everything that changes the result, and nothing else."""

from __future__ import annotations

import hashlib
import json

from tunesmith_api.tuning import TuningSpec


def spec_digest(spec: TuningSpec, *, base: str, data: str) -> str:
    """Digest of the resolved model and data, the objective, method, hyperparameters and evaluation (sha256:...).

    Never of name, checkpoints or output: the same digest with a valid manifest is the same artifact.
    """
    return _digest(spec, base, data, spec.evaluation.model_dump(mode="json"))


def training_digest(spec: TuningSpec, *, base: str, data: str, precision: str) -> str:
    """The same, without what is decided after training, and with the precision that was chosen for this hardware.

    A job with another gate goes on from the same checkpoints; bf16 never goes on from fp32.
    """
    course = spec.evaluation.model_dump(mode="json", exclude={"gate", "slices"})
    return _digest(spec, base, data, {**course, "metric": spec.selection_metric, "precision": precision})


def _digest(spec: TuningSpec, base: str, data: str, evaluation: object) -> str:
    decides = {
        "base": base,
        "data": data,
        "objective": spec.objective.model_dump(mode="json", exclude_none=True),
        "method": spec.method.model_dump(mode="json", exclude_none=True),
        "hyperparameters": spec.hyperparameters.model_dump(mode="json"),
        "learningRates": [spec.learning_rate, spec.head_learning_rate],
        "evaluation": evaluation,
    }
    return "sha256:" + hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()
