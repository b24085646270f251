"""The trainer as a process: what is said when it ends, and that it never outlives the command. The child is real; it follows a script."""

import json
import os
import select
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tunesmith_api.protocol import Failure
from tunesmith_cli.trainer import require_trainer

REPO = Path(__file__).parents[2]
EXAMPLE = REPO / "examples" / "banking-intents.yaml"
DEADLINE = 60.0
Command = Callable[..., list[str]]


def start(command: list[str], cwd: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "XDG_CACHE_HOME": str(cwd / "cache"), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(command: list[str], cwd: Path) -> tuple[int, list[str]]:
    process = start(command, cwd)
    out, err = process.communicate(timeout=DEADLINE)
    assert "Traceback" not in out + err
    return process.returncode, out.splitlines()


def until(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdout is not None
    assert any(text in line for line in process.stdout), f"the command ended without saying {text!r}"


def trainer_of(script: Path) -> int:
    return int(json.loads(script.with_suffix(".seen").read_text())[0])


def has_ended(pidfd: int) -> bool:
    return bool(select.select([pidfd], [], [], DEADLINE)[0])


def test_a_missing_trainer_is_said_with_the_command_that_installs_it() -> None:
    with pytest.raises(Failure) as failure:
        require_trainer(("json", "no_such_module"))
    assert failure.value.message == "the trainer is not installed here (missing: no_such_module)"
    assert failure.value.remedy == "pip install 'tunesmith[trainer]'"


def test_a_run_ends_with_the_headline_the_model_the_report_and_how_to_use_it(command: Command, events: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "out" / "models" / "banking-intents" / "adapter").mkdir(parents=True)
    code, lines = finish(command("run", EXAMPLE, events.script(*events.recording(), events.SUCCEEDED)), tmp_path)
    assert code == 0
    assert lines[-6:-1] == [
        "accuracy 0.938 (baseline 0.013)",
        "model:  out/models/banking-intents/",
        "report: out/models/banking-intents/report.html",
        "use it:",
        "    from peft import AutoPeftModelForSequenceClassification",
    ]
    assert '"out/models/banking-intents/adapter", num_labels=2' in lines[-1]


def test_the_trainer_gets_the_job_file_and_reads_our_pipe(command: Command, events: ModuleType, tmp_path: Path) -> None:
    assert finish(command("run", EXAMPLE, events.script(events.SUCCEEDED)), tmp_path)[0] == 0
    _, verb, file, flag = json.loads((tmp_path / "script.seen").read_text())
    assert (verb, flag) == ("run", "--stop-with-stdin")
    assert not Path(file).exists()
    job = json.loads((tmp_path / "script.job").read_text())
    assert job["base"] == str(EXAMPLE.parent)
    assert job["buckets"] == str(tmp_path / "out")
    assert job["job"]["spec"]["hyperparameters"]["batchSize"] == 64


@pytest.mark.parametrize(
    ("reason", "code"), [("DatasetInvalid", 65), ("ModelUnavailable", 66), ("OutputInUse", 73), ("GateNotMet", 78), ("LossDiverged", 79)]
)
def test_the_trainers_word_decides_message_and_exit_code(command: Command, tmp_path: Path, reason: str, code: int) -> None:
    word = json.dumps({"event": "word", "reason": reason, "message": "train.csv has no column \x1b[31mx", "remedy": "name another"})
    got, lines = finish(command("run", EXAMPLE, f"{word}\nexit {code}\n"), tmp_path)
    assert got == code
    assert f"{reason}: train.csv has no column x" in lines
    assert "remedy: name another" in lines


@pytest.mark.parametrize(
    ("end", "message"),
    [
        ("kill 9", "Internal: the trainer was killed (signal 9), most likely for memory"),
        ("kill 11", "Internal: the trainer was killed (signal 11)"),
        ("exit 1", "Internal: the trainer ended without a word (exit code 1)"),
        ("exit 0", "Internal: the trainer ended without a word (exit code 0)"),
    ],
)
def test_a_trainer_that_dies_without_a_word_is_reported_with_its_log(command: Command, tmp_path: Path, end: str, message: str) -> None:
    code, lines = finish(command("run", EXAMPLE, f"no event\nstderr it was the disk\n{end}\n"), tmp_path)
    assert code == 70
    assert message in lines
    log = Path(lines[-1].removeprefix("log: "))
    assert log.is_relative_to(tmp_path / "cache")
    assert "it was the disk" in log.read_text()
    assert "no event: no event" in log.read_text()


def test_sigterm_saves_and_says_how_to_resume(command: Command, tmp_path: Path) -> None:
    ready = '{"event":"phase","phase":"ready"}'
    process = start(command("run", EXAMPLE, f"{ready}\nsleep\n"), tmp_path)
    until(process, "ready")
    process.terminate()
    out, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 75
    lines = out.splitlines()
    assert lines[0].startswith("saving ...")
    assert "saved at step 7 in s3://models/x/checkpoints" in lines
    assert lines[-1] == f"resume with: tunesmith run {EXAMPLE} --buckets out"


def test_a_second_signal_kills_a_trainer_that_does_not_leave(command: Command, tmp_path: Path) -> None:
    ready = '{"event":"phase","phase":"ready"}'
    process = start(command("run", EXAMPLE, f"{ready}\nsleep\n", name="stubborn"), tmp_path)
    until(process, "ready")
    process.send_signal(signal.SIGINT)
    until(process, "saving ...")
    pidfd = os.pidfd_open(trainer_of(tmp_path / "stubborn"))
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 75
    assert "killed before it had saved" in out
    assert has_ended(pidfd)


def test_nohup_is_respected(command: Command, tmp_path: Path) -> None:
    process = start(["nohup", *command("run", EXAMPLE, '{"event":"phase","phase":"ready"}\nsleep\n')], tmp_path)
    until(process, "ready")
    status = dict(line.split(":", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines())
    assert int(status["SigIgn"], 16) & 1 << (signal.SIGHUP - 1)
    process.terminate()
    process.communicate(timeout=DEADLINE)
    assert process.returncode == 75


def test_kill_minus_nine_of_the_command_ends_its_trainer(command: Command, tmp_path: Path) -> None:
    process = start(command("run", EXAMPLE, '{"event":"phase","phase":"ready"}\nsleep\n', name="stubborn"), tmp_path)
    until(process, "ready")
    pidfd = os.pidfd_open(trainer_of(tmp_path / "stubborn"))
    process.kill()
    process.communicate(timeout=DEADLINE)
    assert has_ended(pidfd)


def test_a_closed_pipe_lets_the_trainer_save_and_leave(command: Command, tmp_path: Path, events: ModuleType) -> None:
    process = start(command("run", EXAMPLE, events.script(*events.recording(), "sleep")), tmp_path)
    until(process, "preflight")
    pidfd = os.pidfd_open(trainer_of(tmp_path / "script"))
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(DEADLINE) != 0
    assert has_ended(pidfd)
    assert (tmp_path / "script.saved").exists()


def test_a_closed_terminal_lets_the_trainer_save_and_leave(command: Command, tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    build = command("run", EXAMPLE, '{"event":"phase","phase":"ready"}\nsleep\n')
    heeds = {"preexec_fn": lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL)}  # whatever ran the tests may ignore it
    process = subprocess.Popen(build, cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, **heeds)
    os.close(theirs)
    shown = b""
    while b"ready" not in shown:
        shown += os.read(ours, 4096)
    pidfd = os.pidfd_open(trainer_of(tmp_path / "script"))
    os.close(ours)
    process.send_signal(signal.SIGHUP)
    assert process.wait(DEADLINE) != 0
    assert has_ended(pidfd)
    assert (tmp_path / "script.saved").exists()


def test_documents_run_in_order_up_to_the_first_that_fails(command: Command, tmp_path: Path) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    manifest = tmp_path / "jobs.yaml"
    manifest.write_text("---\n".join(text.replace("banking-intents", name) for name in ("one", "two", "three")))
    word = json.dumps({"event": "word", "reason": "DatasetInvalid", "message": "no rows", "remedy": "add some"})
    code, lines = finish(command("run", manifest, f"{word}\n"), tmp_path)
    assert code == 65
    assert lines[0] == "one (1 of 3)"
    assert lines[-1] == "not run: two, three"
    assert not any(line.startswith("two") for line in lines)


def test_json_passes_the_events_on_and_adds_the_word_that_a_dead_trainer_owes(command: Command, tmp_path: Path) -> None:
    ready = '{"event":"phase","phase":"ready"}'
    code, lines = finish(command("run", EXAMPLE, f"{ready}\nnoise\nkill 9\n", form="json"), tmp_path)
    assert code == 70
    assert lines[0] == ready
    assert json.loads(lines[1])["reason"] == "Internal"
    assert len(lines) == 2


def test_plan_is_one_json_object_for_machines_and_a_table_for_people(command: Command, tmp_path: Path, events: ModuleType) -> None:
    done = events.WordEvent(reason=events.Reason.SUCCEEDED, message="planned")
    told = events.script(events.PlanEvent(plan=events.PLAN), done)
    code, (line,) = finish(command("plan", EXAMPLE, told, form="json"), tmp_path)
    assert code == 0
    assert json.loads(line)["stepsPerEpoch"] == 157
    code, lines = finish(command("plan", EXAMPLE, told), tmp_path)
    assert code == 0
    assert lines[-1] == "planned"
    assert any(line.startswith("example: Where is my card [red]fee") for line in lines)
    assert json.loads((tmp_path / "script.seen").read_text())[1] == "preflight"


def test_report_prints_the_result_and_names_the_report(command: Command, tmp_path: Path) -> None:
    found = {"metrics": {"accuracy": 0.938, "loss": 0.4}, "baseMetrics": {"accuracy": 0.013}, "labels": ["a", "b"]}
    told = {"event": "report", "report": found, "manifest": {"headline": "accuracy 0.938 (baseline 0.013)"}}
    script = f'{json.dumps(told)}\n{{"event":"word","reason":"Succeeded","message":"read"}}\n'
    code, lines = finish(command("report", "s3://models/x/", script), tmp_path)
    assert code == 0
    assert lines == [
        "accuracy 0.938 (baseline 0.013)",
        "               model    baseline",
        "accuracy      0.9380      0.0130",
        "loss          0.4000           -",
        "output: out/models/x/",
        "report: out/models/x/report.html",
    ]
    assert json.loads((tmp_path / "script.seen").read_text())[1:] == [
        "report",
        "s3://models/x",
        "--buckets",
        str(tmp_path / "out"),
        "--stop-with-stdin",
    ]
    code, (line,) = finish(command("report", "s3://models/x", script, form="json"), tmp_path)
    assert json.loads(line) == found


def test_report_says_why_nothing_was_published(command: Command, tmp_path: Path) -> None:
    outcome = {"reason": "GateNotMet", "headline": "accuracy 0.700", "message": "accuracy 0.700 is not at least 0.9"}
    told = {"event": "report", "report": {"outcome": outcome, "metrics": {"accuracy": 0.7}}}
    script = f'{json.dumps(told)}\n{{"event":"word","reason":"Succeeded","message":"read"}}\n'
    code, lines = finish(command("report", "s3://models/x", script), tmp_path)
    assert code == 0
    assert lines[0] == "not published: accuracy 0.700 is not at least 0.9"


def test_a_folder_is_as_good_as_its_uri(command: Command, tmp_path: Path) -> None:
    script = '{"event":"word","reason":"ModelUnavailable","message":"nothing was published there","remedy":"run its job"}\n'
    for given in ("out/models/x", f"file:{tmp_path}/out/models/x", "file:out/models/x"):
        code, lines = finish(command("report", given, script), tmp_path)
        assert (code, lines) == (66, ["ModelUnavailable: nothing was published there", "remedy: run its job"])
        assert json.loads((tmp_path / "script.seen").read_text())[2] == f"file://{tmp_path}/out/models/x"


@pytest.mark.parametrize(
    ("problems", "code", "last"),
    [
        ([], 0, ["5 files: all as the manifest says"]),
        (["model/config.json: differs"], 65, ["1 problem in 5 files", "remedy: run the job again"]),
    ],
)
def test_verify_names_what_differs(command: Command, tmp_path: Path, problems: list[str], code: int, last: list[str]) -> None:
    reason = "ArtifactDamaged" if problems else "Succeeded"
    told = {"event": "verification", "files": 5, "problems": problems}
    script = f'{json.dumps(told)}\n{{"event":"word","reason":"{reason}","message":"done","remedy":"run the job again"}}\n'
    got, lines = finish(command("verify", "s3://models/x", script), tmp_path)
    assert (got, lines) == (code, [*problems, *last])
