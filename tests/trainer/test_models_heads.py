"""Where the head, the blocks and the backbone are; standardised targets and the scale folded into the head."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tunesmith_api.protocol import Failure, Reason
from tunesmith_trainer.models.heads import Scaling, blocks, final_linear, fold_scale, head_parameter_names, target_scaling
from tunesmith_trainer.models.load import load_regressor
from tunesmith_trainer.models.source import LocalModel

PARTS = {
    "bert": ("classifier", "bert.encoder.layer", {"bert.pooler.dense", "classifier"}),
    "roberta": ("classifier.out_proj", "roberta.encoder.layer", {"classifier.dense", "classifier.out_proj"}),
    "distilbert": ("classifier", "distilbert.transformer.layer", {"pre_classifier", "classifier"}),
    "llama": ("score", "model.layers", {"score"}),
    "qwen2": ("score", "model.layers", {"score"}),
}
Models = Callable[[str], Path]


def regressor(kind: str, tiny_models: Models) -> nn.Module:
    model = LocalModel(f"file:{kind}", tiny_models(kind), "sha256:0")
    return load_regressor(model, dtype=torch.float32, dropout=0.0, seed=0, attention="sdpa")


@pytest.mark.parametrize("kind", PARTS)
def test_the_parts_of_a_model_are_found(kind: str, tiny_models: Models) -> None:
    module = regressor(kind, tiny_models)
    final, places, head = PARTS[kind]
    assert final_linear(module) == (final, module.get_submodule(final))
    name, found = blocks(module)
    assert (name, len(found)) == (places, 3)
    assert {n.rpartition(".")[0] for n in head_parameter_names(module)} == head


def test_a_model_without_blocks_says_which_methods_remain() -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.base_model = nn.Linear(2, 2)

    with pytest.raises(Failure, match="Flat has no list of like transformer blocks") as failure:
        blocks(Flat())
    assert failure.value.reason is Reason.INVALID_SPEC
    assert "full" in failure.value.remedy


@pytest.mark.parametrize("kind", ["bert", "roberta", "llama"])
def test_a_folded_head_gives_the_label_s_unit(kind: str, tiny_models: Models) -> None:
    module, targets = regressor(kind, tiny_models), np.random.default_rng(0).normal(250, 40, 1000)
    linear = final_linear(module)[1]
    with torch.no_grad():
        linear.weight.normal_()
    scaling = target_scaling(targets, linear.bias is not None)
    inputs = {"input_ids": torch.tensor([[5, 9, 7, 11]])}
    before = module(**inputs).logits.item()
    fold_scale(linear, scaling)
    assert module(**inputs).logits.item() == pytest.approx(before * scaling.std + scaling.mean, rel=1e-5)


def test_standardised_targets_have_unit_scale() -> None:
    targets = np.random.default_rng(0).normal(250, 40, 1000)
    shifted, scaled = target_scaling(targets, True), target_scaling(targets, False)
    standard = (targets - shifted.mean) / shifted.std
    assert (abs(standard.mean()) < 1e-12, standard.std()) == (True, pytest.approx(1))
    assert scaled.mean == 0
    assert np.mean((targets / scaled.std) ** 2) == pytest.approx(1)


@pytest.mark.parametrize(("targets", "has_bias", "scaling"), [([3.0] * 5, True, Scaling(3.0, 1.0)), ([0.0] * 5, False, Scaling(0.0, 1.0))])
def test_constant_targets_are_not_divided_by_zero(targets: list[float], has_bias: bool, scaling: Scaling) -> None:
    assert target_scaling(np.array(targets), has_bias) == scaling


def test_a_mean_does_not_fit_into_a_head_without_a_bias() -> None:
    with pytest.raises(ValueError, match="has_bias=False"):
        fold_scale(nn.Linear(2, 1, bias=False), Scaling(1.0, 2.0))
