"""Publishing: whole or not at all, once, over what a killed publish left; and what verify finds afterwards."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tunesmith_api.meta import ApiModel
from tunesmith_api.protocol import Failure, Owner, Reason, ReportEvent, VerificationEvent
from tunesmith_trainer.artifacts import inspect
from tunesmith_trainer.artifacts.manifest import Base, Facts, Manifest, read
from tunesmith_trainer.artifacts.publish import leave, publish, published
from tunesmith_trainer.storage.folder import Folder
from tunesmith_trainer.storage.ownership import claim
from tunesmith_trainer.storage.stores import Stores

FILES = {
    "model/config.json": b"{}",
    "model/model.safetensors": bytes(range(256)) * 1000,
    "README.md": b"# card",
    "report.html": b"<html></html>",
    "report.json": b'{"metrics": {"accuracy": 0.9}}',
}


def owner(uid: str = "me") -> Owner:
    return Owner(uid=uid, name="banking", host="host", pid=os.getpid(), started=psutil.Process().create_time())


def facts(digest: str = "sha256:one", name: str = "banking") -> Facts:
    return Facts(
        name=name,
        kind="TuningJob",
        digest=digest,
        base=Base(uri="hf://a/b", digest="sha256:base"),
        data_digest="sha256:data",
        spec={"model": {"uri": "hf://a/b"}},
        metrics={"accuracy": 0.9},
        headline="accuracy 0.9",
        version="0.1.0",
        created="2026-01-01T00:00:00+00:00",
    )


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    return stage(tmp_path / "staged", FILES)


def stage(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def put(folder: Folder, staged: Path, what: Facts, **options: bool) -> Manifest:
    with claim(folder, owner()) as held:
        return publish(folder, staged, what, held, **options)


def names(folder: Folder) -> list[str]:
    return [entry.name for entry in folder.list()]


def problems(folder: Folder) -> tuple[str, ...]:
    events: list[ApiModel] = []
    word = inspect.verify(folder, events.append)
    (event,) = events
    assert isinstance(event, VerificationEvent)
    assert word.reason is (Reason.ARTIFACT_DAMAGED if event.problems else Reason.SUCCEEDED)
    return event.problems


def failure_of(action: Any) -> Failure:
    with pytest.raises(Failure) as caught:
        action()
    assert caught.value.remedy
    return caught.value


def test_the_manifest_names_every_file(folder: Folder, staged: Path) -> None:
    manifest = put(folder, staged, facts())
    assert names(folder) == sorted([*FILES, "manifest.json"])
    assert manifest.files == {name: f"sha256:{hashlib.sha256(data).hexdigest()}" for name, data in FILES.items()}
    assert manifest.size_bytes == sum(map(len, FILES.values()))
    assert read(folder) == manifest == published(folder, "sha256:one")
    assert json.loads(folder.read("manifest.json"))["dataDigest"] == "sha256:data"
    assert problems(folder) == ()


def test_nothing_is_published_until_it_is(folder: Folder) -> None:
    assert published(folder, "sha256:one") is None
    failure = failure_of(lambda: inspect.verify(folder, lambda _: None))
    assert failure.reason is Reason.MODEL_UNAVAILABLE
    assert folder.uri in failure.message


def test_the_same_digest_is_not_published_twice(folder: Folder, staged: Path, tmp_path: Path) -> None:
    first = put(folder, staged, facts())
    other = stage(tmp_path / "other", {"model/config.json": b"other"})
    assert put(folder, other, facts()) == first
    assert folder.read("model/config.json") == b"{}"


def test_another_artifact_is_kept(folder: Folder, staged: Path) -> None:
    put(folder, staged, facts("sha256:old", name="old-job"))
    for action in (lambda: published(folder, "sha256:new"), lambda: put(folder, staged, facts("sha256:new"))):
        failure = failure_of(action)
        assert failure.reason is Reason.OUTPUT_IN_USE
        assert "TuningJob old-job" in failure.message
        assert folder.uri in failure.message
        assert "overwrite: true" in failure.remedy
    assert problems(folder) == ()


def test_overwrite_replaces_it_and_all_its_files(folder: Folder, staged: Path, tmp_path: Path) -> None:
    put(folder, staged, facts("sha256:old"))
    new = stage(tmp_path / "new", {"adapter/adapter_config.json": b"{}", "report.json": b"{}"})
    assert published(folder, "sha256:new", overwrite=True) is None
    manifest = put(folder, new, facts("sha256:new"), overwrite=True)
    assert read(folder) == manifest
    assert [n for n in names(folder) if "/" in n] == ["adapter/adapter_config.json"]
    assert problems(folder) == ()


def test_a_manifest_that_makes_no_sense(folder: Folder, staged: Path) -> None:
    good = put(folder, staged, facts())
    outside = good.model_copy(update={"files": good.files | {"model/../../x": "sha256:0"}, "sizes": good.sizes | {"model/../../x": 0}})
    for data, said in ((b"{", "Invalid JSON"), (b"{}", "name: Field required"), (outside.encode(), "model/../../x")):
        folder.write("manifest.json", data)
        failure = failure_of(lambda: published(folder, "sha256:one"))
        assert failure.reason is Reason.OUTPUT_IN_USE
        assert said in failure.message
        assert failure_of(lambda: inspect.verify(folder, lambda _: None)).reason is Reason.ARTIFACT_DAMAGED
    put(folder, staged, facts(), overwrite=True)
    assert problems(folder) == ()


def test_verify_names_what_is_damaged_missing_and_extra(folder: Folder, staged: Path) -> None:
    put(folder, staged, facts())
    folder.write("model/model.safetensors", b"x" + FILES["model/model.safetensors"][1:])
    folder.write("report.html", b"shorter")
    folder.delete(["README.md"])
    folder.write("adapter/extra.bin", b"")
    missing, damaged, shorter, extra = problems(folder)
    assert missing == f"{folder.uri}/README.md: missing"
    assert damaged.startswith(f"{folder.uri}/model/model.safetensors: damaged")
    assert shorter == f"{folder.uri}/report.html: 7 bytes, manifest.json says 13"
    assert extra == f"{folder.uri}/adapter/extra.bin: not in manifest.json"


def test_an_artifact_that_lost_a_file_is_published_again(folder: Folder, staged: Path) -> None:
    put(folder, staged, facts())
    folder.delete(["model/model.safetensors"])
    assert published(folder, "sha256:one") is None
    put(folder, staged, facts())
    assert problems(folder) == ()


def test_reports_of_a_gate_not_met_stand_alone(folder: Folder, tmp_path: Path, staged: Path) -> None:
    reports = stage(tmp_path / "reports", {"report.html": b"refused", "report.json": b'{"metrics": {}}'})
    with claim(folder, owner()) as held:
        assert leave(folder, reports, held).uri == folder.uri
    assert names(folder) == ["report.html", "report.json"]
    events: list[ApiModel] = []
    assert "gate" in inspect.report(folder, events.append).message
    put(folder, staged, facts())
    (found,) = events
    assert isinstance(found, ReportEvent)
    assert found.manifest is None
    with claim(folder, owner()) as held:
        assert leave(folder, reports, held).uri == f"{folder.uri}/rejected"
    assert problems(folder) == ()
    put(folder, staged, facts("sha256:better"), overwrite=True)
    assert not any(name.startswith("rejected") for name in names(folder))


def test_the_report_of_a_finished_job(folder: Folder, staged: Path) -> None:
    put(folder, staged, facts())
    events: list[ApiModel] = []
    assert inspect.report(folder, events.append).message == "accuracy 0.9"
    (event,) = events
    assert isinstance(event, ReportEvent)
    assert event.report == {"metrics": {"accuracy": 0.9}}
    assert event.manifest is not None
    assert event.manifest["headline"] == "accuracy 0.9"


@pytest.mark.parametrize(
    "name", ["README.md", "report.json", "report.html", "model/vocab.txt", "adapter/x", "checkpoints/best.pt", "rejected/x"]
)
def test_files_that_no_job_wrote_are_left_alone(name: str, folder: Folder, staged: Path) -> None:
    folder.write(name, b'{"summary": "mine"}')
    for action in (lambda: published(folder, "sha256:one", overwrite=True), lambda: put(folder, staged, facts())):
        failure = failure_of(action)
        assert failure.reason is Reason.OUTPUT_IN_USE
        assert f"holds {name}, which no job wrote" in failure.message
    assert names(folder) == [name]
    assert folder.read(name) == b'{"summary": "mine"}'


def test_checkpoints_of_a_job_are_its_own(folder: Folder, staged: Path) -> None:
    folder.write("checkpoints/0123456789abcdef/step-00000005/complete", b"")
    assert published(folder, "sha256:one") is None
    put(folder, staged, facts())
    assert read(folder) is not None


@pytest.mark.parametrize("strange", ["model/link", "notes.txt", "checkpoints/x"])
def test_only_plain_files_of_the_layout_are_published(strange: str, staged: Path, tmp_path: Path) -> None:
    if strange == "model/link":
        (staged / strange).symlink_to("/etc/passwd")
    else:
        stage(staged, {strange: b""})
    with pytest.raises(ValueError, match=Path(strange).name):
        put(Stores(tmp_path).folder("file:out"), staged, facts())
    assert not (tmp_path / "out/manifest.json").exists()


def test_a_lost_claim_publishes_nothing_more(folder: Folder, staged: Path) -> None:
    held = claim(folder, owner())
    if folder.local_path:
        (folder.local_path / ".lock").unlink()
    else:
        folder.delete(["owner.json"])
    with claim(folder, owner("other")) as other:
        assert failure_of(lambda: publish(folder, staged, facts(), held)).reason is Reason.OUTPUT_IN_USE
        assert names(folder) == [".lock", "owner.json"] if folder.local_path else ["owner.json"]
        publish(folder, staged, facts(), other)
    assert problems(folder) == ()


def test_a_bucket_that_goes_away_in_the_middle(s3_server: Any, on_s3: Stores, staged: Path) -> None:
    name = s3_server.bucket()
    folder = on_s3.folder(f"s3://{name}/out")
    with claim(folder, owner()) as held:
        shutil.rmtree(s3_server.data / name)
        failure = failure_of(lambda: publish(folder, staged, facts(), held))
    assert failure.reason is Reason.STORAGE_DENIED
    assert f"bucket {name} does not exist" in failure.message


KILLED = """
import os, signal, sys
from pathlib import Path
from tunesmith_api.protocol import Owner
from tunesmith_trainer.artifacts.manifest import Facts
from tunesmith_trainer.artifacts.publish import publish
from tunesmith_trainer.storage import ownership
from tunesmith_trainer.storage.stores import Stores

