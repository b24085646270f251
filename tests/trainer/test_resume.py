"""Stopped, killed, started again: the same command ends with the same bits as if nothing had happened."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file
from tiny_jobs import job

from tunesmith_api.protocol import JobFile, decode

METHODS = {"full": {"full": {}}, "lora": {"lora": {"dropout": 0.1}}, "outputLayers": {"outputLayers": {"blocks": 1}}}


def job_file(folder: Path, tuning) -> Path:
    path = folder / "job.json"
    path.write_text(JobFile(job=tuning, base=str(folder)).model_dump_json(by_alias=True))
    return path


def start(folder: Path, file: Path) -> subprocess.Popen:
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "tunesmith_trainer", "run", str(file)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, cwd=folder)


def finish(folder: Path, file: Path):
    process = start(folder, file)
    out, _ = process.communicate(timeout=120)
    return process.returncode, [decode(line) for line in out.splitlines()]


def prepared(tmp_path: Path, name: str, model: Path, **changes):
    folder = tmp_path / name
    folder.mkdir()
    tuning = job(folder, model, **{"checkpoints.everySteps": 2, "hyperparameters.epochs": 6, **changes})
    return folder, job_file(folder, tuning)


def weights(folder: Path):
    return {path.name: load_file(path) for path in sorted((folder / "out").glob("[am]*/*.safetensors"))}


def assert_same(a, b):
    assert a.keys() == b.keys() != set()
    for name in a:
        assert all(x.equal(b[name][key]) for key, x in a[name].items())


@pytest.mark.parametrize("method", METHODS)
def test_sigterm_saves_and_the_same_command_ends_with_the_same_bits(method, tiny_models, tmp_path):
    straight, file = prepared(tmp_path, "straight", tiny_models("bert"), method=METHODS[method])
    assert finish(straight, file)[0] == 0
    stopped, file = prepared(tmp_path, "stopped", tiny_models("bert"), method=METHODS[method])
    process = start(stopped, file)
    for line in process.stdout:
        event = decode(line)
        if event.event == "progress" and event.phase == "Training" and event.step == 7:
            process.send_signal(signal.SIGTERM)
        last = event
    assert process.wait() == 75
    assert last.reason == "Preempted"
    assert "saved in" in last.message
    code, events = finish(stopped, file)
    assert code == 0
    assert any("resuming at step" in getattr(event, "message", "") for event in events)
    assert_same(weights(straight), weights(stopped))


def test_killed_at_any_moment_it_ends_with_the_same_bits(tiny_models, tmp_path):
    """kill -9 after a random event, phase and pause, again and again; also while checkpoints and files are written."""
    straight, file = prepared(tmp_path, "straight", tiny_models("bert"))
    code, events = finish(straight, file)
    assert code == 0
    killed, file = prepared(tmp_path, "killed", tiny_models("bert"))
    rng = random.Random(20)
    moments = [12, 20, len(events) - 3, *(rng.randrange(5, len(events)) for _ in range(5))]
    for moment in moments:
        process = start(killed, file)
        for number, _ in enumerate(process.stdout):
            if number == moment:
                time.sleep(rng.random() * 0.02)
                break
        process.kill()
        process.wait()
        if (killed / "out/manifest.json").exists():
            break
    code, _ = finish(killed, file)
    assert code == 0
    assert_same(weights(straight), weights(killed))
    assert not (killed / "out/checkpoints").exists() or not list((killed / "out/checkpoints").rglob("*.safetensors"))


def test_a_finished_job_is_reused(tiny_models, tmp_path):
    folder, file = prepared(tmp_path, "job", tiny_models("bert"), **{"hyperparameters.epochs": 1})
    assert finish(folder, file)[0] == 0
    before = (folder / "out/manifest.json").read_bytes()
    code, events = finish(folder, file)
    assert (code, events[-1].reason) == (0, "Reused")
    assert not any(event.event == "progress" and event.phase == "Training" for event in events)
    assert (folder / "out/manifest.json").read_bytes() == before


def test_a_lower_gate_publishes_without_training_again(tiny_models, tmp_path):
    changes = {"hyperparameters.epochs": 1, "evaluation.gate": {"metric": "accuracy", "atLeast": 0.99}}
    folder, file = prepared(tmp_path, "job", tiny_models("bert"), **changes)
    code, events = finish(folder, file)
    assert (code, events[-1].reason) == (78, "GateNotMet")
    assert "accuracy" in events[-1].message
    assert (folder / "out/report.html").exists()
    assert json.loads((folder / "out/report.json").read_text())["outcome"]["reason"] == "GateNotMet"
    assert not (folder / "out/manifest.json").exists()
    lower = {**changes, "evaluation.gate": {"metric": "accuracy", "atLeast": 0.01}}
    file = job_file(folder, job(folder, tiny_models("bert"), **{"checkpoints.everySteps": 2, **lower}))
    code, events = finish(folder, file)
    assert code == 0
    assert not any(event.event == "progress" and event.phase == "Training" for event in events)


def test_exactly_one_of_two_runs_into_one_output_wins(tiny_models, tmp_path):
    folder, file = prepared(tmp_path, "both", tiny_models("bert"))
    other = job(folder, tiny_models("bert"), **{"hyperparameters.seed": 5, "hyperparameters.epochs": 6})
    (folder / "second").mkdir()
    second = job_file(folder / "second", other)
    second.write_text(second.read_text().replace(str(folder / "second"), str(folder)))
    runs = [start(folder, file), start(folder, second)]
    codes = sorted(run.wait(timeout=120) for run in runs if run.communicate(timeout=120) is not None)
    assert codes == [0, 73]


def test_the_trainer_ends_when_its_standard_input_closes(tiny_models, tmp_path):
    folder, file = prepared(tmp_path, "job", tiny_models("bert"), **{"hyperparameters.epochs": 5000})
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tunesmith_trainer", "run", str(file), "--stop-with-stdin"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, cwd=folder
    )
    for line in process.stdout:
        if decode(line).event == "progress" and decode(line).phase == "Training":
            break
    process.stdin.close()
    assert process.wait(timeout=30) == 75
