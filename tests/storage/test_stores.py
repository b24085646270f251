"""What a URI reaches: files beside the manifest, a bucket, a folder that stands for one; globs; and what is said when it fails."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest

from tunesmith_api.protocol import Failure, Reason
from tunesmith_trainer.storage.patterns import matches
from tunesmith_trainer.storage.stores import Stores

AWS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_ENDPOINT_URL")


def failing(action: Any, reason: Reason) -> Failure:
    with pytest.raises(Failure) as caught:
        action()
    assert caught.value.reason is reason, caught.value.message
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize(
    "uri", ["file:data/x.csv", "file:./data/x.csv", "file:../{base}/data/x.csv", "file://{top}/data/x.csv", "file:{top}/data/x.csv"]
)
def test_file_uris_start_at_the_manifests_folder(uri: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/x.csv").write_text("a")
    (entry,) = Stores(tmp_path).glob(uri.format(base=tmp_path.name, top=tmp_path))
    assert entry.path is not None
    assert entry.path.read_text() == "a"


def test_a_file_beside_the_manifest_keeps_the_name_that_was_written(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a")
    assert [entry.uri for entry in Stores(tmp_path).glob("file:x.csv")] == ["file:x.csv"]


@pytest.mark.parametrize("uri", ["s3://", "s3:///x", "ftp://x/y", "x.csv", "s3://b/../c", "file://host/x"])
def test_what_names_no_place_is_refused(uri: str, tmp_path: Path) -> None:
    assert uri in failing(lambda: Stores(tmp_path).folder(uri), Reason.INVALID_SPEC).message


def test_a_folder_stands_for_every_store(tmp_path: Path) -> None:
    stores = Stores(tmp_path, tmp_path / "store")
    for scheme in ("s3", "gs", "az"):
        stores.folder(f"{scheme}://models/{scheme}").write("x", b"1")
        assert (tmp_path / "store/models" / scheme / "x").read_bytes() == b"1"
    assert stores.glob("s3://nothing/here.csv") == []
    assert not (tmp_path / "store/nothing").exists()


@pytest.mark.parametrize("kind", ["s3", "file"])
def test_globs_find_the_same_everywhere(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    if kind == "s3":
        stores: Stores = request.getfixturevalue("on_s3")
        top = f"s3://{request.getfixturevalue('s3_server').bucket()}"
    else:
        stores, top = Stores(tmp_path), "file:data"
    folder = stores.folder(top)
    for name in ["a.csv", "b.csv", "b1.csv", ".c.csv", "sub/d.csv", "sub/deep/e.csv", "x[1].csv", "x1.csv", ".h/f.csv", "a.csv.gz"]:
        folder.write(name, name.encode())

    def found(pattern: str) -> list[str]:
        return [entry.uri.removeprefix(f"{top}/") for entry in stores.glob(f"{top}/{pattern}")]

    assert found("*.csv") == ["a.csv", "b.csv", "b1.csv", "x1.csv", "x[1].csv"]
    assert found("b?.csv") == ["b1.csv"]
    assert found("[!b]*.csv") == ["a.csv", "x1.csv", "x[1].csv"]
    assert found("x[1].csv") == ["x[1].csv"]
    assert found("*/*.csv") == ["sub/d.csv"]
    assert found("**/*.csv") == ["a.csv", "b.csv", "b1.csv", "sub/d.csv", "sub/deep/e.csv", "x1.csv", "x[1].csv"]
    assert found("sub/**") == ["sub/d.csv", "sub/deep/e.csv"]
    assert found("sub") == ["sub/d.csv", "sub/deep/e.csv"]
    assert found("a.csv") == ["a.csv"]
    assert found("nothing*") == []
    (entry,) = stores.glob(f"{top}/sub/d.csv")
    stores.download(entry, tmp_path / "here")
    assert (tmp_path / "here").read_bytes() == b"sub/d.csv"


@pytest.mark.parametrize(
    ("name", "pattern", "fits"),
    [
        ("a", "**", True),
        ("a/b", "**", True),
        (".a", "**", False),
        ("a/b/c", "a/**/c", True),
        ("a/c", "a/**/c", True),
        ("a/.b/c", "a/**/c", False),
        ("a", "a/**", False),
    ],
)
def test_any_number_of_segments(name: str, pattern: str, fits: bool) -> None:
    assert matches(name, pattern) is fits


def test_linked_files_are_read_and_loops_end(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs/1").write_text("x")
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").symlink_to("../blobs/1")
    (tmp_path / "model/broken").symlink_to("nowhere")
    (tmp_path / "model/loop").symlink_to(".")
    assert [entry.name for entry in Stores(tmp_path).folder("file:model").list()] == ["config.json"]


def test_a_folder_that_a_console_made_is_no_file(on_s3: Stores, s3_server: Any) -> None:
    name = s3_server.bucket()
    client = boto3.client("s3")
    for key in ("data/", "data/sub/", "data/sub/x.csv", "data/empty.csv"):
        client.put_object(Bucket=name, Key=key, Body=b"")
    assert [entry.name for entry in on_s3.folder(f"s3://{name}/data").list()] == ["empty.csv", "sub/x.csv"]


def test_a_profile_gives_keys_region_and_endpoint(s3_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in AWS:
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "credentials").write_text(
        f"[team]\naws_access_key_id = {s3_server.access_key}\naws_secret_access_key = {s3_server.secret_key}\n"
    )
    (tmp_path / "config").write_text(f"[profile team]\nregion = us-east-1\nendpoint_url = {s3_server.endpoint}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "team")
    folder = Stores(tmp_path).folder(f"s3://{s3_server.bucket()}/x")
    folder.write("y", b"1")
    assert folder.read("y") == b"1"
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert "nobody" in failing(lambda: Stores(tmp_path).folder("s3://bucket/x"), Reason.STORAGE_DENIED).message


def test_no_credentials_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*AWS, "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    failure = failing(lambda: Stores(tmp_path).folder("s3://bucket/x"), Reason.STORAGE_DENIED)
    assert "no AWS credentials" in failure.message
    assert "AWS_ACCESS_KEY_ID" in failure.remedy


@pytest.mark.parametrize(("variable", "said"), [("AWS_SECRET_ACCESS_KEY", "SignatureDoesNotMatch"), ("AWS_ACCESS_KEY_ID", "access key ID")])
def test_a_wrong_key_is_denied_by_name_and_not_shown(
    variable: str, said: str, on_s3: Stores, s3_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "wrong-value")
    folder = on_s3.folder(f"s3://{s3_server.bucket()}/x")
    for action in (lambda: folder.write("y", b""), lambda: folder.read("y"), folder.list, lambda: folder.write_new("y", b"")):
        failure = failing(action, Reason.STORAGE_DENIED)
        assert said in failure.message
        assert folder.uri in failure.message
        assert variable in failure.remedy
        assert "wrong-value" not in failure.message
        assert s3_server.secret_key not in failure.message


def test_a_bucket_that_is_not_there(on_s3: Stores, tmp_path: Path) -> None:
    folder = on_s3.folder("s3://no-such-bucket/x")
    (tmp_path / "big").write_bytes(bytes(20 << 20))
    actions = [
        lambda: folder.write("y", b""),
        lambda: folder.write_new("y", b""),
        lambda: folder.upload("y", tmp_path / "big"),
        lambda: folder.read("y"),
        folder.list,
        lambda: on_s3.glob("s3://no-such-bucket/x.csv"),
    ]
    for action in actions:
        failure = failing(action, Reason.STORAGE_DENIED)
        assert "bucket no-such-bucket does not exist" in failure.message


def test_a_bucket_that_goes_away(on_s3: Stores, s3_server: Any) -> None:
    name = s3_server.bucket()
    folder = on_s3.folder(f"s3://{name}/x")
    folder.write("y", b"1")
    shutil.rmtree(s3_server.data / name)
    assert name in failing(lambda: folder.write("z", b"1"), Reason.STORAGE_DENIED).message
    assert name in failing(lambda: folder.read("y"), Reason.STORAGE_DENIED).message


def test_a_server_that_does_not_listen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        for name, value in zip(AWS, ("key", "secret", "us-east-1", f"http://127.0.0.1:{taken.getsockname()[1]}"), strict=True):
            monkeypatch.setenv(name, value)
        failure = failing(Stores(tmp_path).folder("s3://bucket/x").list, Reason.STORAGE_UNAVAILABLE)
    assert "s3://bucket/x" in failure.message
    assert "Connection refused" in failure.message
    assert "endpoint" in failure.remedy


@pytest.mark.parametrize("endpoint", ["nonsense", "http://", "localhost:9000", "http://a b"])
def test_an_endpoint_that_is_no_url(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(AWS, ("key", "secret", "us-east-1", endpoint), strict=True):
        monkeypatch.setenv(name, value)
    assert "AWS_ENDPOINT_URL" in failing(lambda: Stores(tmp_path).folder("s3://bucket/x"), Reason.STORAGE_DENIED).message


@pytest.mark.parametrize("bucket", ["a b", "x", "bücket", "b?"])
def test_a_bucket_name_that_cannot_be(bucket: str, on_s3: Stores) -> None:
    assert bucket in failing(lambda: on_s3.folder(f"s3://{bucket}/x"), Reason.INVALID_SPEC).message


def test_google_and_azure_say_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("GOOGLE_", "AZURE_"))]:
        monkeypatch.delenv(name)
    assert "AZURE_STORAGE_ACCOUNT_NAME" in failing(lambda: Stores(tmp_path).folder("az://bucket/x"), Reason.STORAGE_DENIED).remedy
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    failure = failing(lambda: Stores(tmp_path).folder("gs://bucket/x"), Reason.STORAGE_DENIED)
    assert "none.json" in failure.message
    assert "GOOGLE_APPLICATION_CREDENTIALS" in failure.remedy


def test_a_file_where_a_folder_is_needed(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    folder = Stores(tmp_path).folder("file:out")
    for action in (lambda: folder.write("model/x", b""), lambda: folder.write_new("x", b"")):
        assert str(tmp_path / "out") in failing(action, Reason.STORAGE_DENIED).message


FULL = """
import sys
from pathlib import Path
from tunesmith_api.protocol import Failure
from tunesmith_trainer.storage.stores import Stores
folder = Stores(Path(sys.argv[1])).folder("file:out")
folder.write("small", b"kept")
try:
    folder.write("big", bytes(4 << 20))
