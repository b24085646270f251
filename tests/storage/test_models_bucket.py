"""A model in a bucket: fetched once, whole or not at all, and never its pickles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from tunesmith_api.protocol import Failure, Reason
from tunesmith_trainer.models.inspect import facts
from tunesmith_trainer.models.source import LocalModel, resolve
from tunesmith_trainer.storage.folder import Folder
from tunesmith_trainer.storage.stores import Stores

CONFIG = {"architectures": ["BertModel"], "model_type": "bert", "max_position_embeddings": 64}
FILES = {
    "config.json": json.dumps(CONFIG).encode(),
    "model.safetensors": save({"w": np.zeros((3, 5), dtype=np.float32)}),
    "1_Pooling/config.json": b'{"pooling_mode": "mean"}',
    "README.md": b"---\nlicense: mit\n---\n",
}
OTHERS = {"pytorch_model.bin": b"pickle", "modeling.py": b"code", "onnx/model.onnx": b"graph", "checkpoint-5/model.safetensors": b"old"}


@pytest.fixture
def bucket(s3_server: Any, on_s3: Stores) -> Folder:
    """A folder of a bucket that holds a model."""
    folder = on_s3.folder(f"s3://{s3_server.bucket()}/models/tiny")
    for name, content in {**FILES, **OTHERS}.items():
        folder.write(name, content)
    return folder


def resolved(folder: Folder, stores: Stores, cache: Path) -> LocalModel:
    return resolve(folder.uri, stores=stores, cache=cache, environ={})


def test_what_belongs_is_fetched(bucket: Folder, on_s3: Stores, tmp_path: Path) -> None:
    model = resolved(bucket, on_s3, tmp_path / "cache")
    fetched = {p.relative_to(model.path).as_posix(): p.read_bytes() for p in model.path.rglob("*") if p.is_file()}
    assert fetched == FILES
    found = facts(model)
    assert (found.uri, found.parameters, found.licence, found.context_length) == (bucket.uri, 15, "mit", 64)
    assert [p.name for p in (tmp_path / "cache/models").iterdir() if p.name != "digests"] == [model.path.name]


def test_it_is_fetched_once_until_it_changes(bucket: Folder, on_s3: Stores, tmp_path: Path) -> None:
    first = resolved(bucket, on_s3, tmp_path)
    (first.path / "mark").touch()
    assert resolved(bucket, on_s3, tmp_path) == first
    assert (first.path / "mark").exists()
    bucket.write("config.json", json.dumps(CONFIG | {"hidden_size": 8}).encode())
    changed = resolved(bucket, on_s3, tmp_path)
    assert changed.path != first.path
    assert changed.digest != first.digest


def test_the_digest_is_the_same_from_anywhere(bucket: Folder, on_s3: Stores, tmp_path: Path) -> None:
    for name, content in FILES.items():
        (tmp_path / "model" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "model" / name).write_bytes(content)
    local = resolve("file:model", stores=on_s3, cache=tmp_path / "cache", environ={})
    assert resolved(bucket, on_s3, tmp_path / "cache").digest == local.digest


def test_a_mirror_in_a_bucket(bucket: Folder, on_s3: Stores, tmp_path: Path) -> None:
    environ = {"TUNESMITH_HF_MIRROR": bucket.uri.removesuffix("/models/tiny"), "HF_HUB_OFFLINE": "1"}
    model = resolve("hf://models/tiny", stores=on_s3, cache=tmp_path, environ=environ)
    assert (model.uri, model.digest) == ("hf://models/tiny", resolved(bucket, on_s3, tmp_path).digest)


@pytest.mark.parametrize(
    ("removed", "said"),
    [(("model.safetensors",), "holds its weights only as pytorch_model.bin"), ((*FILES, *OTHERS), "no such model folder, or it is empty")],
)
def test_what_is_refused_is_not_fetched(removed: tuple[str, ...], said: str, bucket: Folder, on_s3: Stores, tmp_path: Path) -> None:
    bucket.delete(removed)
    with pytest.raises(Failure) as failure:
        resolved(bucket, on_s3, tmp_path / "cache")
    assert failure.value.reason is Reason.MODEL_UNAVAILABLE
    assert failure.value.message.startswith(bucket.uri)
    assert said in failure.value.message
    assert not (tmp_path / "cache").exists()