uri, buckets, staged, facts, step = sys.argv[1:]
folder = Stores(Path.cwd(), Path(buckets) if buckets else None).folder(uri)
import psutil, socket
me = Owner(uid=f"victim-{step}", name="victim", host=socket.gethostname(), pid=os.getpid(), started=psutil.Process().create_time())
held = ownership.claim(folder, me)

class Countdown:
    left = int(step)
    def check(self):
        held.check()
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

publish(folder, Path(staged), Facts.model_validate_json(facts), Countdown(), overwrite=True)
print("published")
"""


def test_killed_at_any_step_and_done_again_it_is_whole(folder: Folder, staged: Path, tmp_path: Path) -> None:
    old = stage(tmp_path / "old", {"model/old.safetensors": b"old", "report.json": b'{"metrics": {}}'})
    put(folder, old, facts("sha256:old"))
    buckets = str(tmp_path / "store") if folder.uri.startswith("s3:") and folder.local_path else ""
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    for step in range(1, 20):
        command = [sys.executable, "-c", KILLED, folder.uri, buckets, str(staged), facts("sha256:new").model_dump_json(), str(step)]
        done = subprocess.run(command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, text=True, check=False)
        seen = read(folder)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
        assert seen is None or (seen.digest == "sha256:old" and problems(folder) == ())
    assert done.stdout == "published\n"
    assert step > len(FILES)
    assert seen is not None
    assert (seen.digest, sorted(seen.files)) == ("sha256:new", sorted(FILES))
    assert problems(folder) == ()