except Failure as failure:
    print(failure.reason.value, failure.message, failure.remedy)
print(sorted(p.name for p in (Path(sys.argv[1]) / "out").iterdir()))
"""


def output_of(command: list[str], limit: int | None = None) -> str:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit or resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    environ = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, env=environ, check=True, stdout=subprocess.PIPE, text=True, preexec_fn=limited).stdout


def test_a_file_larger_than_this_process_may_write(tmp_path: Path) -> None:
    said = output_of([sys.executable, "-c", FULL, str(tmp_path)], limit=1 << 20)
    assert said.startswith("StorageUnavailable file:out/big: disk full")
    assert said.endswith("['small']\n")


def small_disk(at: Path, options: str) -> list[str]:
    """The start of a command that sees a small file system of its own at a folder."""
    mount = f'mount -t tmpfs -o {options} none "$1" && shift && exec "$@"'
    command = ["unshare", "--mount", "--map-root-user", "sh", "-c", mount, "sh", str(at)]
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets no test mount a small file system")
    return command


def test_a_output_of(tmp_path: Path) -> None:
    said = output_of([*small_disk(tmp_path, "size=1m"), sys.executable, "-c", FULL, str(tmp_path)])
    assert said.startswith("StorageUnavailable file:out/big: disk full (No space left on device)")
    assert "Free space" in said
    assert said.endswith("['small']\n")


READ_ONLY = """
import sys
from pathlib import Path
from tunesmith_api.protocol import Failure
from tunesmith_trainer.storage.stores import Stores
try:
    Stores(Path(sys.argv[1])).folder("file:out").write("x", b"")
except Failure as failure:
    print(failure.reason.value, failure.message, failure.remedy)
"""


def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    said = output_of([*small_disk(tmp_path, "ro"), sys.executable, "-c", READ_ONLY, str(tmp_path)])
    assert said.startswith("StorageDenied file:out/x")
    assert "Read-only file system" in said
