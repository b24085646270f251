"""A model's tokenizer, by the tokenizers library directly: no torch, no transformers, the same ids."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from tokenizers import Tokenizer

from tunesmith_api.protocol import Failure, Reason
from tunesmith_trainer.models.folder import LocalModel, unavailable
from tunesmith_trainer.models.inspect import config, context_length, tokenizer_config

Encoded = tuple[list[int], list[int] | None]


class ModelTokenizer:
    """Texts to token ids as AutoTokenizer gives them, special tokens included."""

    def __init__(self, backend: Tokenizer, *, context_length: int | None, pad_id: int, type_vocabulary: int, truncation_side: str) -> None:
        backend.no_padding()
        backend.no_truncation()
        description = backend.to_str()
        self._backend = backend
        self._truncating = Tokenizer.from_str(description)
        self._types = type_vocabulary
        self._side = truncation_side
        self.context_length = context_length
        """Most tokens that the model takes, or None where nothing says so."""
        self.pad_id = pad_id
        self.digest = f"sha256:{hashlib.sha256(f'{pad_id} {type_vocabulary} {truncation_side} {description}'.encode()).hexdigest()}"
        """Over all that decides the ids."""

    def encode_batch(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> list[Encoded]:
        """Ids, and token type ids where the model tells the texts of a pair apart; nothing is cut off."""
        return self._encode(self._backend, texts, pairs)

    def encode_truncated(self, texts: Sequence[str], pairs: Sequence[str] | None, max_length: int) -> list[Encoded]:
        """The same, cut to max_length tokens with the special tokens kept, of a pair the longer text first.

        Slower than encode_batch: give it only the rows that are too long.
        """
        self._require_room(max_length, self.special_tokens_to_add(pair=pairs is not None))
        self._truncating.enable_truncation(max_length, strategy="longest_first", direction=self._side)
        return self._encode(self._truncating, texts, pairs)

    def special_tokens_to_add(self, pair: bool) -> int:
        """How many tokens of a row are not of its text."""
        probe = self._backend.encode("a", "a") if pair else self._backend.encode("a")
        return sum(probe.special_tokens_mask)

    def _require_room(self, max_length: int, special: int) -> None:
        if max_length <= special:
            raise Failure(
                Reason.INVALID_SPEC,
                f"spec.hyperparameters.maxLength: {max_length} tokens leave no room beside the tokenizer's {special} special tokens",
                f"Give {special + 1} or more.",
            )

    def _encode(self, backend: Tokenizer, texts: Sequence[str], pairs: Sequence[str] | None) -> list[Encoded]:
        if pairs is None:
            return [(e.ids, None) for e in backend.encode_batch_fast(list(texts))]
        encodings = backend.encode_batch_fast(list(zip(texts, pairs, strict=True)))
        return [(e.ids, e.type_ids if self._types > 1 else None) for e in encodings]


def load_tokenizer(model: LocalModel) -> ModelTokenizer:
    """The tokenizer of a model's folder, with padding and truncation off."""
    settings, options = config(model), tokenizer_config(model)
    backend = _backend(model)
    vocabulary = settings.get("vocab_size")
    if isinstance(vocabulary, int) and backend.get_vocab_size(with_added_tokens=False) > vocabulary:
        raise unavailable(
            f"{model.uri}: the tokenizer knows {backend.get_vocab_size(with_added_tokens=False)} tokens, the model only {vocabulary}",
            "Put the tokenizer files that belong to these weights into the folder.",
        )
    cutting = backend.truncation or {}
    return ModelTokenizer(
        backend,
        context_length=context_length(model),
        pad_id=_pad_id(backend, settings, options),
        type_vocabulary=int(settings.get("type_vocab_size") or 0),
        truncation_side=str(options.get("truncation_side") or cutting.get("direction") or "right"),
    )


def _backend(model: LocalModel) -> Tokenizer:
    """From tokenizer.json; an older folder (vocab.txt, vocab.json with merges.txt, sentencepiece) is converted by transformers."""
    fast = model.path / "tokenizer.json"
    try:
        return Tokenizer.from_file(str(fast)) if fast.exists() else _converted(model)
    except Exception as error:  # tokenizers raises plain Exception
        where = f"{model.uri}/tokenizer.json" if fast.exists() else f"{model.uri}: no tokenizer.json, and the files that are there"
        raise unavailable(
            f"{where} cannot be read as a tokenizer: {str(error)[:300]}",
            "Copy tokenizer.json, or vocab.txt, from the model's source: AutoTokenizer.from_pretrained(MODEL).save_pretrained(DIR).",
        ) from None


def _converted(model: LocalModel) -> Tokenizer:
    if not any(p.name.startswith(("vocab", "merges")) or p.suffix in (".model", ".tiktoken") for p in model.path.iterdir()):
        raise FileNotFoundError("there is no vocabulary")
    from transformers import AutoTokenizer  # imports torch: only here, for folders of old

    converted: Tokenizer = AutoTokenizer.from_pretrained(model.path, local_files_only=True, trust_remote_code=False).backend_tokenizer
    return converted


def _pad_id(backend: Tokenizer, settings: dict[str, Any], options: dict[str, Any]) -> int:
    """The id that fills up a batch: the tokenizer's padding token, else the config's, else the end-of-text token (decoders)."""
    ids = [
        *(backend.token_to_id(text) for name in ("pad_token",) if (text := _token(options.get(name)))),
        settings.get("pad_token_id"),
        *(backend.token_to_id(text) for name in ("eos_token",) if (text := _token(options.get(name)))),
        *(settings["eos_token_id"] if isinstance(settings.get("eos_token_id"), list) else [settings.get("eos_token_id")]),
    ]
    vocabulary = settings.get("vocab_size") or backend.get_vocab_size()
    return next((i for i in ids if isinstance(i, int) and 0 <= i < vocabulary), 0)


def _token(entry: Any) -> str | None:
    """A special token out of tokenizer_config.json, where it is a string or an object with its content."""
    content = entry.get("content") if isinstance(entry, dict) else entry
    return content if isinstance(content, str) else None
