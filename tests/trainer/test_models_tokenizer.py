"""The tokenizer gives the ids of AutoTokenizer, whole and cut."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tunesmith_api.protocol import Failure, Reason
from tunesmith_trainer.models.source import LocalModel
from tunesmith_trainer.models.tokenizer import load_tokenizer

KINDS = ("bert", "roberta", "distilbert", "llama", "qwen2")
TEXTS = [
    "Why has my card not arrived yet?",
    "",
    "a",
    "  MY top-up   failed...  Überweisung, naïve café; 为什么 🙂 ",
    "card " * 50,
    "line one\nline two\ttabbed",
]
PAIRS = ["It was sent.", "b", "", "no " * 40, "card " * 50, "x y z"]


def local(path: Path) -> LocalModel:
    return LocalModel("file:model", path, "sha256:0")


def reference(path: Path):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(path, local_files_only=True)


@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_those_of_auto_tokenizer(kind: str, tiny_models: Callable[[str], Path]) -> None:
    ours, theirs = load_tokenizer(local(tiny_models(kind))), reference(tiny_models(kind))
    assert [ids for ids, _ in ours.encode_batch(TEXTS)] == theirs(TEXTS)["input_ids"]
    paired = theirs(TEXTS, PAIRS)
    assert [ids for ids, _ in ours.encode_batch(TEXTS, PAIRS)] == paired["input_ids"]
    types = [types for _, types in ours.encode_batch(TEXTS, PAIRS)]
    assert types == (paired["token_type_ids"] if kind == "bert" else [None] * len(TEXTS))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("max_length", [5, 8, 13, 64])
def test_cut_rows_are_those_of_auto_tokenizer(kind: str, side: str, max_length: int, copied_model: Callable[[str], Path]) -> None:
    folder = copied_model(kind)
    settings = folder / "tokenizer_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"truncation_side": side}))
    ours, theirs = load_tokenizer(local(folder)), reference(folder)
    for pairs in (None, PAIRS):
        expected = theirs(TEXTS, pairs, truncation=True, max_length=max_length)
        cut = ours.encode_truncated(TEXTS, pairs, max_length)
        assert [ids for ids, _ in cut] == expected["input_ids"]
    assert ours.encode_batch(TEXTS) == load_tokenizer(local(folder)).encode_batch(TEXTS)


@pytest.mark.parametrize("begin", [True, False, None])
@pytest.mark.parametrize("end", [True, False, None])
def test_the_file_overrules_options_to_begin_or_end_a_text(
    begin: bool | None, end: bool | None, copied_model: Callable[[str], Path]
) -> None:
    folder = copied_model("llama")
    settings = folder / "tokenizer_config.json"
    options = {name: on for name, on in (("add_bos_token", begin), ("add_eos_token", end)) if on is not None}
    settings.write_text(json.dumps(json.loads(settings.read_text()) | options))
    ours, theirs = load_tokenizer(local(folder)), reference(folder)
    assert [ids for ids, _ in ours.encode_batch(TEXTS)] == theirs(TEXTS)["input_ids"]
    assert [ids for ids, _ in ours.encode_batch(TEXTS, PAIRS)] == theirs(TEXTS, PAIRS)["input_ids"]


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_no_room_beside_the_special_tokens_is_said(kind: str, tiny_models: Callable[[str], Path]) -> None:
    with pytest.raises(Failure, match="leave no room beside the tokenizer's") as failure:
        load_tokenizer(local(tiny_models(kind))).encode_truncated(["a b"], ["c d"], 3)
    assert failure.value.reason is Reason.INVALID_SPEC


def test_padding_and_truncation_of_the_file_are_off(copied_model: Callable[[str], Path]) -> None:
    from tokenizers import Tokenizer

    folder = copied_model("bert")
    plain = load_tokenizer(local(folder))
    stored = Tokenizer.from_file(str(folder / "tokenizer.json"))
    stored.enable_padding(length=128)
    stored.enable_truncation(6)
    stored.save(str(folder / "tokenizer.json"))
    again = load_tokenizer(local(folder))
    assert again.encode_batch(TEXTS) == plain.encode_batch(TEXTS)
    assert again.digest == plain.digest


@pytest.mark.parametrize(("kind", "pad"), [("bert", 0), ("roberta", 1), ("llama", 1), ("qwen2", 0)])
def test_the_padding_of_a_decoder_falls_back_to_its_end_of_text(kind: str, pad: int, tiny_models: Callable[[str], Path]) -> None:
    assert load_tokenizer(local(tiny_models(kind))).pad_id == pad


@pytest.mark.parametrize(("kind", "length"), [("bert", 66), ("roberta", 64), ("llama", 66)])
def test_context_length_counts_what_a_text_may_take(kind: str, length: int, tiny_models: Callable[[str], Path]) -> None:
    assert load_tokenizer(local(tiny_models(kind))).context_length == length


def test_a_vocabulary_alone_is_converted(copied_model: Callable[[str], Path]) -> None:
    from tokenizers import Tokenizer

    folder = copied_model("bert")
    whole = load_tokenizer(local(folder))
    vocabulary = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab()
    (folder / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=vocabulary.__getitem__)) + "\n")
    (folder / "tokenizer.json").unlink()
    assert load_tokenizer(local(folder)).encode_batch(TEXTS, PAIRS) == whole.encode_batch(TEXTS, PAIRS)


def test_the_digest_changes_with_the_ids(tiny_models: Callable[[str], Path]) -> None:
    digests = {load_tokenizer(local(tiny_models(kind))).digest for kind in ("bert", "roberta", "llama", "qwen2")}
    assert len(digests) == 4


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "file:model: no tokenizer.json, and the files that are there cannot be read as a tokenizer: there is no vocabulary"),
        ("{}", "file:model/tokenizer.json cannot be read as a tokenizer"),
        ("\x00\x01", "file:model/tokenizer.json cannot be read as a tokenizer"),
    ],
)
def test_a_missing_or_broken_tokenizer_is_said(content: str | None, said: str, copied_model: Callable[[str], Path]) -> None:
    folder = copied_model("bert")
    (folder / "tokenizer.json").unlink()
    if content is not None:
        (folder / "tokenizer.json").write_text(content)
    with pytest.raises(Failure) as failure:
        load_tokenizer(local(folder))
    assert failure.value.reason is Reason.MODEL_UNAVAILABLE
    assert failure.value.message.startswith(said)
    assert "Copy tokenizer.json" in failure.value.remedy


def test_a_tokenizer_of_another_model_is_refused(copied_model: Callable[[str], Path]) -> None:
    folder = copied_model("bert")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": 100}))
    with pytest.raises(Failure, match="the tokenizer knows 400 tokens, the model only 100"):
        load_tokenizer(local(folder))
