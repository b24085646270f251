"""A model's own way from token vectors to one vector of a text, and a linear classifier published on top of it."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from tunesmith_api.protocol import Failure, Reason
from tunesmith_trainer.models.folder import BELONGS, LocalModel, listing, read_json, shards
from tunesmith_trainer.models.inspect import context_length

Mode = Literal["mean", "cls", "max", "lasttoken"]
LEGACY: dict[str, str] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "lasttoken",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
}
"""Keys of older pooling configs, each a switch."""


@dataclass(frozen=True)
class Pooling:
    """How one vector is made of a text's token vectors."""

    mode: Mode
    normalize: bool
    """Scale it to length 1."""


def read_pooling(model: LocalModel) -> Pooling | None:
    """The pooling that a sentence-transformers folder declares in modules.json; None for any other model."""
    if not (model.path / "modules.json").exists():
        return None
    try:
        stages = [(stage["type"].rpartition(".")[2], stage["path"]) for stage in json.loads((model.path / "modules.json").read_bytes())]
    except (ValueError, TypeError, KeyError, AttributeError):
        raise _unknown(model, "modules.json is not a list of modules") from None
    kinds = [kind for kind, _ in stages]
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise _unknown(model, f"its modules are {', '.join(map(str, kinds))[:200]}")
    folder = stages[1][1]
    if not isinstance(folder, str) or not re.fullmatch(r"\d+_\w+", folder):
        raise _unknown(model, f"its pooling is said to lie in {str(folder)[:100]!r}")
    return Pooling(_mode(model, read_json(model.path / folder / "config.json", f"{model.uri}/{folder}/config.json")), len(kinds) == 3)


def pool(hidden: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """Token vectors [rows, tokens, size] and their mask [rows, tokens] (1 for a token, 0 for padding) to vectors [rows, size]."""
    vectors = _pool(hidden, mask, pooling.mode)
    return functional.normalize(vectors, p=2, dim=-1) if pooling.normalize else vectors


def write_sentence_transformers(
    folder: Path,
    base: LocalModel,
    pooling: Pooling,
    *,
    weight: Tensor,
    bias: Tensor,
    labels: tuple[str, ...],
    max_length: int | None = None,
) -> None:
    """Publish a frozen base with a linear classifier: SentenceTransformer(folder).encode(texts) gives the logits.

    weight [labels, size] and bias [labels] act on the pooled vector as it is: a scale between the two is folded into the weight first.
    A regressor has no labels: its one column is the number.
    Texts are cut to max_length tokens, by default what a job that names none takes: the context length, at most 512.
    Column i of the logits is the label id2label[i] of config.json (loaded: model[0].auto_model.config.id2label).
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in [*shards(base.path, base.uri), *(n for n in listing(base.path) if "/" not in n and BELONGS.fullmatch(n))]:
        if not name.startswith(("README", "modules.json", "train")):
            shutil.copyfile(base.path / name, folder / name)
    shown = labels or ("value",)
    named = {"id2label": dict(enumerate(shown)), "label2id": {label: i for i, label in enumerate(shown)}}
    _write(folder / "config.json", read_json(base.path / "config.json", f"{base.uri}/config.json") | named)
    _write(
        folder / "sentence_bert_config.json",
        {"max_seq_length": max_length or min(context_length(base) or 512, 512), "do_lower_case": False},
    )
    _write(folder / "config_sentence_transformers.json", {"prompts": {}, "default_prompt_name": None})
    stages = ["Transformer", "Pooling", *(["Normalize"] if pooling.normalize else []), "Dense"]
    paths = ["", *(f"{i}_{stage}" for i, stage in enumerate(stages[1:], 1))]
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{stage}"}
        for i, (stage, path) in enumerate(zip(stages, paths, strict=True))
    ]
    _write(folder / "modules.json", modules)
    size = weight.shape[1]
    _write(folder / paths[1] / "config.json", {"word_embedding_dimension": size} | {k: v == pooling.mode for k, v in LEGACY.items()})
    dense = {"in_features": size, "out_features": len(weight), "bias": True, "activation_function": "torch.nn.modules.linear.Identity"}
    _write(folder / paths[-1] / "config.json", dense)
    tensors = {"linear.weight": weight.detach().float().contiguous(), "linear.bias": bias.detach().float().contiguous()}
    save_file(tensors, folder / paths[-1] / "model.safetensors", metadata={"format": "pt"})


def _pool(hidden: Tensor, mask: Tensor, mode: Mode) -> Tensor:
    rows = torch.arange(len(hidden), device=hidden.device)
    match mode:
        case "mean":
            wide = mask.unsqueeze(-1).to(hidden.dtype)
            total = (hidden * wide).sum(dim=1, dtype=torch.float32)
            return (total / wide.sum(dim=1, dtype=torch.float32).clamp(min=1e-9)).to(hidden.dtype)
        case "max":
            return hidden.masked_fill(mask.unsqueeze(-1) == 0, float("-inf")).amax(dim=1)
        case "cls":
            return hidden[rows, mask.int().argmax(dim=1)]
        case "lasttoken":
            return hidden[rows, mask.shape[1] - 1 - mask.int().flip(1).argmax(dim=1)]


def _mode(model: LocalModel, settings: dict[str, Any]) -> Mode:
    """The one mode of a pooling config, of the present or the older form."""
    given = settings.get("pooling_mode", [name for key, name in LEGACY.items() if settings.get(key) is True])
    match [given] if isinstance(given, str) else given:
        case ["mean" | "cls" | "max" | "lasttoken" as mode]:
            return mode
        case modes:
            raise _unknown(model, f"its pooling is {modes!r}"[:200])


def _unknown(model: LocalModel, what: str) -> Failure:
    return Failure(
        Reason.INVALID_SPEC,
        f"spec.method.features: {model.uri} makes its vectors in a way that is not known here: {what}",
        "Use a model that pools by mean, cls, max or lasttoken (with or without a Normalize module), or another method.",
    )


def _write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
