"""The recorded run, and the command driven against a trainer that follows a script."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent
DRIVER = """
import sys
from pathlib import Path
from tunesmith_cli import artifacts, jobs
from tunesmith_cli.check import check
verb, target, form, *trainer = sys.argv[1:]
options = jobs.Options(Path("out").absolute(), form == "json", trainer)
if verb in ("run", "plan"):
    sys.exit(getattr(jobs, verb)(check([Path(target)])[0], options))
sys.exit(getattr(artifacts, verb)(target, options))
"""


@pytest.fixture(scope="session")
def events() -> ModuleType:
    """The recorded run."""
    spec = importlib.util.spec_from_file_location("recorded_events", HERE / "events.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., list[str]]:
    """The command line of a verb whose trainer follows a script."""

    def build(verb: str, target: Path | str, script: str, *, form: str = "text", name: str = "script") -> list[str]:
        file = tmp_path / name
        file.write_text(script, encoding="utf-8")
        return [sys.executable, "-c", DRIVER, verb, str(target), form, sys.executable, str(HERE / "scripted_trainer.py"), str(file)]

    return build
