"""The command as a user runs it: a folder with a manifest, tiny models, an S3 server."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tiny_jobs import manifest

TESTS = Path(__file__).parents[1]
COMMAND = str(Path(sys.executable).with_name("tunesmith"))
PATIENCE = 240
"""Seconds after which a command that has not ended is a test that failed."""


def neighbour(tier: str) -> ModuleType:
    """The fixtures of another tier."""
    spec = importlib.util.spec_from_file_location(f"conftest_of_{tier}", TESTS / tier / "conftest.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


tiny_models = neighbour("trainer").tiny_models
s3_server = neighbour("storage").s3_server


@dataclass(frozen=True)
class Done:
    """How a command ended, and everything it said."""

    code: int
    said: str

    def expect(self, code: int, *fragments: str) -> None:
        """Fail unless it ended with the code, said every fragment, and showed no traceback."""
        assert "Traceback" not in self.said, self.said
        assert self.code == code, self.said
        for fragment in fragments:
            assert fragment in self.said, f"{fragment!r} is missing in:\n{self.said}"


class Live:
    """A command that is still running; it prints its events as JSON lines."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._heard: list[str] = []

    def wait_for(self, **wanted: Any) -> dict[str, Any]:
        """Listen up to the first event that has all these values."""
        assert self.process.stdout
        for line in self.process.stdout:
            self._heard.append(line)
            event: dict[str, Any] = json.loads(line)
            if wanted.items() <= event.items():
                return event
        raise AssertionError(f"no event had {wanted}:\n{''.join(self._heard)}{self.end().said}")

    def end(self) -> Done:
        """Listen to the end."""
        rest, errors = self.process.communicate(timeout=PATIENCE)
        return Done(self.process.returncode, "".join(self._heard) + rest + errors)


@dataclass(frozen=True)
class Desk:
    """A folder in which a user works."""

    folder: Path
    model: Path
    environ: dict[str, str] = field(default_factory=dict)

    def write(self, **changes: Any) -> None:
        """Write job.yaml; a change is given by a dotted path below spec."""
        self.folder.mkdir(parents=True, exist_ok=True)
        job = manifest(self.folder, self.model, **changes)
        (self.folder / "job.yaml").write_text(json.dumps(job, indent=2), encoding="utf-8")

    def put(self, name: str, content: str | bytes) -> str:
        """Write a file; gives its URI."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return f"file:{name}"

    def copied_model(self) -> Path:
        """A copy of the model, in model/, that a test may damage."""
        return Path(shutil.copytree(self.model, self.folder / "model"))

    def tunesmith(self, *arguments: str, **options: Any) -> Done:
        """Run the command to its end."""
        return self.start(*arguments, **options).end()

    def start(self, *arguments: str, **options: Any) -> Live:
        """Run the command."""
        process = subprocess.Popen(
            [COMMAND, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200"} | self.environ,
            **options,
        )
        return Live(process)


@pytest.fixture(scope="session")
def desk_in(tiny_models: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Desk]:
    """A desk in the folder; all share a cache."""
    cache = tmp_path_factory.mktemp("cache")
    return lambda folder, **environ: Desk(folder, tiny_models("bert"), {"XDG_CACHE_HOME": str(cache)} | environ)


@pytest.fixture
def desk(desk_in: Callable[..., Desk], tmp_path: Path) -> Desk:
    """A desk of the test's own."""
    return desk_in(tmp_path)
