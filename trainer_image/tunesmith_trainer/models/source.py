"""From a model's URI to a checked folder on this machine."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith_trainer.models import hub
from tunesmith_trainer.models.folder import BELONGS, LocalModel, check, digest, require_weights, unavailable
from tunesmith_trainer.storage.errors import Missing, reading

if TYPE_CHECKING:
    from tunesmith_trainer.storage.folder import Folder
    from tunesmith_trainer.storage.stores import Stores

__all__ = ["LocalModel", "resolve"]


def resolve(uri: str, *, stores: Stores, cache: Path, environ: Mapping[str, str]) -> LocalModel:
    """Bring a model to this machine and check it.

    A folder of this machine is used in place; a bucket's objects are kept under cache/models; hf://org/name[@revision] is looked
    for in TUNESMITH_HF_MIRROR (a path or URI laid out org/name/, a revision org/name@revision/), then on the hub.
    safetensors only; code is never run.
    """
    if uri.startswith("hf:"):
        path, revision = _from_hub(uri, stores=stores, cache=cache, environ=environ)
    else:
        path, revision = _local(stores.folder(uri), cache), None
    with reading(uri):
        check(path, uri)
        return LocalModel(uri, path, digest(path, cache / "models"), revision)


def _from_hub(uri: str, *, stores: Stores, cache: Path, environ: Mapping[str, str]) -> tuple[Path, str | None]:
    """A hub's model and its commit, which a mirror does not tell."""
    hub_id, tried = hub.parse(uri), []
    if mirror := environ.get(hub.MIRROR):
        folder = stores.folder(hub.mirrored(hub_id, mirror))
        if folder.exists("config.json"):
            return _local(folder, cache), None
        tried = [f"{hub.MIRROR} has no {folder.uri}/config.json"]
    path = hub.fetch(hub_id, uri, tried, environ)
    return path, path.name


def _local(folder: Folder, cache: Path) -> Path:
    return folder.local_path if folder.local_path is not None else _download(folder, cache)


def _download(folder: Folder, cache: Path) -> Path:
    """A bucket's model, in a folder named by the versions of its objects; half a download is never seen."""
    found = {entry.name: entry for entry in folder.list()}
    require_weights(sorted(found), folder.uri)
    wanted = sorted(filter(BELONGS.fullmatch, found))
    key = hashlib.sha256("\n".join([folder.uri, *(f"{n}\0{found[n].size}\0{found[n].version}" for n in wanted)]).encode()).hexdigest()[:32]
    home = cache / "models" / key
    if home.is_dir():
        return home
    draft = home.with_name(f"{key}.{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        for name in wanted:
            folder.download(name, draft / name)
        try:
            draft.rename(home)
        except OSError:
            if not home.is_dir():  # else another process was first; what it fetched is the same
                raise
    except Missing as gone:
        raise unavailable(f"{gone.uri} was removed while the model was fetched", "Try again once the model is complete.") from gone
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return home
