"""The command itself: what it prints, where, and its exit code."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
GOOD = (REPO / "examples" / "banking-intents.yaml").read_text(encoding="utf-8")


def tunesmith(*arguments: str, cwd: Path = REPO) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "100", "XDG_CACHE_HOME": str(cwd)} if cwd != REPO else dict(os.environ)
    command = [sys.executable, "-m", "tunesmith_cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, check=False)


def test_the_examples_are_valid() -> None:
    files = sorted(str(file.relative_to(REPO)) for file in REPO.glob("examples/*.yaml"))
    done = tunesmith("validate", *files)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("TuningJob") == len(files)


def test_errors_stand_with_file_line_and_path_and_exit_64(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(GOOD.replace("rank", "rnak").replace("batchSize: 64", "batchSize: 0"))
    done = tunesmith("validate", "job.yaml", "none.yaml", cwd=tmp_path)
    assert done.returncode == 64
    assert done.stderr.splitlines() == [
        "job.yaml:14: spec.method.lora.rnak: unknown field; did you mean rank?",
        "job.yaml:20: spec.hyperparameters.batchSize: must be a whole number, 1 to 65,536 (given: 0)",
        "none.yaml: cannot be read: No such file or directory",
    ]
    assert done.stdout == "3 errors\n"


def test_machines_get_the_same_as_json(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(f"{GOOD}---\n{GOOD.replace('epochs', 'epoch')}")
    done = tunesmith("validate", "job.yaml", "--output", "json", cwd=tmp_path)
    assert done.returncode == 64
    answer = json.loads(done.stdout)
    assert answer["valid"] is False
    (error,) = answer["errors"]
    line = GOOD.count("\n") + 1 + GOOD[: GOOD.index("epochs")].count("\n") + 1
    assert error == {
        "file": "job.yaml",
        "document": 2,
        "line": line,
        "path": "spec.hyperparameters.epoch",
        "message": "unknown field; did you mean epochs?",
    }


def test_documents_of_a_file_must_not_get_in_each_others_way(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(f"{GOOD}---\n{GOOD}---\n{GOOD.replace('name: banking', 'name: other')}")
    done = tunesmith("validate", "job.yaml", cwd=tmp_path)
    assert done.returncode == 64
    assert [line.partition(": ")[2] for line in done.stderr.splitlines()] == [
        "metadata.name: document 1 has the same kind and name; give each job its own",
        "spec.output.uri: document 1 writes to the same place; give each job its own",
        "spec.output.uri: document 1 writes to the same place; give each job its own",
    ]


@pytest.mark.parametrize("verb", ["plan", "run"])
def test_a_wrong_manifest_is_refused_before_anything_starts(tmp_path: Path, verb: str) -> None:
    (tmp_path / "job.yaml").write_text(GOOD.replace("epochs", "epoch"))
    done = tunesmith(verb, "job.yaml", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (64, "")
    assert "spec.hyperparameters.epoch: unknown field; did you mean epochs?" in done.stderr
    word = json.loads(tunesmith(verb, "job.yaml", "--output", "json", cwd=tmp_path).stdout)
    assert (word["event"], word["reason"]) == ("word", "InvalidSpec")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), 2),
        (("--help",), 0),
        (("run", "--help"), 0),
        (("runn",), 2),
        (("validate",), 2),
        (("validate", "binary"), 64),
        (("validate", "."), 64),
        (("run", "--buckets", "job.yaml", "job.yaml"), 2),
        (("run", "none.yaml"), 64),
        (("validate", "--output", "xml", "job.yaml"), 2),
    ],
)
def test_no_use_of_the_command_shows_a_traceback(tmp_path: Path, arguments: tuple[str, ...], code: int) -> None:
    (tmp_path / "job.yaml").write_text(GOOD)
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    done = tunesmith(*arguments, cwd=tmp_path)
    assert done.returncode == code
    assert "Traceback" not in done.stdout + done.stderr
