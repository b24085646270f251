"""A learner's modules from a base model's files, and back into files in Hugging Face layout."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from torch import nn

from tunesmith_trainer.models.folder import LocalModel
from tunesmith_trainer.models.learner import Task
from tunesmith_trainer.models.load import load_classifier, load_regressor, skeleton

TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "vocab.txt", "vocab.json", "merges.txt", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model", "chat_template.jinja",
)  # fmt: skip


def load_for(base: LocalModel, task: Task) -> nn.Module:
    """The stock module with a head for the task, ready to train on its device."""
    options: dict[str, Any] = {"dtype": task.dtype, "dropout": task.dropout, "attention": task.attention}
    if task.skeleton:
        return skeleton(base, labels=len(task.labels) or 1, dtype=task.dtype, attention=task.attention)
    if task.labels:
        module = load_classifier(base, labels=task.labels, seed=task.seed, **options)
    else:
        module = load_regressor(base, seed=task.seed, **options)
    if task.activation_checkpointing:
        module.gradient_checkpointing_enable({"use_reentrant": False})  # type: ignore[operator]
    return module.to(task.device)


def write_model(module: Any, base: LocalModel, folder: Path) -> None:
    """A whole model: config, safetensors in the precision it was trained in, tokenizer."""
    _anonymous(module.config)
    module.save_pretrained(folder)
    _copy_tokenizer(base, folder)


def write_adapter(module: Any, base: LocalModel, folder: Path) -> None:
    """A PEFT adapter that names its base by hub id or URI, with the config that holds the labels, and the tokenizer."""
    settings = module.peft_config["default"]
    hub_id = base.uri.removeprefix("hf://")
    settings.base_model_name_or_path, _, _ = hub_id.partition("@") if hub_id != base.uri else (base.uri, "", "")
    settings.revision = base.revision
    module.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)
    _anonymous(module.config)
    module.config.save_pretrained(folder)
    _copy_tokenizer(base, folder)


def _anonymous(config: Any) -> None:
    """A config must not say where on this machine the base lay."""
    config.name_or_path = ""


def _copy_tokenizer(base: LocalModel, folder: Path) -> None:
    for name in TOKENIZER_FILES:
        if (base.path / name).exists():
            shutil.copyfile(base.path / name, folder / name)
