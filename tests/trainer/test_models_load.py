"""A stock model with a head for the task: what is fresh, what is kept, what is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tunesmith_api.protocol import Failure, Reason
from tunesmith_trainer.models.heads import final_linear, head_parameter_names
from tunesmith_trainer.models.load import dropout_fields, load_classifier, load_regressor
from tunesmith_trainer.models.source import LocalModel
from tunesmith_trainer.models.tokenizer import load_tokenizer

Copied = Callable[[str], Path]
KINDS = ("bert", "roberta", "distilbert", "llama", "qwen2")
LABELS = ("lost_card", "top_up", "other")


def local(path: Path) -> LocalModel:
    return LocalModel(f"file:{path.name}", path, "sha256:0")


def classifier(path: Path, labels: tuple[str, ...] = LABELS, **changes: Any) -> nn.Module:
    options = {"dtype": torch.float32, "dropout": 0.0, "seed": 7, "attention": "sdpa"} | changes
    return load_classifier(local(path), labels=labels, **options)


def change(path: Path, **entries: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def drop_weights(folder: Path, prefix: str) -> None:
    from safetensors.torch import load_file, save_file

    weights = {name: w for name, w in load_file(folder / "model.safetensors").items() if not name.startswith(prefix)}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_loss_is_the_logarithm_of_the_number_of_labels(kind: str, tiny_models: Copied) -> None:
    module, tokenizer = classifier(tiny_models(kind)), load_tokenizer(local(tiny_models(kind)))
    rows = [ids for ids, _ in tokenizer.encode_batch(["Where is my card?", "top up", "a much longer text than both"])]
    longest = max(map(len, rows))
    ids = torch.tensor([r + [tokenizer.pad_id] * (longest - len(r)) for r in rows])
    mask = torch.tensor([[1] * len(r) + [0] * (longest - len(r)) for r in rows])
    output = module(input_ids=ids, attention_mask=mask, labels=torch.tensor([0, 1, 2]))
    assert output.loss.item() == pytest.approx(math.log(3), abs=1e-7)
    assert output.logits.abs().max() == 0
    assert module.config.id2label == dict(enumerate(LABELS))
    assert module.config.label2id == {"lost_card": 0, "top_up": 1, "other": 2}


@pytest.mark.parametrize("kind", KINDS)
def test_the_backbone_is_the_file_s_and_the_rest_of_the_head_is_the_seed_s(kind: str, tiny_models: Copied) -> None:
    from safetensors.torch import load_file

    stored = load_file(tiny_models(kind) / "model.safetensors")
    first, again, other = (classifier(tiny_models(kind), seed=seed).state_dict() for seed in (7, 7, 8))
    prefix = f"{classifier(tiny_models(kind)).base_model_prefix}."
    assert all(torch.equal(first[name], again[name]) for name in first)
    below = {name for name in first if name.startswith(prefix) and name.removeprefix(prefix) in stored}
    assert all(torch.equal(first[name], stored[name.removeprefix(prefix)]) for name in below)
    differ = {name for name in first if not torch.equal(first[name], other[name])}
    expected = {"roberta": {"classifier.dense.weight"}, "distilbert": {"pre_classifier.weight"}}
    assert differ == expected.get(kind, set())


def test_loading_leaves_the_random_state_and_says_nothing(tiny_models: Copied, capfd: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    classifier(tiny_models("roberta"))
    assert torch.rand(1) == expected
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", KINDS)
def test_every_dropout_is_the_one_asked_for(kind: str, tiny_models: Copied) -> None:
    module = classifier(tiny_models(kind), dropout=0.25)
    layers = [m.p for m in module.modules() if isinstance(m, nn.Dropout)]
    assert set(layers) <= {0.25}
    settings = module.config.to_dict()
    assert dropout_fields(settings)
    assert {settings[name] for name in dropout_fields(settings)} == {0.25}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_dtype_is_the_one_asked_for(kind: str, dtype: torch.dtype, tiny_models: Copied) -> None:
    assert {p.dtype for p in classifier(tiny_models(kind), dtype=dtype).parameters()} == {dtype}


@pytest.mark.parametrize(("kind", "pad"), [("llama", 1), ("qwen2", 0)])
def test_a_decoder_learns_which_token_pads(kind: str, pad: int, tiny_models: Copied) -> None:
    assert classifier(tiny_models(kind)).config.pad_token_id == pad


def saved_head(folder: Path, out: Path) -> nn.Module:
    """Save a model whose head is not zero, for LABELS."""
    module = classifier(folder)
    with torch.no_grad():
        final_linear(module)[1].weight.normal_()
    module.save_pretrained(out)
    (out / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    return module


@pytest.mark.parametrize("kind", ["bert", "roberta", "qwen2"])
def test_a_head_for_the_same_labels_is_kept_in_their_order(kind: str, tiny_models: Copied, tmp_path: Path) -> None:
    saved = final_linear(saved_head(tiny_models(kind), tmp_path))[1]
    assert torch.equal(final_linear(classifier(tmp_path))[1].weight, saved.weight)
    turned = final_linear(classifier(tmp_path, LABELS[::-1]))[1]
    assert torch.equal(turned.weight, saved.weight.flip(0))
    assert turned.bias is None or torch.equal(turned.bias, saved.bias.flip(0))


@pytest.mark.parametrize("labels", [("a", "b", "c"), ("a", "b"), (*LABELS, "more")])
def test_a_head_for_other_labels_is_fresh(labels: tuple[str, ...], tiny_models: Copied, tmp_path: Path) -> None:
    saved = saved_head(tiny_models("roberta"), tmp_path)
    module = classifier(tmp_path, labels)
    assert final_linear(module)[1].weight.abs().max() == 0
    assert final_linear(module)[1].out_features == len(labels)
    assert torch.equal(module.get_parameter("classifier.dense.weight"), saved.get_parameter("classifier.dense.weight"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_regressor_gives_one_number_and_starts_at_zero(kind: str, tiny_models: Copied) -> None:
    module = load_regressor(local(tiny_models(kind)), dtype=torch.float32, dropout=0.0, seed=0, attention="eager")
    assert module.config.problem_type == "regression"
    assert module(input_ids=torch.tensor([[5, 6, 7]])).logits.tolist() == [[0.0]]


def test_a_pooler_that_the_files_lack_is_drawn_as_part_of_the_head(copied_model: Copied) -> None:
    folder = copied_model("bert")
    drop_weights(folder, "pooler")
    module = classifier(folder)
    assert {"bert.pooler.dense.weight", "classifier.weight"} <= head_parameter_names(module)
    assert module.get_parameter("bert.pooler.dense.weight").std() > 0


def refused(folder: Path, **changes: Any) -> Failure:
    with pytest.raises(Failure) as failure:
        classifier(folder, **changes)
    assert failure.value.reason is Reason.MODEL_UNAVAILABLE
    assert failure.value.message.startswith(f"file:{folder.name}")
    assert failure.value.remedy
    return failure.value


def test_weights_that_are_missing_from_the_files(copied_model: Copied) -> None:
    folder = copied_model("bert")
    drop_weights(folder, "encoder.layer.1.output.dense.weight")
    assert "lack 1 of the weights that config.json asks for, such as bert.encoder.layer.1.output.dense.weight" in refused(folder).message


def test_more_layers_than_the_files_have(copied_model: Copied) -> None:
    folder = copied_model("llama")
    change(folder / "config.json", num_hidden_layers=5, layer_types=None)
    assert "lack 18 of the weights" in refused(folder).message


def test_shapes_that_do_not_fit_the_config(copied_model: Copied) -> None:
    folder = copied_model("bert")
    change(folder / "config.json", intermediate_size=80)
    assert "has the shape [64] in the files, but config.json asks for [80]" in refused(folder).message


def test_an_architecture_that_nobody_knows(copied_model: Copied) -> None:
    folder = copied_model("bert")
    change(folder / "config.json", model_type="hal9000")
    assert "model_type 'hal9000' is not an architecture that transformers can load" in refused(folder).message


def test_a_config_without_a_model_type(copied_model: Copied) -> None:
    folder = copied_model("bert")
    settings = json.loads((folder / "config.json").read_text())
    del settings["model_type"]
    (folder / "config.json").write_text(json.dumps(settings))
    assert "model_type None is not an architecture" in refused(folder).message


def test_an_architecture_without_a_classification_head(copied_model: Copied) -> None:
    folder = copied_model("bert")
    change(folder / "config.json", model_type="vit")
    assert "transformers has no classification head for model_type 'vit'" in refused(folder).message


def test_a_config_of_nonsense(copied_model: Copied) -> None:
    folder = copied_model("bert")
    change(folder / "config.json", hidden_size=-4)
    refused(folder)


def test_a_corrupt_file_is_said_before_transformers_opens_it(copied_model: Copied) -> None:
    folder = copied_model("bert")
    (folder / "model.safetensors").write_bytes(b"\x00" * 100)
    assert "is no valid safetensors file" in refused(folder).message


def test_a_config_cannot_name_other_weights(copied_model: Copied) -> None:
    folder = copied_model("bert")
    change(folder / "config.json", transformers_weights="../outside.safetensors")
    assert classifier(folder).config.num_labels == 3
