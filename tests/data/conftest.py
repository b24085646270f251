"""A folder to put data files into, and a way to prepare them with a real tokenizer whose tokens can be counted by hand."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import zstandard
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from tunesmith_api.protocol import VERDICTS, Failure, Reason
from tunesmith_api.tuning import Dataset
from tunesmith_trainer.data.prepare import PreparedData, prepare
from tunesmith_trainer.data.sources import fetch_from
from tunesmith_trainer.models.tokenizer import ModelTokenizer
from tunesmith_trainer.storage.stores import Stores

ROWS = [("I lost my card", "lost"), ("Where is my card?", "where"), ("My card is gone", "lost"), ("Is it here yet", "where")]


def byte_tokenizer() -> ModelTokenizer:
    """One token a byte, [CLS] in front and [SEP] behind each text: a text of n bytes has n + 2 tokens."""
    alphabet = ["[PAD]", "[CLS]", "[SEP]", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    backend = Tokenizer(models.BPE(vocab={text: i for i, text in enumerate(alphabet)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.add_special_tokens(["[PAD]", "[CLS]", "[SEP]"])
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return ModelTokenizer(backend, context_length=512, pad_id=0, type_vocabulary=2, truncation_side="right")


def csv_text(rows: Sequence[tuple[str, str]], header: str = "text,label") -> str:
    quoted = (",".join('"{}"'.format(value.replace('"', '""')) for value in row) for row in rows)
    return "\n".join([header, *quoted]) + "\n"


@dataclass
class Workshop:
    """A folder of data files and the cache beside it."""

    folder: Path
    cache: Path
    tokenizer: ModelTokenizer = field(default_factory=byte_tokenizer)
    reads: list[tuple[int, int]] = field(default_factory=list)

    def put(self, name: str, content: str | bytes | Sequence[Any]) -> str:
        """Write a file, compressed as its name says; rows become csv or jsonl. Returns its URI."""
        if not isinstance(content, (str, bytes)):
            content = "".join(json.dumps(row) + "\n" for row in content) if ".json" in name else csv_text(content)
        data = content.encode() if isinstance(content, str) else content
        data = gzip.compress(data) if name.endswith(".gz") else zstandard.compress(data) if name.endswith(".zst") else data
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_bytes(data)
        return f"file:{name}"

    def prepare(
        self,
        train: str,
        evaluation: str | None = None,
        *,
        objective: str = "classification",
        max_length: int = 64,
        slices: tuple[str, ...] = (),
        **options: Any,
    ) -> PreparedData:
        """Prepare files by their URIs; the options are those of the manifest, in camelCase."""
        given = options.pop("format", None)
        sources = {"train": {"uri": train, "format": given}} | ({"evaluation": {"uri": evaluation}} if evaluation else {})
        return prepare(
            Dataset.model_validate(sources | options),
            objective,
            self.tokenizer,
            max_length,
            slices,
            fetch=fetch_from(Stores(self.folder), self.cache),
            cache=self.cache,
            emit=lambda done, total: self.reads.append((done, total)),
        )

    def refused(self, train: str, evaluation: str | None = None, **options: Any) -> Failure:
        """The failure that these files lead to: always the data's fault, exit code 65, with a remedy, and nothing left in the cache."""
        with pytest.raises(Failure) as caught:
            self.prepare(train, evaluation, **options)
        assert caught.value.reason is Reason.DATASET_INVALID
        assert VERDICTS[caught.value.reason].exit_code == 65
        assert caught.value.remedy.endswith((".", "?"))
        assert not [path for path in (self.cache / "prepared").glob("*") if path.is_dir()]
        return caught.value


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    (tmp_path / "data").mkdir()
    return Workshop(tmp_path / "data", tmp_path / "cache")


@pytest.fixture
def rows() -> list[tuple[str, str]]:
    """Four rows of two labels."""
    return list(ROWS)


@pytest.fixture
def texts() -> Callable[[PreparedData], list[str]]:
    return lambda data: [data.train.text(i) for i in range(len(data.train))]
