"""A model's folder: which files belong to a model, what is refused, and the digest of what is left."""

from __future__ import annotations

import hashlib
import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith_api.protocol import Failure, Reason

BELONGS = re.compile(
    r"(model[^/]*\.safetensors|[^/]+\.json|[^/]+\.txt|[^/]+\.model|[^/]+\.jinja|README\.md|(LICEN[SC]E|NOTICE)[^/]*|\d+_\w+/[^/]+\.(json|safetensors))"
)
"""Names of the files that are fetched; weights in pickle and code are never among them."""
DECIDES = re.compile(
    r"(model[^/]*\.safetensors|model\.safetensors\.index\.json|config\.json|tokenizer[^/]*|special_tokens_map\.json|added_tokens\.json"
    r"|vocab\.\w+|merges\.txt|[^/]+\.model|modules\.json|sentence_bert_config\.json|\d+_\w+/[^/]+\.(json|safetensors))"
)
"""Names of the files that decide what the model computes: the digest is taken over these."""
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt", ".h5", ".msgpack")
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


@dataclass(frozen=True)
class LocalModel:
    """A model in a folder of this machine, checked."""

    uri: str
    """Where it came from."""
    path: Path
    digest: str
    """Over the files that decide what it computes (sha256:...)."""
    revision: str | None = None
    """The hub's commit."""


def unavailable(message: str, remedy: str) -> Failure:
    """The failure of a model that cannot be used: what and where, and what to do."""
    return Failure(Reason.MODEL_UNAVAILABLE, message, remedy)


def read_json(path: Path, where: str) -> dict[str, Any]:
    """An object out of a JSON file of the model; `where` names the file in the error."""
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise unavailable(f"{where} is missing", "Copy the whole model folder, as save_pretrained writes it.") from None
    except (ValueError, RecursionError) as error:
        raise unavailable(f"{where} is not JSON: {error}", "Copy the file again; it may have been cut off.") from None
    if not isinstance(content, dict):
        raise unavailable(f"{where} holds no JSON object", "Copy the file again from the model's source.")
    return content


def require_weights(names: list[str], uri: str) -> None:
    """Refuse a listing without safetensors weights, saying what is there instead."""
    if "adapter_config.json" in names:  # transformers would follow it to a base model elsewhere
        raise unavailable(
            f"{uri} holds an adapter, not a whole model", "Name the base model, or publish a merged model (method.lora.merge: true)."
        )
    if WEIGHTS in names or INDEX in names:
        return
    if not names:
        raise unavailable(f"{uri}: no such model folder, or it is empty", "Check the path, and that it was copied to this place.")
    if pickles := sorted(n for n in names if "/" not in n and n.endswith(PICKLES)):
        raise unavailable(
            f"{uri} holds its weights only as {', '.join(pickles[:3])}: pickle can run code when it is read, so it is refused",
            "Convert them where you trust them: AutoModel.from_pretrained(DIR).save_pretrained(OUT) writes model.safetensors.",
        )
    if "model/config.json" in names:
        raise unavailable(f"{uri} holds no weights itself; its folder model/ does", f"Write {uri.rstrip('/')}/model")
    raise unavailable(f"{uri} holds neither {WEIGHTS} nor {INDEX}", "Name a folder in Hugging Face layout with safetensors weights.")


def listing(path: Path) -> list[str]:
    """Names of the files in a folder and one level below."""
    return sorted(p.relative_to(path).as_posix() for p in [*path.glob("*"), *path.glob("*/*")] if p.is_file())


def shards(path: Path, uri: str) -> list[str]:
    """Names of the weight files; an index that names a file elsewhere is refused."""
    if (path / WEIGHTS).exists():
        return [WEIGHTS]
    weight_map = read_json(path / INDEX, f"{uri}/{INDEX}").get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise unavailable(f"{uri}/{INDEX} has no weight_map", "Copy the file again from the model's source.")
    named = {str(name) for name in weight_map.values()}
    for name in sorted(named):
        if not re.fullmatch(r"[\w.-]+\.safetensors", name) or name.startswith("."):
            raise unavailable(
                f"{uri}/{INDEX} names {name[:200]!r} as a weight file: only plain *.safetensors names beside it are read",
                "Do not use this model unless you trust where it comes from; then repair the index.",
            )
        if not (path / name).exists():
            raise unavailable(
                f"{uri}/{name} is missing, but {INDEX} names it", "Copy the missing file; the download may have been cut off."
            )
    return sorted(named)


def check(path: Path, uri: str) -> None:
    """Refuse a folder that is no model, brings code along, or reaches outside of itself."""
    names = listing(path) if path.is_dir() else []
    require_weights(names, uri)
    inside = _root(path)
    for name in filter(BELONGS.fullmatch, names):
        if not (path / name).resolve().is_relative_to(inside):
            raise unavailable(
                f"{uri}/{name} is a link to a place outside of the model's folder", "Replace the link by the file itself (cp -L)."
            )
    for name in ("config.json", "tokenizer_config.json"):
        if (name in names or name == "config.json") and "auto_map" in read_json(path / name, f"{uri}/{name}"):
            raise unavailable(
                f"{uri}/{name} has an auto_map: the model wants to run code that it brings along, which is refused",
                "Use a model whose architecture is part of the transformers library.",
            )
    shards(path, uri)


def _root(path: Path) -> Path:
    """The folder that links may point into: the model's own; in a hub cache (snapshots/COMMIT) the repository's."""
    resolved = path.resolve()
    return resolved.parents[1] if resolved.parent.name == "snapshots" else resolved


def digest(path: Path, memory: Path) -> str:
    """Digest over the names and contents of the files that decide what the model computes."""
    total = hashlib.sha256()
    for name in filter(DECIDES.fullmatch, listing(path)):
        total.update(f"{name}\0{_file_digest((path / name).resolve(), memory)}\n".encode())
    return f"sha256:{total.hexdigest()}"


def _file_digest(path: Path, memory: Path) -> str:
    """sha256 of a file, remembered for as long as its size and time stay."""
    stat = path.stat()
    key = hashlib.sha256(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}".encode()).hexdigest()
    remembered = memory / "digests" / key
    if remembered.exists() and len(known := remembered.read_text()) == 64:
        return known
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    with suppress(OSError):  # remembering only saves time: a full cache is no fault of the model's
        remembered.parent.mkdir(parents=True, exist_ok=True)
        draft = remembered.with_suffix(f".{os.getpid()}")
        draft.write_text(found)
        draft.replace(remembered)
    return found
