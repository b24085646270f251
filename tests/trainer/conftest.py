"""Tiny random models with real tokenizers, one of each common architecture, made once a session."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

REPOSITORY = Path(__file__).parents[2]
CARD = "---\nlicense: apache-2.0\nlanguage:\n- en\n- de\n---\n# Tiny\n"


def corpus() -> list[str]:
    lines = (REPOSITORY / "examples/data/banking77/train.csv").read_text().splitlines()[1:600]
    return [line.rpartition(",")[0].strip('"') for line in lines]


def wordpiece() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(corpus(), trainers.WordPieceTrainer(vocab_size=400, special_tokens=special, show_progress=False))
    ids = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ids
    )
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def byte_level(special: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    return tokenizer


def roberta_tokenizer() -> Tokenizer:
    tokenizer = byte_level(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return tokenizer


def llama_tokenizer() -> Tokenizer:
    tokenizer = byte_level(["<s>", "</s>"])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 0)])
    return tokenizer


BERT_NAMES = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
ROBERTA_NAMES = {"pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "mask_token": "<mask>"}
TOKENIZERS: dict[str, tuple[Callable[[], Tokenizer], dict[str, str]]] = {
    "bert": (wordpiece, {"tokenizer_class": "BertTokenizer", **BERT_NAMES}),
    "distilbert": (wordpiece, {"tokenizer_class": "DistilBertTokenizer", **BERT_NAMES}),
    "roberta": (roberta_tokenizer, {"tokenizer_class": "RobertaTokenizer", **ROBERTA_NAMES}),
    "llama": (llama_tokenizer, {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>"}),
    "qwen2": (lambda: byte_level(["<|endoftext|>"]), {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>"}),
}


def tiny_config(kind: str, vocabulary: int, **changes: Any) -> Any:
    from transformers import AutoConfig

    shape = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64, "max_position_embeddings": 66}
    special: dict[str, dict[str, Any]] = {
        "bert": {"pad_token_id": 0},
        "roberta": {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "type_vocab_size": 1},
        "distilbert": {"dim": 32, "hidden_dim": 64, "n_layers": 3, "n_heads": 4, "max_position_embeddings": 66, "pad_token_id": 0},
        "llama": {"num_key_value_heads": 2, "bos_token_id": 0, "eos_token_id": 1},
        "qwen2": {"num_key_value_heads": 2, "bos_token_id": 0, "eos_token_id": 0},
    }
    settings = special[kind] if kind == "distilbert" else shape | special[kind]
    return AutoConfig.for_model(kind, vocab_size=vocabulary, **(settings | changes))


def make_model(kind: str, folder: Path, **changes: Any) -> Path:
    """Write a random model of that model_type, its tokenizer and its card into a folder."""
    import torch
    from transformers import AutoModel

    make, names = TOKENIZERS[kind]
    tokenizer = make()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        AutoModel.from_config(tiny_config(kind, tokenizer.get_vocab_size(), **changes)).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(names | {"model_max_length": 10**30}))
    (folder / "README.md").write_text(CARD)
    return folder


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A folder with a random model of that kind; shared, so that a test must not write into it."""
    made: dict[str, Path] = {}

    def tiny_model(kind: str) -> Path:
        if kind not in made:
            made[kind] = make_model(kind, tmp_path_factory.mktemp("models") / kind)
        return made[kind]

    return tiny_model


@pytest.fixture
def copied_model(tiny_models: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a tiny model that a test may damage."""
    return lambda kind: Path(shutil.copytree(tiny_models(kind), tmp_path / f"copied-{kind}"))
