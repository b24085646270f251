"""From manifest files to jobs, or to everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tunesmith_api.tuning import TuningJob
from tunesmith_api.validation import manifest_errors, path
from tunesmith_cli.manifest import Document, Unreadable, load
from tunesmith_cli.text import clean


class Problem(NamedTuple):
    """One thing that is wrong with a file; the names are those of `validate --output json`."""

    file: str
    document: int | None
    line: int | None
    path: str
    message: str

    def __str__(self) -> str:
        """The problem as a compiler would print it."""
        where = f"{clean(self.file)}:{self.line}" if self.line else clean(self.file)
        return f"{where}: {self.path}: {self.message}" if self.path else f"{where}: {self.message}"


class Manifest(NamedTuple):
    """A job and the file it stands in."""

    file: Path
    document: int
    line: int
    job: TuningJob


def check(files: Sequence[Path]) -> tuple[list[Manifest], list[Problem]]:
    """The jobs of some files in their order, and everything that is wrong with the files."""
    jobs: list[Manifest] = []
    problems: list[Problem] = []
    for file in files:
        try:
            documents = load(file)
        except Unreadable as error:
            problems.append(Problem(str(file), None, None, "", str(error)))
            continue
        of_file: list[Manifest] = []
        for document in documents:
            job, wrong = _check_document(file, document)
            problems += wrong
            of_file += [Manifest(file, document.index, document.start, job)] if job else []
        problems += _clashes(of_file, {d.index: d for d in documents})
        jobs += of_file
    return jobs, problems


def _check_document(file: Path, document: Document) -> tuple[TuningJob | None, list[Problem]]:
    slips = {slip.location for slip in document.slips}
    problems = [Problem(str(file), document.index, s.line, path(s.location), s.message) for s in document.slips]
    if () in slips:
        return None, problems
    job, errors = manifest_errors(document.data)
    errors = [error for error in errors if error.location not in slips]
    problems += [Problem(str(file), document.index, document.line(e.location), e.path, e.message) for e in errors]
    return (None if problems else job), sorted(problems, key=lambda p: p.line or 0)


def _clashes(jobs: Sequence[Manifest], documents: dict[int, Document]) -> Iterator[Problem]:
    """Documents of one file that get in each other's way."""
    names: dict[tuple[str, str | None, str], int] = {}
    outputs: dict[str, int] = {}
    for file, index, _, job in jobs:
        document = documents[index]
        first = names.setdefault((job.kind, job.metadata.namespace, job.metadata.name), index)
        if first != index:
            line, message = document.line(("metadata", "name")), f"document {first} has the same kind and name; give each job its own"
            yield Problem(str(file), index, line, "metadata.name", message)
        first = outputs.setdefault(job.spec.output.uri.rstrip("/"), index)
        if first != index:
            line, message = document.line(("spec", "output", "uri")), f"document {first} writes to the same place; give each job its own"
            yield Problem(str(file), index, line, "spec.output.uri", message)
