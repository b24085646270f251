"""Pooling as sentence-transformers computes it, and a classifier published so that it computes it again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tunesmith_api.protocol import Failure, Reason
from tunesmith_trainer.models.pooling import Mode, Pooling, pool, read_pooling, write_sentence_transformers
from tunesmith_trainer.models.source import LocalModel
from tunesmith_trainer.models.tokenizer import load_tokenizer

Copied = Callable[[str], Path]
MODES: tuple[Mode, ...] = ("mean", "cls", "max", "lasttoken")
TEXTS = ["Where is my card?", "top up", "MY top-up failed again and again, naïve café", "card " * 100]
LABELS = ("lost_card", "Überweisung", "other")


def local(path: Path) -> LocalModel:
    return LocalModel(f"file:{path.name}", path, "sha256:0")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("side", ["right", "left"])
def test_vectors_are_those_of_sentence_transformers(mode: Mode, dtype: torch.dtype, side: str) -> None:
    from sentence_transformers.sentence_transformer.modules import Normalize
    from sentence_transformers.sentence_transformer.modules import Pooling as Theirs

    hidden = torch.randn(4, 9, 16, generator=torch.Generator().manual_seed(0)).to(dtype)
    mask = torch.tensor([[1] * n + [0] * (9 - n) for n in (9, 1, 4, 7)])
    mask = mask.flip(1) if side == "left" else mask
    features = Theirs(16, mode)({"token_embeddings": hidden, "attention_mask": mask})
    assert torch.equal(pool(hidden, mask, Pooling(mode, normalize=False)), features["sentence_embedding"])
    normalized = Normalize()(features)["sentence_embedding"]
    assert torch.equal(pool(hidden, mask, Pooling(mode, normalize=True)), normalized)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", ["bert", "roberta", "qwen2"])
@pytest.mark.parametrize("pooling", [Pooling("mean", True), Pooling("cls", False), Pooling("lasttoken", True)])
def test_a_published_classifier_gives_its_logits(kind: str, pooling: Pooling, tiny_models: Copied, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from transformers import AutoModel

    base = local(tiny_models(kind))
    weight, bias = torch.randn(3, 32), torch.randn(3)
    write_sentence_transformers(tmp_path / "out", base, pooling, weight=weight, bias=bias, labels=LABELS, max_length=20)
    module = AutoModel.from_pretrained(base.path).eval()
    with torch.no_grad():
        rows = [ids for ids, _ in load_tokenizer(base).encode_truncated(TEXTS, None, 20)]
        vectors = [pool(module(torch.tensor([r])).last_hidden_state, torch.ones(1, len(r)), pooling) for r in rows]
    expected = torch.cat(vectors) @ weight.T + bias
    shutil.move(tmp_path / "out", tmp_path / "moved")
    published = SentenceTransformer(str(tmp_path / "moved"), device="cpu", local_files_only=True)
    logits = published.encode(TEXTS, convert_to_tensor=True)
    assert torch.allclose(logits, expected, atol=1e-5)
    assert published[0].auto_model.config.id2label == dict(enumerate(LABELS))
    assert json.loads((tmp_path / "moved/config.json").read_text())["id2label"] == {"0": "lost_card", "1": "Überweisung", "2": "other"}


def layout(folder: Path, modules: object, settings: object) -> LocalModel:
    (folder / "1_Pooling").mkdir()
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling/config.json").write_text(json.dumps(settings))
    return local(folder)


def stages(*kinds: str, place: str = "1_Pooling") -> list[dict[str, Any]]:
    return [{"type": f"sentence_transformers.models.{kind}", "path": "" if kind == "Transformer" else place} for kind in kinds]


@pytest.mark.parametrize(
    ("settings", "mode"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, "mean"),
        ({"pooling_mode_cls_token": True}, "cls"),
        ({"pooling_mode": "lasttoken", "embedding_dimension": 32}, "lasttoken"),
        ({"pooling_mode": ["max"]}, "max"),
    ],
)
def test_the_declared_pooling_is_read(settings: dict[str, Any], mode: str, tmp_path: Path) -> None:
    assert read_pooling(layout(tmp_path, stages("Transformer", "Pooling"), settings)) == Pooling(mode, False)  # type: ignore[arg-type]
    shutil.rmtree(tmp_path / "1_Pooling")
    normalized = layout(tmp_path, stages("Transformer", "Pooling", "Normalize"), settings)
    assert read_pooling(normalized) == Pooling(mode, True)  # type: ignore[arg-type]


@pytest.mark.parametrize("pooling", [Pooling(mode, normalize) for mode in MODES for normalize in (True, False)])
def test_what_is_written_declares_its_pooling(pooling: Pooling, tiny_models: Copied, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_sentence_transformers(
        out, local(tiny_models("bert")), pooling, weight=torch.ones(3, 32), bias=torch.ones(3), labels=LABELS, max_length=20
    )
    modules = json.loads((out / "modules.json").read_text())
    (out / "modules.json").write_text(json.dumps(modules[:-1]))
    assert read_pooling(local(out)) == pooling


def test_a_model_of_another_kind_declares_none(tiny_models: Copied) -> None:
    assert read_pooling(local(tiny_models("bert"))) is None


@pytest.mark.parametrize(
    ("modules", "settings", "said"),
    [
        ({}, {}, "its modules are "),
        ([1], {}, "modules.json is not a list of modules"),
        (stages("Transformer", "Pooling", "Dense"), {}, "its modules are Transformer, Pooling, Dense"),
        (stages("Transformer", "Pooling", place="../up"), {}, "its pooling is said to lie in '../up'"),
        (stages("Transformer", "Pooling"), {"pooling_mode": "weightedmean"}, "its pooling is ['weightedmean']"),
        (
            stages("Transformer", "Pooling"),
            {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True},
            "its pooling is ['mean', 'cls']",
        ),
    ],
)
def test_a_pooling_that_is_not_known_is_said(modules: object, settings: object, said: str, tmp_path: Path) -> None:
    with pytest.raises(Failure) as failure:
        read_pooling(layout(tmp_path, modules, settings))
    assert failure.value.reason is Reason.INVALID_SPEC
    assert said in failure.value.message
    assert "mean, cls, max or lasttoken" in failure.value.remedy


def test_texts_are_cut_to_what_a_job_takes_by_default(tiny_models: Copied, tmp_path: Path) -> None:
    write_sentence_transformers(
        tmp_path, local(tiny_models("roberta")), Pooling("cls", False), weight=torch.ones(3, 32), bias=torch.ones(3), labels=LABELS
    )
    assert json.loads((tmp_path / "sentence_bert_config.json").read_text())["max_seq_length"] == 64


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_published_regressor_gives_one_number(tiny_models: Copied, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    weight, bias = torch.zeros(1, 32), torch.tensor([250.0])
    write_sentence_transformers(tmp_path, local(tiny_models("bert")), Pooling("mean", True), weight=weight, bias=bias, labels=())
    published = SentenceTransformer(str(tmp_path), device="cpu", local_files_only=True)
    assert published.encode(TEXTS).tolist() == [[250.0]] * len(TEXTS)
