"""A real S3 server for the tests: versitygw, on a free port of this machine."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tunesmith_trainer.storage.folder import Folder
from tunesmith_trainer.storage.stores import Stores

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class S3Server:
    """The server's address, its keys, and the folder whose sub-folders are its buckets."""

    endpoint: str
    access_key: str
    secret_key: str
    data: Path

    @property
    def environ(self) -> dict[str, str]:
        """The standard variables that reach it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": "us-east-1",
        }

    def bucket(self) -> str:
        """A new bucket of its own."""
        name = f"bucket-{secrets.token_hex(4)}"
        (self.data / name).mkdir()
        return name


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """The server, for the whole session."""
    program = subprocess.run([ROOT / "tools/versitygw.sh"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    top = tmp_path_factory.mktemp("s3")
    data, sidecar = top / "data", top / "sidecar"
    data.mkdir()
    sidecar.mkdir()
    address = f"127.0.0.1:{free_port()}"
    server = S3Server(f"http://{address}", "tester", secrets.token_hex(8), data)
    keys = {"ROOT_ACCESS_KEY_ID": server.access_key, "ROOT_SECRET_ACCESS_KEY": server.secret_key}
    command = [program, "--port", address, "posix", "--sidecar", str(sidecar), str(data)]
    with (top / "log").open("wb") as log:
        process = subprocess.Popen(command, env=os.environ | keys, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        wait_for_answer(server.endpoint, process, top / "log")
        yield server
    finally:
        process.terminate()
        process.wait(timeout=30)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_answer(endpoint: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return once the server answers, whatever it says."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(endpoint, timeout=10)
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"the S3 server did not start: {log.read_text()}")


@pytest.fixture
def on_s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stores:
    """Stores whose s3:// is the test server."""
    for name, value in s3_server.environ.items():
        monkeypatch.setenv(name, value)
    return Stores(tmp_path)


@pytest.fixture(params=["s3", "file", "buckets"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    """An empty folder of each kind of store."""
    if request.param == "file":
        return Stores(tmp_path).folder("file:out")
    if request.param == "buckets":
        return Stores(tmp_path, tmp_path / "store").folder("s3://models/out")
    server: S3Server = request.getfixturevalue("s3_server")
    stores: Stores = request.getfixturevalue("on_s3")
    return stores.folder(f"s3://{server.bucket()}/out")
