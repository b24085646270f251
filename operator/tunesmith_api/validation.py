"""All the errors of a manifest at once, cross-field ones too, in the words of its author."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, NamedTuple

from pydantic import ValidationError

from tunesmith_api.fields import model_at, names, shape_at
from tunesmith_api.mending import UNKNOWN, Draft, Location
from tunesmith_api.messages import closest, message, show
from tunesmith_api.meta import API_VERSION, FieldProblems
from tunesmith_api.tuning import TuningJob

KINDS = ("TuningJob",)
ROUNDS = 20


class SpecError(NamedTuple):
    """What is wrong with one field of a manifest."""

    location: Location
    message: str

    @property
    def path(self) -> str:
        """The field path, such as spec.evaluation.slices[0]."""
        return path(self.location)

    def __str__(self) -> str:
        """Path and message."""
        return f"{self.path}: {self.message}" if self.location else self.message


def path(location: Location) -> str:
    """A location as people write it: spec.evaluation.slices[0]; a name that is no plain word stands in quotes."""
    steps = [f"[{step}]" if isinstance(step, int) else f".{step}" if step.isidentifier() else f"[{json.dumps(step)}]" for step in location]
    return "".join(steps).removeprefix(".")


def manifest_errors(data: Mapping[str, Any]) -> tuple[TuningJob | None, list[SpecError]]:
    """The job that a manifest describes, or everything that is wrong with it.

    Sections are checked against each other only once each is right, so what is wrong is mended in a draft and the draft is checked
    again, until nothing new turns up. What only the mending brought about is not reported.
    """
    if foreign := _foreign(data):
        return None, foreign
    draft = Draft(TuningJob, {key: deepcopy(value) for key, value in data.items() if key != "status"})
    errors: list[SpecError] = []
    for _ in range(ROUNDS):
        try:
            job = TuningJob.model_validate_json(json.dumps(draft.data), by_alias=True, by_name=False)
        except ValidationError as invalid:
            problems = _unknown_first([p for error in invalid.errors(include_url=False) for p in _problems(error)])
            fresh = [SpecError(draft.original(p.location), p.message) for p in problems if not draft.touched(p.location)]
            errors += [error for error in fresh if error not in errors]
            if not draft.mend({p.location: p.kind for p in problems}):
                return None, errors
        else:
            return (None, errors) if errors else (job, [])
    return None, errors


class _Problem(NamedTuple):
    location: Location
    kind: str
    message: str


def _problems(error: Any) -> list[_Problem]:
    """One of pydantic's errors in our words; several where a cross-field check found several."""
    location: Location = tuple(error["loc"])
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, FieldProblems):
        return [_Problem((*location, *p.path.split(".")), "disagrees", p.message) for p in cause.problems]
    model = model_at(TuningJob, location[:-1]) if location else None
    return [_Problem(location, error["type"], message(error, shape_at(TuningJob, location), names(model) if model else {}))]


def _unknown_first(problems: list[_Problem]) -> list[_Problem]:
    """The misspelt names alone while there are any: what seems missing may stand under such a name."""
    return [p for p in problems if p.kind == UNKNOWN] or problems


def _foreign(data: Mapping[str, Any]) -> list[SpecError]:
    """Says that a manifest is none of ours: looking at its other fields would be noise."""
    kind, version = data.get("kind"), data.get("apiVersion")
    if not isinstance(kind, str) or kind in KINDS or closest(kind, KINDS):
        return []
    wrong = [SpecError(("kind",), f"unknown kind {show(kind)} (known: {', '.join(KINDS)})")]
    if version != API_VERSION:
        wrong.append(SpecError(("apiVersion",), f"must be {API_VERSION} (given: {show(version)})"))
    return wrong
