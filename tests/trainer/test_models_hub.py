"""hf:// models: the mirror first, then a hub (a local server that speaks its endpoints), then the hub's cache."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tunesmith_api.protocol import Failure, Reason
from tunesmith_trainer.models.source import LocalModel, resolve
from tunesmith_trainer.storage.stores import Stores

Copied = Callable[[str], Path]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """What a hub answers about one model, tiny/bert, at the revisions main and v1."""

    def __init__(self, folder: Path, asked: list[str], *args: object) -> None:
        self.folder, self.asked = folder, asked
        super().__init__(*args)  # type: ignore[arg-type]

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.asked.append(f"{self.command} {path}")
        if self.loses(path):
            return self.answer_error(403, "")
        match path.strip("/").split("/"):
            case ["api", "models", "tiny", "bert", "revision", "main" | "v1"] | ["api", "models", "tiny", "bert"]:
                siblings = [{"rfilename": p.name} for p in self.folder.iterdir()]
                self.answer_json({"id": "tiny/bert", "sha": COMMIT, "siblings": siblings, "private": False})
            case ["api", "models", "tiny", "bert", "tree", revision] if revision == COMMIT:
                self.answer_json([self.described(p) for p in self.folder.iterdir()])
            case ["api", "models", "tiny", "bert", "revision", _]:
                self.answer_error(404, "RevisionNotFound")
            case ["api", "models", "tiny", "gated", *_]:
                self.answer_error(403, "GatedRepo")
            case ["api", "models", "tiny", "broken", *_]:
                self.answer_error(500, "")
            case ["tiny", "bert", "resolve", revision, name] if revision == COMMIT and (self.folder / name).exists():
                self.answer((self.folder / name).read_bytes(), {"X-Repo-Commit": COMMIT, "ETag": f'"{self.etag(self.folder / name)}"'})
            case _:
                self.answer_error(404, "RepoNotFound")

    def loses(self, path: str) -> bool:
        return False

    @staticmethod
    def etag(path: Path) -> str:
        return hashlib.sha1(path.read_bytes()).hexdigest()

    def described(self, path: Path) -> dict[str, object]:
        return {"type": "file", "path": path.name, "size": path.stat().st_size, "oid": self.etag(path)}

    def answer_json(self, content: object) -> None:
        self.answer(json.dumps(content).encode(), {"Content-Type": "application/json"})

    def answer_error(self, status: int, code: str) -> None:
        self.answer(b"", {"X-Error-Code": code} if code else {}, status)

    def answer(self, body: bytes, headers: dict[str, str], status: int = 200) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Lossy(Hub):
    """The same, but it does not give the weights."""

    def loses(self, path: str) -> bool:
        return path.endswith("/model.safetensors")


class Served:
    """A running hub: the folder it serves, and what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked = folder, list[str]()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, folder, self.asked))
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def hub(copied_model: Copied) -> Iterator[Served]:
    served = Served(copied_model("bert"))
    (served.folder / "pytorch_model.bin").write_bytes(b"pickle")
    (served.folder / "modeling.py").write_text("raise SystemExit")
    thread = threading.Thread(target=served.server.serve_forever, args=(0.01,))
    thread.start()
    yield served
    served.server.shutdown()
    thread.join()
    served.server.server_close()


def resolved(uri: str, base: Path, **environ: str) -> LocalModel:
    return resolve(uri, stores=Stores(base), cache=base / "cache", environ={"HF_HUB_CACHE": str(base / "hub"), **environ})


def refused(uri: str, base: Path, **environ: str) -> Failure:
    with pytest.raises(Failure) as failure:
        resolved(uri, base, **environ)
    return failure.value


@pytest.mark.parametrize("revision", ["", "@main", "@v1"])
def test_a_model_is_fetched_without_its_pickles_and_code(revision: str, hub: Served, tmp_path: Path) -> None:
    model = resolved(f"hf://tiny/bert{revision}", tmp_path, HF_ENDPOINT=hub.url)
    assert model.revision == COMMIT
    fetched = {p.name for p in model.path.iterdir()}
    assert fetched == {"model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json", "README.md"}
    assert (model.path / "model.safetensors").read_bytes() == (hub.folder / "model.safetensors").read_bytes()


@pytest.mark.parametrize("revision", ["", "@v1"])
def test_what_was_fetched_once_serves_without_a_network(revision: str, hub: Served, tmp_path: Path) -> None:
    first = resolved(f"hf://tiny/bert{revision}", tmp_path, HF_ENDPOINT=hub.url)
    hub.asked.clear()
    assert resolved(f"hf://tiny/bert{revision}", tmp_path, HF_ENDPOINT=hub.url, HF_HUB_OFFLINE="1") == first
    assert hub.asked == []
    assert resolved(f"hf://tiny/bert{revision}", tmp_path, HF_ENDPOINT=nobody()) == first


