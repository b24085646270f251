"""What a model's files say about it, read without a weight, without torch and without transformers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from tunesmith_api.plan import ModelFacts
from tunesmith_trainer.models.folder import LocalModel, read_json, shards, unavailable
from tunesmith_trainer.models.safetensors_header import BITS, TensorInfo, read_header

PADDED_POSITIONS = frozenset(
    {
        "roberta",
        "xlm-roberta",
        "xlm-roberta-xl",
        "roberta-prelayernorm",
        "camembert",
        "data2vec-text",
        "ibert",
        "longformer",
        "mpnet",
        "xmod",
    }
)
"""Architectures whose first positions, up to and with the padding's, are never a token's."""
POSITIONS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len")
NO_LIMIT = 10_000_000
"""A tokenizer's model_max_length above this only says that nobody set it."""
DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16", "F64": "float64"}


def config(model: LocalModel) -> dict[str, Any]:
    """The model's config.json."""
    return read_json(model.path / "config.json", f"{model.uri}/config.json")


def tensors(model: LocalModel) -> list[TensorInfo]:
    """Every tensor that the weight files declare."""
    return [t for name in shards(model.path, model.uri) for t in read_header(model.path / name, f"{model.uri}/{name}")]


def facts(model: LocalModel) -> ModelFacts:
    """Architecture, size, dtype, context length, licence and languages of a model."""
    settings, declared, card = config(model), tensors(model), front_matter(model.path / "README.md")
    if not declared:
        raise unavailable(f"{model.uri}: the weight files hold no tensor", "Copy the model again from its source.")
    return ModelFacts(
        uri=model.uri,
        digest=model.digest,
        architecture=_architecture(settings, model.uri),
        parameters=sum(t.elements for t in declared if not t.dtype.startswith(("I", "U", "BOOL"))),
        dtype=_dtype(declared),
        context_length=context_length(model),
        licence=_licence(card),
        languages=_strings(card.get("language")),
    )


def context_length(model: LocalModel) -> int | None:
    """Most tokens that the model takes: its positions, or its tokenizer's limit where that is smaller."""
    settings = config(model)
    nested = settings.get("text_config")
    text = nested if isinstance(nested, dict) else settings
    positions = next((text[name] for name in POSITIONS if type(text.get(name)) is int and text[name] > 0), None)
    if positions and text.get("model_type") in PADDED_POSITIONS:
        positions -= int(text.get("pad_token_id") or 1) + 1
    limit = tokenizer_config(model).get("model_max_length")
    known = [n for n in (positions, limit) if isinstance(n, int | float) and 0 < n <= NO_LIMIT]
    return int(min(known)) if known else None


def tokenizer_config(model: LocalModel) -> dict[str, Any]:
    """The model's tokenizer_config.json; empty where it has none."""
    path = model.path / "tokenizer_config.json"
    return read_json(path, f"{model.uri}/tokenizer_config.json") if path.exists() else {}


def front_matter(card: Path) -> dict[str, Any]:
    """The YAML at the head of a model card; empty where there is none that can be read."""
    if not card.exists():
        return {}
    opening, fence, rest = card.read_text(encoding="utf-8", errors="replace")[:65_536].partition("---\n")
    if opening.strip("\ufeff \n") or not fence:
        return {}
    try:
        content = yaml.safe_load(rest.partition("\n---")[0])
    except yaml.YAMLError:
        return {}
    return content if isinstance(content, dict) else {}


def _architecture(settings: dict[str, Any], uri: str) -> str:
    named = [*_strings(settings.get("architectures")), *_strings(settings.get("model_type"))]
    if not named:
        raise unavailable(
            f"{uri}/config.json names neither architectures nor a model_type", "Use the config.json that belongs to the weights."
        )
    return named[0]


def _dtype(declared: list[TensorInfo]) -> str:
    """The dtype that most bytes are stored in."""
    size: Counter[str] = Counter()
    for tensor in declared:
        size[tensor.dtype] += tensor.elements * BITS[tensor.dtype]
    most = size.most_common(1)[0][0]
    return DTYPES.get(most, most.lower())


def _licence(card: dict[str, Any]) -> str | None:
    """The card's licence; "other" is told by its name or link."""
    named = _strings(card.get("license"))
    if named[:1] == ("other",):
        named = (*_strings(card.get("license_name")), *_strings(card.get("license_link")), *named)
    return named[0] if named else None


def _strings(value: Any) -> tuple[str, ...]:
    """A YAML or JSON string or list of strings, as a tuple; the language "no" reads as false in YAML."""
    values = value if isinstance(value, list) else [] if value is None else [value]
    return tuple("no" if v is False else str(v)[:100] for v in values[:100] if isinstance(v, str | bool))
