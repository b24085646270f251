"""Load a stock transformers model with a head for the task; errors are rewritten for people."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification
from transformers import logging as transformers_logging

from tunesmith_trainer.models import inspect
from tunesmith_trainer.models.folder import LocalModel, unavailable
from tunesmith_trainer.models.heads import blocks, final_linear, head_parameter_names
from tunesmith_trainer.models.tokenizer import load_tokenizer


def load_classifier(
    model: LocalModel, *, labels: Sequence[str], dtype: torch.dtype, dropout: float, seed: int, attention: str
) -> nn.Module:
    """The model with a classification head for the labels, as AutoModelForSequenceClassification loads it.

    A head that the files bring for exactly these labels is kept, in their order. Any other starts with a final layer of zeros, so that
    the first loss is ln(number of labels); what else of the head is missing is drawn from the seed.
    """
    names = {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}
    kept = _kept_rows(model, labels)
    return _load(model, {"num_labels": len(labels), **names}, kept, dtype=dtype, dropout=dropout, seed=seed, attention=attention)


def load_regressor(model: LocalModel, *, dtype: torch.dtype, dropout: float, seed: int, attention: str) -> nn.Module:
    """The model with a head that gives one number; its final layer is always fresh, for it learns standardised targets."""
    settings = {"num_labels": 1, "problem_type": "regression", "id2label": {0: "value"}, "label2id": {"value": 0}}
    return _load(model, settings, None, dtype=dtype, dropout=dropout, seed=seed, attention=attention)


def load_config(model: LocalModel) -> Any:
    """The transformers config of a model that has a head for sequence classification."""
    named = inspect.config(model).get("model_type")
    try:
        with _quiet():
            config = AutoConfig.from_pretrained(model.path, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise unavailable(
            f"{model.uri}/config.json: model_type {named!r} is not an architecture that transformers can load ({_first_line(error)})",
            "Use a model of a known architecture, with the config.json that belongs to its weights.",
        ) from error
    if type(config) not in AutoModelForSequenceClassification._model_mapping:
        raise unavailable(
            f"{model.uri}: transformers has no classification head for model_type {named!r}",
            "Use an encoder such as BERT, RoBERTa or DistilBERT, or a decoder such as Llama or Qwen.",
        )
    return config


def skeleton(model: LocalModel, *, labels: int, dtype: torch.dtype, attention: str) -> nn.Module:
    """The module without its weights: shapes and names only."""
    config = load_config(model)
    config.num_labels = labels
    try:
        with torch.device("meta"):
            module: nn.Module = AutoModelForSequenceClassification.from_config(config, dtype=dtype, attn_implementation=attention)
    except Exception as error:
        raise unavailable(
            f"{model.uri}/config.json: no model can be built by it ({_first_line(error)})",
            "Use the config.json that belongs to the weights.",
        ) from error
    return module


def dropout_fields(settings: Mapping[str, object]) -> list[str]:
    """Names of a config's fields that hold a dropout rate: hidden_dropout_prob, attention_dropout, resid_pdrop ..."""
    return [name for name, value in settings.items() if ("dropout" in name or name.endswith("pdrop")) and type(value) in (int, float)]


def _load(
    model: LocalModel,
    settings: dict[str, Any],
    kept: list[int] | None,
    *,
    dtype: torch.dtype,
    dropout: float,
    seed: int,
    attention: str,
) -> nn.Module:
    inspect.tensors(model)
    config = load_config(model)
    config.update(settings | dict.fromkeys(dropout_fields(config.to_dict()), dropout))
    config.transformers_weights = None  # it would name other files than those that were checked
    if config.pad_token_id is None:
        config.pad_token_id = load_tokenizer(model).pad_id
    try:
        with _quiet(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module, found = AutoModelForSequenceClassification.from_pretrained(
                model.path,
                config=config,
                dtype=dtype,
                attn_implementation=attention,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
    except Exception as error:
        raise unavailable(
            f"{model.uri} cannot be loaded: {_first_line(error)}", "Check that config.json belongs to the weights."
        ) from error
    name, linear = final_linear(module)
    _require_backbone(model, module, found, name)
    _prepare_head(linear, None if f"{name}.weight" in _absent(found) else kept)
    return module  # type: ignore[no-any-return]


def _kept_rows(model: LocalModel, labels: Sequence[str]) -> list[int] | None:
    """For each label the row of the head in the files, if that head is for exactly these labels."""
    named = inspect.config(model).get("id2label")
    if not isinstance(named, dict) or not all(str(k).isdigit() for k in named):
        return None
    rows = {str(label): int(row) for row, label in named.items()}
    return [rows[label] for label in labels] if len(rows) == len(named) and set(rows) == set(labels) else None


def _absent(found: dict[str, Any]) -> set[str]:
    return set(found["missing_keys"]) | {key for key, *_ in found["mismatched_keys"]}


def _require_backbone(model: LocalModel, module: nn.Module, found: dict[str, Any], final: str) -> None:
    """Refuse files that lack weights below the head, or whose shapes are not the config's."""
    of_final = {f"{final}.weight", f"{final}.bias"}
    for key, in_file, expected in sorted(found["mismatched_keys"]):
        if key not in of_final:
            raise unavailable(
                f"{model.uri}: {key} has the shape {list(in_file)} in the files, but config.json asks for {list(expected)}",
                "Use the config.json that belongs to these weights.",
            )
    stack, _ = blocks(module)
    layers = re.compile(rf"(^|\.){re.escape(stack.partition('.')[2])}\.\d+\.")
    if unused := sorted(key for key in found["unexpected_keys"] if layers.search(key)):
        raise unavailable(
            f"{model.uri}: the weight files hold layers that config.json knows nothing of, such as {unused[0]}",
            "Use the config.json that belongs to these weights.",
        )
    if missing := sorted(set(found["missing_keys"]) - head_parameter_names(module)):
        raise unavailable(
            f"{model.uri}: the weight files lack {len(missing)} of the weights that config.json asks for, such as {', '.join(missing[:3])}",
            "Use the config.json that belongs to these weights, or copy the weight files again.",
        )


def _prepare_head(linear: nn.Linear, kept: list[int] | None) -> None:
    """Zero the final layer, or put the rows of the one that is kept into the labels' order."""
    with torch.no_grad():
        for parameter in linear.parameters():
            parameter.copy_(torch.zeros_like(parameter) if kept is None else parameter[kept].clone())


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300] or type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the loading report and bar: what matters of them is checked and said by ourselves."""
    level, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity(logging.CRITICAL)
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()
