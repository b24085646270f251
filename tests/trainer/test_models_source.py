"""From a URI to a checked folder: what is found, what is refused, and what is said about it."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunesmith_api.protocol import Failure, Reason
from tunesmith_trainer.models import inspect
from tunesmith_trainer.models.source import LocalModel, resolve
from tunesmith_trainer.storage.stores import Stores

Copied = Callable[[str], Path]


def resolved(uri: str, base: Path, buckets: Path | None = None, **environ: str) -> LocalModel:
    return resolve(uri, stores=Stores(base, buckets), cache=base / "cache", environ=environ)


def refused(folder: Path) -> Failure:
    """The failure of a folder that must not get as far as torch; resolving or reading the headers finds it."""
    with pytest.raises(Failure) as failure:
        inspect.tensors(resolved(f"file:{folder.name}", folder.parent))
    assert failure.value.reason is Reason.MODEL_UNAVAILABLE
    assert f"file:{folder.name}" in failure.value.message
    assert failure.value.remedy
    return failure.value


def change(path: Path, **entries: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def split(folder: Path) -> Path:
    """Turn the weights of a folder into two shards with an index."""
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    names = sorted(weights)
    shards = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for shard, inside in shards.items():
        save_file({name: weights[name] for name in inside}, folder / shard, metadata={"format": "pt"})
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": {n: shard for shard, inside in shards.items() for n in inside}}))
    (folder / "model.safetensors").unlink()
    return index


def test_a_folder_is_used_in_place_and_its_facts_are_read(tiny_models: Copied, tmp_path: Path) -> None:
    folder = tiny_models("bert")
    model = resolve("file:bert", stores=Stores(folder.parent), cache=tmp_path, environ={})
    assert model.path == folder
    facts = inspect.facts(model)
    assert (facts.architecture, facts.dtype, facts.context_length) == ("BertModel", "float32", 66)
    assert (facts.licence, facts.languages) == ("apache-2.0", ("en", "de"))
    from transformers import AutoModel

    assert facts.parameters == AutoModel.from_pretrained(folder).num_parameters()


def test_the_digest_follows_the_files_that_decide(copied_model: Copied) -> None:
    folder = copied_model("bert")
    first = resolved(f"file:{folder.name}", folder.parent).digest
    (folder / "README.md").write_text("another card")
    (folder / "notes.txt").write_text("not read by any model")
    assert resolved(f"file:{folder.name}", folder.parent).digest == first
    change(folder / "config.json", layer_norm_eps=1e-6)
    assert resolved(f"file:{folder.name}", folder.parent).digest != first


def test_shards_have_the_same_facts(copied_model: Copied) -> None:
    folder = copied_model("llama")
    whole = inspect.facts(resolved(f"file:{folder.name}", folder.parent))
    split(folder)
    sharded = inspect.facts(resolved(f"file:{folder.name}", folder.parent))
    assert sharded.model_copy(update={"digest": whole.digest}) == whole


def test_a_bucket_is_a_folder_where_one_stands_for_it(copied_model: Copied, tmp_path: Path) -> None:
    shutil.move(copied_model("bert"), tmp_path / "buckets/models/tiny")
    model = resolved("s3://models/tiny", tmp_path, tmp_path / "buckets")
    assert model.uri == "s3://models/tiny"
    assert model.path == tmp_path / "buckets/models/tiny"


def test_a_hub_cache_may_link_to_its_blobs(copied_model: Copied, tmp_path: Path) -> None:
    folder = copied_model("bert")
    snapshot, blobs = tmp_path / "models--o--n/snapshots/abc", tmp_path / "models--o--n/blobs"
    snapshot.mkdir(parents=True)
    shutil.move(folder, blobs)
    for file in blobs.iterdir():
        (snapshot / file.name).symlink_to(os.path.relpath(file, snapshot))
    assert resolved("file:models--o--n/snapshots/abc", tmp_path).digest


def test_a_missing_folder(tmp_path: Path) -> None:
    assert refused(tmp_path / "nowhere").message == "file:nowhere: no such model folder, or it is empty"


def test_pickle_weights(copied_model: Copied) -> None:
    folder = copied_model("bert")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    failure = refused(folder)
    assert "only as pytorch_model.bin: pickle can run code" in failure.message
    assert "save_pretrained" in failure.remedy


def test_no_weights_at_all(copied_model: Copied) -> None:
    folder = copied_model("bert")
    (folder / "model.safetensors").unlink()
    assert "holds neither model.safetensors nor model.safetensors.index.json" in refused(folder).message


def test_the_folder_above_a_published_model(copied_model: Copied, tmp_path: Path) -> None:
    (tmp_path / "published").mkdir()
    shutil.move(copied_model("bert"), tmp_path / "published/model")
    assert refused(tmp_path / "published").remedy == "Write file:published/model"


def test_an_adapter(copied_model: Copied) -> None:
    folder = copied_model("bert")
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "elsewhere/model"}')
    assert "holds an adapter, not a whole model" in refused(folder).message


@pytest.mark.parametrize(
    ("content", "said"), [(None, "is missing"), ("{", "is not JSON"), ("[]", "no JSON object"), ("[" * 10**5, "is not JSON")]
)
def test_a_config_that_cannot_be_read(content: str | None, said: str, copied_model: Copied) -> None:
    folder = copied_model("bert")
    (folder / "config.json").unlink()
    if content is not None:
        (folder / "config.json").write_text(content)
    message = refused(folder).message
    assert f"/config.json {'holds ' * (said.startswith('no '))}{said}" in message


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_code_that_comes_along(name: str, copied_model: Copied) -> None:
    folder = copied_model("bert")
    change(folder / name, auto_map={"AutoModel": "evil.Model"})
    assert f"/{name} has an auto_map: the model wants to run code" in refused(folder).message


@pytest.mark.parametrize(
    "name",
    ["../outside.safetensors", "/etc/passwd", "a/../../b.safetensors", "..\\b.safetensors", "model.bin", "sub/model.safetensors", ""],
)
def test_an_index_that_points_elsewhere(name: str, copied_model: Copied) -> None:
    folder = copied_model("bert")
    index = split(folder)
    (folder.parent / "outside.safetensors").write_bytes(b"")
    change(index, weight_map={"pooler.dense.bias": name})
    failure = refused(folder)
    assert f"model.safetensors.index.json names {name!r} as a weight file" in failure.message


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_link_out_of_the_folder(name: str, copied_model: Copied) -> None:
    folder = copied_model("bert")
    (folder / name).rename(folder.parent / "outside")
    (folder / name).symlink_to(folder.parent / "outside")
    assert f"/{name} is a link to a place outside" in refused(folder).message


def test_a_missing_shard(copied_model: Copied) -> None:
    folder = copied_model("bert")
    split(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()
    assert "/model-00002-of-00002.safetensors is missing, but model.safetensors.index.json names it" in refused(folder).message


@pytest.mark.parametrize("content", ["{}", '{"weight_map": []}', '{"weight_map": {}}'])
def test_an_index_without_a_map(content: str, copied_model: Copied) -> None:
    folder = copied_model("bert")
    split(folder).write_text(content)
    assert "has no weight_map" in refused(folder).message


def header(tensors: dict[str, Any], data: bytes = b"") -> bytes:
    text = json.dumps(tensors).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(**changes: Any) -> dict[str, Any]:
    return {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changes}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "its header is said to take 0 of 0 bytes"),
        (b"\x00\x01", "its header is said to take 0 of 2 bytes"),
        (struct.pack("<Q", 2**63) + b"{}", "its header is said to take 9223372036854775808 of 10 bytes"),
        (struct.pack("<Q", 50) + b"{}", "its header is said to take 50 of 10 bytes"),
        (struct.pack("<Q", 2) + b"{x", "its header is not JSON"),
        (struct.pack("<Q", 2) + b"[]", "its header is not a JSON object"),
        (header({"w": 1}), "tensor 'w' is declared in an unknown way"),
        (header(entry(dtype="F1024"), bytes(8)), "tensor 'w' is declared in an unknown way"),
        (header(entry(shape=[-2]), bytes(8)), "tensor 'w' has an impossible shape or place"),
        (header(entry(shape=[True, 2]), bytes(8)), "tensor 'w' has an impossible shape or place"),
        (header(entry(data_offsets=[8, 0]), bytes(8)), "tensor 'w' has an impossible shape or place"),
        (header(entry(shape=[3]), bytes(8)), "tensor 'w' takes 8 bytes, which is not what its shape and dtype need"),
        (header(entry(), bytes(5)), "tensor 'w' ends 3 bytes after the end of the file, which was cut off"),
    ],
)
def test_a_corrupt_weight_file(content: bytes, said: str, copied_model: Copied) -> None:
    folder = copied_model("bert")
    (folder / "model.safetensors").write_bytes(content)
    failure = refused(folder)
    assert failure.message == f"file:{folder.name}/model.safetensors is no valid safetensors file: {said}"
    assert "checksum" in failure.remedy


def test_a_weight_file_that_was_cut_off(copied_model: Copied) -> None:
    folder = copied_model("bert")
    os.truncate(folder / "model.safetensors", (folder / "model.safetensors").stat().st_size - 100)
    assert "after the end of the file, which was cut off" in refused(folder).message


@pytest.mark.parametrize(
    ("card", "licence", "languages"),
    [
        ("no front matter", None, ()),
        ("---\nlicense: mit\nlanguage: en\n---\n", "mit", ("en",)),
        ("---\nlicense: other\nlicense_name: llama3\nlanguage: [no, sv]\n---\n", "llama3", ("no", "sv")),
        ("---\n{: broken\n---\n", None, ()),
        ("---\n- a list\n---\n", None, ()),
        ("---\nlicense: 7\nlanguage: {en: 1}\n---\n", None, ()),
    ],
)
def test_the_card_says_licence_and_languages(card: str, licence: str | None, languages: tuple[str, ...], copied_model: Copied) -> None:
    folder = copied_model("bert")
    (folder / "README.md").write_text(card)
    facts = inspect.facts(resolved(f"file:{folder.name}", folder.parent))
    assert (facts.licence, facts.languages) == (licence, languages)


@pytest.mark.parametrize(
    ("settings", "limit", "length"),
    [
        ({"max_position_embeddings": 512}, 10**30, 512),
        ({"max_position_embeddings": 512}, 256, 256),
        ({"max_position_embeddings": None, "n_positions": 1024}, None, 1024),
        ({"model_type": "roberta", "pad_token_id": 1, "max_position_embeddings": 514}, 512, 512),
        ({"model_type": "mpnet", "pad_token_id": 1, "max_position_embeddings": 514}, None, 512),
        ({"text_config": {"max_position_embeddings": 4096}}, None, 4096),
        ({"max_position_embeddings": None}, 10**30, None),
        ({"max_position_embeddings": "many"}, None, None),
    ],
)
def test_context_length(settings: dict[str, Any], limit: int | None, length: int | None, copied_model: Copied) -> None:
    folder = copied_model("bert")
    change(folder / "config.json", **settings)
    change(folder / "tokenizer_config.json", model_max_length=limit)
    assert inspect.context_length(resolved(f"file:{folder.name}", folder.parent)) == length


def test_facts_need_neither_torch_nor_transformers(tiny_models: Copied, tmp_path: Path) -> None:
    import subprocess
    import sys

    folder = tiny_models("bert")
    program = (
        "import sys; from pathlib import Path; from tunesmith_trainer.models import inspect, source, tokenizer;"
        "from tunesmith_trainer.storage.stores import Stores;"
        f"m = source.resolve('file:bert', stores=Stores(Path({str(folder.parent)!r})), cache=Path({str(tmp_path)!r}), environ={{}});"
        "inspect.facts(m); tokenizer.load_tokenizer(m); assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
