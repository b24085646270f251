"""One writer at a time: who gets a folder, who takes it over, and how the loser is told."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from tunesmith_api.protocol import VERDICTS, Failure, Owner, Reason
from tunesmith_trainer.storage.folder import Folder
from tunesmith_trainer.storage.lease import LeaseClaim
from tunesmith_trainer.storage.ownership import OWNER, claim
from tunesmith_trainer.storage.stores import Stores

HERE = socket.gethostname()
CONTENDER = """
import sys
from pathlib import Path
from typing import Any
from tunesmith_api.protocol import Failure, Owner
from tunesmith_trainer.storage.ownership import claim
from tunesmith_trainer.storage.stores import Stores
import os, psutil, socket
me = Owner(uid=sys.argv[2], name=sys.argv[2], host=socket.gethostname(), pid=os.getpid(), started=psutil.Process().create_time())
buckets = Path(sys.argv[3]) if len(sys.argv) > 3 else None
folder = Stores(Path.cwd(), buckets).folder(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
try:
    held = claim(folder, me)
    held.check()
    print("won", flush=True)
except Failure as failure:
    print(failure.reason.value, failure.message, failure.remedy, flush=True)
sys.stdin.readline()
"""


def owner(
    uid: str = "uid-1", *, attempt: int = 1, name: str = "banking", host: str = HERE, pid: int | None = None, started: float | None = None
) -> Owner:
    """This process, unless said otherwise."""
    own = psutil.Process().create_time()
    return Owner(uid=uid, attempt=attempt, name=name, host=host, pid=pid or os.getpid(), started=own if started is None else started)


def contender(folder: Folder, uid: str, tmp_path: Path) -> subprocess.Popen[str]:
    """A process that claims the folder when it is told to."""
    buckets = [str(tmp_path / "store")] if folder.uri.startswith("s3:") and folder.local_path else []
    command = [sys.executable, "-c", CONTENDER, folder.uri, uid, *buckets]
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(command, cwd=tmp_path, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def word(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def refused(folder: Folder, who: Owner) -> Failure:
    with pytest.raises(Failure) as caught:
        claim(folder, who)
    assert caught.value.reason is Reason.OUTPUT_IN_USE
    assert VERDICTS[caught.value.reason].exit_code == 73
    return caught.value


def test_exactly_one_of_several_processes_wins(folder: Folder, tmp_path: Path) -> None:
    processes = [contender(folder, f"job-{i}", tmp_path) for i in range(4)]
    try:
        for process in processes:
            tell(process)
        words = [word(process) for process in processes]
        assert words.count("won") == 1
        winner = f"job-{words.index('won')}"
        losers = [said for said in words if said != "won"]
        assert all(said.startswith("OutputInUse") and "output.uri" in said for said in losers)
        assert json.loads(folder.read(OWNER))["uid"] == winner
    finally:
        for process in processes:
            end(process)


def test_a_killed_owner_on_this_host_is_followed_at_once(folder: Folder, tmp_path: Path) -> None:
    process = contender(folder, "victim", tmp_path)
    tell(process)
    assert word(process) == "won"
    failure = refused(folder, owner("next"))
    assert f"victim (process {process.pid} on {HERE}" in failure.message
    assert folder.uri in failure.message
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with claim(folder, owner("next")) as held:
        held.check()
        assert json.loads(folder.read(OWNER))["uid"] == "next"


def test_release_leaves_nothing_behind(folder: Folder) -> None:
    with claim(folder, owner("one")):
        assert json.loads(folder.read(OWNER))["name"] == "banking"
    assert folder.list() == []
    with claim(folder, owner("two")) as held:
        held.check()


def test_an_emptied_folder_is_noticed(folder: Folder) -> None:
    held = claim(folder, owner())
    folder.delete([entry.name for entry in folder.list()])
    with pytest.raises(Failure, match=r"vanished|was removed") as caught:
        held.check()
    assert caught.value.reason is Reason.OUTPUT_IN_USE
    held.release()


def test_a_folder_lock_that_another_took_is_noticed(tmp_path: Path) -> None:
    folder = Stores(tmp_path).folder("file:out")
    held = claim(folder, owner("one"))
    (tmp_path / "out/.lock").unlink()
    with claim(folder, owner("two")) as other:
        with pytest.raises(Failure, match="removed or replaced"):
            held.check()
        held.release()
        other.check()
        assert json.loads(folder.read(OWNER))["uid"] == "two"


def test_what_a_killed_write_left_is_swept(tmp_path: Path) -> None:
    folder = Stores(tmp_path).folder("file:out")
    folder.write("model/config.json", b"{}")
    (tmp_path / "out/model/.0123456789ab.partial").write_bytes(b"half")
    assert [entry.name for entry in folder.list()] == ["model/config.json"]
    with claim(folder, owner()):
        assert sorted(p.name for p in (tmp_path / "out/model").iterdir()) == ["config.json"]


@pytest.fixture
def bucket(s3_server: Any, on_s3: Stores) -> tuple[Folder, Path]:
    """A folder in a bucket, and where the server keeps its owner.json."""
    name = s3_server.bucket()
    return on_s3.folder(f"s3://{name}/out"), s3_server.data / name / "out" / OWNER


def test_a_live_process_of_another_host_is_waited_for_five_minutes(bucket: tuple[Folder, Path]) -> None:
    folder, file = bucket
    silent = claim(folder, owner("far", name="intents", host="node-7", pid=4242))
    failure = refused(folder, owner("near"))
    assert "intents (process 4242 on node-7" in failure.message
    assert "300 s of silence" in failure.remedy
    age(file, timedelta(minutes=4))
    refused(folder, owner("near"))
    age(file, timedelta(minutes=6))
    with claim(folder, owner("near")) as held:
        held.check()
        with pytest.raises(Failure, match="banking") as caught:
            silent.check()
        assert caught.value.reason is Reason.OUTPUT_IN_USE
        silent.release()
        held.check()


def test_a_refresh_starts_the_five_minutes_again(bucket: tuple[Folder, Path]) -> None:
    folder, file = bucket
    held = claim(folder, owner("far", host="node-7"))
    assert isinstance(held, LeaseClaim)
    age(file, timedelta(minutes=6))
    _, before = folder.read_versioned(OWNER)
    assert held.refresh()
    assert not folder.replace(OWNER, b"{}", before)
    refused(folder, owner("near"))
    held.check()
    held.release()
    assert not held.refresh()


def test_a_refresh_never_takes_a_claim_back(bucket: tuple[Folder, Path]) -> None:
    folder, _ = bucket
    first = claim(folder, owner("cr", attempt=1, host="pod-1"))
    assert isinstance(first, LeaseClaim)
    with claim(folder, owner("cr", attempt=2, host="pod-2")) as second:
        assert not first.refresh()
        second.check()


def test_a_later_attempt_takes_over_at_once_and_an_earlier_one_never(bucket: tuple[Folder, Path]) -> None:
    folder, _ = bucket
    first = claim(folder, owner("cr", attempt=1, host="pod-1"))
    with claim(folder, owner("cr", attempt=2, host="pod-2")) as second:
        with pytest.raises(Failure, match="process"):
            first.check()
        refused(folder, owner("cr", attempt=1, host="pod-3"))
        first.release()
        second.check()


def test_a_later_process_of_the_same_number_is_not_the_owner(bucket: tuple[Folder, Path]) -> None:
    folder, _ = bucket
    claim(folder, owner("old", started=psutil.Process().create_time() - 1000))
    with claim(folder, owner("new")) as held:
        held.check()


def test_an_owner_file_that_makes_no_sense_is_waited_for_too(bucket: tuple[Folder, Path]) -> None:
    folder, file = bucket
    folder.write(OWNER, b"not json")
    assert "another process" in refused(folder, owner()).message
    age(file, timedelta(minutes=6))
    with claim(folder, owner()) as held:
        held.check()


def age(file: Path, by: timedelta) -> None:
    """Set back the time that the server knows an object by."""
    then = file.stat().st_mtime - by.total_seconds()
    os.utime(file, (then, then))
