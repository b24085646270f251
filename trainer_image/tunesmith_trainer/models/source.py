"""From a model's URI to a checked folder on this machine."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith_trainer.models.folder import BELONGS, LocalModel, check, digest, require_weights

if TYPE_CHECKING:
    from tunesmith_trainer.storage.folder import Folder
    from tunesmith_trainer.storage.stores import Stores

__all__ = ["LocalModel", "resolve"]


def resolve(uri: str, *, stores: Stores, cache: Path, environ: Mapping[str, str]) -> LocalModel:
    """Bring a model to this machine and check it.

    A folder of this machine is used in place; a bucket's objects are kept under cache/models; hf://org/name[@revision] is looked
    for in TUNESMITH_HF_MIRROR (a path or URI laid out org/name/), then on the hub. safetensors only; code is never run.
    """
    path, revision = _local(uri, stores=stores, cache=cache), None
    check(path, uri)
    return LocalModel(uri, path, digest(path, cache / "models"), revision)


def _local(uri: str, *, stores: Stores, cache: Path) -> Path:
    folder = stores.folder(uri)
    return folder.local_path if folder.local_path is not None else _download(folder, uri, cache)


def _download(folder: Folder, uri: str, cache: Path) -> Path:
    """A bucket's model, in a folder named by the versions of its objects; half a download is never seen."""
    found = {entry.name: entry for entry in folder.list()}
    require_weights(sorted(found), uri)
    wanted = sorted(filter(BELONGS.fullmatch, found))
    key = hashlib.sha256("\n".join([uri, *(f"{n}\0{found[n].size}\0{found[n].version}" for n in wanted)]).encode()).hexdigest()[:32]
    home = cache / "models" / key
    if home.is_dir():
        return home
    draft = home.with_name(f"{key}.{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    for name in wanted:
        (draft / name).parent.mkdir(parents=True, exist_ok=True)
        folder.download(name, draft / name)
    try:
        draft.rename(home)
    except OSError:  # another process was first; what it fetched is the same
        shutil.rmtree(draft)
    return home