def nobody() -> str:
    """An address at which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_a_second_run_fetches_nothing_again(hub: Served, tmp_path: Path) -> None:
    resolved("hf://tiny/bert", tmp_path, HF_ENDPOINT=hub.url)
    hub.asked.clear()
    resolved("hf://tiny/bert", tmp_path, HF_ENDPOINT=hub.url)
    assert not [a for a in hub.asked if a.startswith("GET /tiny/bert/resolve")]


def test_offline_with_nothing_cached(tmp_path: Path) -> None:
    failure = refused("hf://tiny/bert", tmp_path, HF_HUB_OFFLINE="1")
    assert failure.reason is Reason.MODEL_UNAVAILABLE
    assert failure.message == "hf://tiny/bert cannot be had: HF_HUB_OFFLINE is set and the hub's cache does not hold all of it"
    assert "TUNESMITH_HF_MIRROR" in failure.remedy
    assert "HF_TOKEN" in failure.remedy


def test_a_hub_out_of_reach_is_not_asked_twice(tmp_path: Path) -> None:
    failure = refused("hf://tiny/bert", tmp_path, HF_ENDPOINT=nobody())
    assert failure.reason is Reason.MODEL_UNAVAILABLE
    assert failure.message.startswith("hf://tiny/bert cannot be had: the hub cannot be reached: ConnectError")


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("hf://tiny/unknown", "the hub has no such model, or not for this token"),
        ("hf://tiny/bert@v9", "the hub has no such revision of it"),
        ("hf://tiny/gated", "the hub lends it only to those who accepted its terms"),
    ],
)
def test_a_hub_that_refuses(uri: str, said: str, hub: Served, tmp_path: Path) -> None:
    failure = refused(uri, tmp_path, HF_ENDPOINT=hub.url)
    assert (failure.reason, failure.message) == (Reason.MODEL_UNAVAILABLE, f"{uri} cannot be had: {said}")
    assert len(hub.asked) == 1


def test_a_hub_in_trouble_is_worth_another_attempt(hub: Served, tmp_path: Path) -> None:
    failure = refused("hf://tiny/broken", tmp_path, HF_ENDPOINT=hub.url)
    assert failure.reason is Reason.STORAGE_UNAVAILABLE
    assert "the hub answered 500" in failure.message


def test_a_download_that_breaks_off(hub: Served, tmp_path: Path) -> None:
    hub.server.RequestHandlerClass = partial(Lossy, hub.folder, hub.asked)
    failure = refused("hf://tiny/bert", tmp_path, HF_ENDPOINT=hub.url)
    assert failure.reason is Reason.STORAGE_UNAVAILABLE
    assert "the download from the hub broke off" in failure.message
    hub.server.RequestHandlerClass = partial(Hub, hub.folder, hub.asked)
    assert resolved("hf://tiny/bert", tmp_path, HF_ENDPOINT=hub.url).revision == COMMIT


def test_a_hub_model_with_pickle_only_is_refused_before_it_is_fetched(hub: Served, tmp_path: Path) -> None:
    (hub.folder / "model.safetensors").unlink()
    assert "only as pytorch_model.bin" in refused("hf://tiny/bert", tmp_path, HF_ENDPOINT=hub.url).message
    assert len(hub.asked) == 1


@pytest.mark.parametrize(
    "uri", ["hf://bert", "hf://a/b/c", "hf://a/", "hf://a/b@", "hf://a/../b", "hf://a/b@../x", "hf:a/b", "hf://-a/b", "hf://a/b c"]
)
def test_a_malformed_hub_id(uri: str, tmp_path: Path) -> None:
    failure = refused(uri, tmp_path)
    assert failure.reason is Reason.MODEL_UNAVAILABLE
    assert failure.message == f"{uri} is no hub id: it is written hf://org/name or hf://org/name@revision"


@pytest.mark.parametrize("as_uri", [False, True])
def test_the_mirror_is_asked_first(as_uri: bool, copied_model: Copied, tmp_path: Path) -> None:
    shutil.move(copied_model("bert"), tmp_path / "mirror/tiny/bert")
    mirror = f"file://{tmp_path}/mirror/" if as_uri else str(tmp_path / "mirror")
    model = resolved("hf://tiny/bert", tmp_path, TUNESMITH_HF_MIRROR=mirror, HF_ENDPOINT=nobody())
    assert (model.path, model.uri, model.revision) == (tmp_path / "mirror/tiny/bert", "hf://tiny/bert", None)


def test_a_revision_has_its_own_folder_in_the_mirror(copied_model: Copied, tmp_path: Path) -> None:
    shutil.copytree(copied_model("bert"), tmp_path / "mirror/tiny/bert@v1")
    model = resolved("hf://tiny/bert@v1", tmp_path, TUNESMITH_HF_MIRROR=str(tmp_path / "mirror"), HF_HUB_OFFLINE="1")
    assert model.path == tmp_path / "mirror/tiny/bert@v1"
    assert (
        "bert/config.json" in refused("hf://tiny/bert", tmp_path, TUNESMITH_HF_MIRROR=str(tmp_path / "mirror"), HF_HUB_OFFLINE="1").message
    )


def test_a_mirror_in_a_bucket(copied_model: Copied, tmp_path: Path) -> None:
    shutil.move(copied_model("bert"), tmp_path / "buckets/mirror/tiny/bert")
    stores = Stores(tmp_path, tmp_path / "buckets")
    model = resolve("hf://tiny/bert", stores=stores, cache=tmp_path / "cache", environ={"TUNESMITH_HF_MIRROR": "s3://mirror"})
    assert model.path == tmp_path / "buckets/mirror/tiny/bert"


def test_what_the_mirror_lacks_is_asked_of_the_hub(hub: Served, tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    assert resolved("hf://tiny/bert", tmp_path, TUNESMITH_HF_MIRROR=str(tmp_path / "mirror"), HF_ENDPOINT=hub.url).revision == COMMIT


def test_neither_mirror_nor_hub_has_it(tmp_path: Path) -> None:
    failure = refused("hf://tiny/bert", tmp_path, TUNESMITH_HF_MIRROR=str(tmp_path / "mirror"), HF_HUB_OFFLINE="1")
    assert f"TUNESMITH_HF_MIRROR has no file://{tmp_path}/mirror/tiny/bert/config.json" in failure.message
    assert "HF_HUB_OFFLINE is set" in failure.message
