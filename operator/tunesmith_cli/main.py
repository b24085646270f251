"""The `tunesmith` command. Everything heavy is imported where it is used: --help must be quick."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tunesmith_cli.jobs import Options

app = typer.Typer(
    help="Tune a model as a manifest says: validate it, plan it, run it, read its report, verify what it published.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class Form(StrEnum):
    """Who reads the output."""

    TEXT = "text"
    JSON = "json"


Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="Manifests, with one or more documents each.", show_default=False)]
File = Annotated[Path, typer.Argument(metavar="FILE", help="A manifest, with one or more documents.", show_default=False)]
Uri = Annotated[str, typer.Argument(metavar="URI", help="The output of a job: its URI, or a folder.", show_default=False)]
Buckets = Annotated[
    Path | None,
    typer.Option("--buckets", metavar="DIR", envvar="TUNESMITH_BUCKETS", file_okay=False, help="Folder that stands for the object store."),
]
Output = Annotated[Form, typer.Option("--output", "-o", help="text for people, json for machines.")]


@app.command()
def validate(files: Files, buckets: Buckets = None, output: Output = Form.TEXT) -> None:
    """Check manifests: every error at once, with its field path and line."""
    from tunesmith_cli.validate import validate as check_all

    raise typer.Exit(check_all(files, json=output is Form.JSON))


@app.command()
def plan(file: File, buckets: Buckets = None, output: Output = Form.TEXT) -> None:
    """Look before training: the data report, steps, memory and time. Nothing is trained."""
    raise typer.Exit(_with_trainer("plan", file, buckets, output))


@app.command()
def run(file: File, buckets: Buckets = None, output: Output = Form.TEXT) -> None:
    """Run the jobs of a manifest. Ctrl-C saves and says how to resume."""
    raise typer.Exit(_with_trainer("run", file, buckets, output))


@app.command()
def report(uri: Uri, buckets: Buckets = None, output: Output = Form.TEXT) -> None:
    """Print the result of a finished job and name its report."""
    from tunesmith_cli.artifacts import report as show_report
    from tunesmith_cli.trainer import require_trainer

    require_trainer()
    raise typer.Exit(show_report(uri, _options(buckets, output)))


@app.command()
def verify(uri: Uri, buckets: Buckets = None) -> None:
    """Check a published artifact against its manifest.json."""
    from tunesmith_cli.artifacts import verify as check_artifact
    from tunesmith_cli.trainer import require_trainer

    require_trainer()
    raise typer.Exit(check_artifact(uri, _options(buckets, Form.TEXT)))


def _with_trainer(verb: str, file: Path, buckets: Path | None, output: Form) -> int:
    from tunesmith_cli import jobs
    from tunesmith_cli.check import check
    from tunesmith_cli.trainer import require_trainer

    manifests, problems = check([file])
    options = _options(buckets, output)
    if problems:
        return jobs.refuse(problems, options)
    require_trainer()
    return jobs.run(manifests, options) if verb == "run" else jobs.plan(manifests, options)


def _options(buckets: Path | None, output: Form) -> Options:
    from tunesmith_cli import jobs

    return jobs.Options(buckets=buckets.absolute() if buckets else None, json=output is Form.JSON)


def main() -> None:
    """Run the command; whatever goes wrong is said in a line or two, and never as a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        app()
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - the interpreter flushes it at exit
        sys.exit(1)
    except Exception as error:
        from tunesmith_cli.mishaps import told

        with suppress(OSError):  # a terminal that is gone
            sys.exit(told(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
