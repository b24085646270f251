"""Models of the Hugging Face hub: a mirror first, then the hub, then what was fetched before."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import NoReturn

from huggingface_hub import HfApi, get_cached_repo_tree, snapshot_download
from huggingface_hub.errors import (
    CachedRepoTreeNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import disable_progress_bars

from tunesmith_api.protocol import Failure, Reason
from tunesmith_trainer.models.folder import BELONGS, require_weights, unavailable

MIRROR = "TUNESMITH_HF_MIRROR"
TIMEOUT = 10.0
"""Seconds that the hub may take for its first answer."""
_ID = re.compile(r"hf://(?P<org>\w[\w.-]{0,95})/(?P<name>\w[\w.-]{0,95})(@(?P<revision>\w[\w./-]{0,127}))?")


@dataclass(frozen=True)
class HubId:
    """What an hf:// URI names."""

    org: str
    name: str
    revision: str | None

    @property
    def repository(self) -> str:
        """The hub's name of it."""
        return f"{self.org}/{self.name}"


def parse(uri: str) -> HubId:
    """The parts of hf://org/name[@revision]."""
    found = _ID.fullmatch(uri)
    if found is None or ".." in uri:
        raise unavailable(
            f"{uri} is no hub id: it is written hf://org/name or hf://org/name@revision",
            "Write the organisation too, such as hf://sentence-transformers/all-MiniLM-L6-v2.",
        )
    return HubId(**found.groupdict())


def mirrored(hub_id: HubId, mirror: str) -> str:
    """URI of a model's folder in a mirror laid out org/name/; a revision has a folder of its own, org/name@revision/."""
    top = mirror.rstrip("/") if re.match(r"[a-z0-9]+:", mirror) else Path(mirror).expanduser().absolute().as_uri()
    return f"{top}/{hub_id.repository}" + (f"@{hub_id.revision}" if hub_id.revision else "")


def fetch(hub_id: HubId, uri: str, tried: list[str], environ: Mapping[str, str]) -> Path:
    """The snapshot of a hub's model in the hub's own cache; `tried` says where it was looked for before."""
    cache = environ.get("HF_HUB_CACHE") or (f"{environ['HF_HOME']}/hub" if environ.get("HF_HOME") else None)
    if any(environ.get(name, "").upper() in {"1", "ON", "YES", "TRUE"} for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")):
        return _cached(hub_id, cache) or _give_up(uri, [*tried, "HF_HUB_OFFLINE is set and the hub's cache does not hold all of it"])
    endpoint, token = environ.get("HF_ENDPOINT"), environ.get("HF_TOKEN")
    try:  # asked once, without the retries that make an unreachable hub cost half a minute
        info = HfApi(endpoint=endpoint, token=token).model_info(hub_id.repository, revision=hub_id.revision, timeout=TIMEOUT)
    except HTTPError as error:
        if (snapshot := _cached(hub_id, cache)) is not None:
            return snapshot
        if isinstance(error, HfHubHTTPError) and (error.response.status_code >= 500 or error.response.status_code == 429):
            raise _broken_off(uri, error) from error
        _give_up(uri, [*tried, _why(error)])
    names = [file.rfilename for file in info.siblings or []]
    require_weights(names, uri)
    wanted = [escape(name) for name in names if BELONGS.fullmatch(name)]
    try:
        disable_progress_bars()
        snapshot = Path(
            snapshot_download(
                hub_id.repository, revision=info.sha, cache_dir=cache, endpoint=endpoint, token=token, allow_patterns=wanted, max_workers=4
            )
        )
    except GatedRepoError as error:
        _give_up(uri, [*tried, _why(error)])
    except (HTTPError, OSError) as error:
        raise _broken_off(uri, error) from error
    _remember(hub_id, snapshot)
    return snapshot


def _remember(hub_id: HubId, snapshot: Path) -> None:
    """Let a later run without the hub find the commit under the name that was asked for, as the hub's own library notes it."""
    ref = snapshot.parents[1] / "refs" / (hub_id.revision or "main")
    ref.parent.mkdir(parents=True, exist_ok=True)
    ref.write_text(snapshot.name)


def _cached(hub_id: HubId, cache: str | None) -> Path | None:
    """A complete snapshot of an earlier download, if there is one."""
    try:
        tree = get_cached_repo_tree(hub_id.repository, revision=hub_id.revision, cache_dir=cache)
        wanted = [escape(file.path) for file in tree if BELONGS.fullmatch(file.path)]
    except CachedRepoTreeNotFoundError:  # of a hub library that kept no such list
        wanted = None
    try:
        found = snapshot_download(
            hub_id.repository, revision=hub_id.revision, cache_dir=cache, local_files_only=True, allow_patterns=wanted
        )
    except LocalEntryNotFoundError:
        return None
    return Path(found)


def _broken_off(uri: str, error: Exception) -> Failure:
    remedy = f"It is tried again and goes on where it stopped; or set {MIRROR} to a path or URI that holds a copy in org/name/."
    return Failure(Reason.STORAGE_UNAVAILABLE, f"{uri}: the download from the hub broke off ({_why(error)})", remedy)


def _why(error: Exception) -> str:
    """The hub's answer, or that there was none, in a few words."""
    match error:
        case GatedRepoError():
            return "the hub lends it only to those who accepted its terms"
        case RevisionNotFoundError():
            return "the hub has no such revision of it"
        case RepositoryNotFoundError():
            return "the hub has no such model, or not for this token"
        case HfHubHTTPError():
            return f"the hub answered {error.response.status_code}"
    return f"the hub cannot be reached: {type(error).__name__} {str(error)[:200]}".rstrip()


def _give_up(uri: str, tried: list[str]) -> NoReturn:
    raise unavailable(
        f"{uri} cannot be had: {'; '.join(tried)}",
        f"Check the name; give HF_TOKEN for a private or gated model; or set {MIRROR} to a path or URI that holds a copy in org/name/; "
        "or name a folder (file:) or a bucket instead.",
    )
