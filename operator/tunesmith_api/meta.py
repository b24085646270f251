"""What every custom resource shares: the base model, metadata and the group's name."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

GROUP = "tunesmith.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"


class FieldProblem(NamedTuple):
    """What is wrong with one field; the path is relative to the model that found it."""

    path: str
    message: str


class FieldProblems(ValueError):
    """Several cross-field problems found at once, each with the field it belongs to."""

    def __init__(self, problems: list[FieldProblem]) -> None:
        super().__init__("; ".join(f"{p.path}: {p.message}" for p in problems))
        self.problems = problems


class ApiModel(BaseModel):
    """A frozen value, camelCase on the wire, strict in its types; an unknown field is an error."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


class Metadata(ApiModel):
    """Kubernetes object metadata; only the name matters outside a cluster."""

    model_config = ConfigDict(extra="ignore")

    name: str = Field(min_length=1, max_length=52, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    """Name of the job: lower-case letters, digits and dashes, at most 52 characters."""
    namespace: str | None = Field(default=None, max_length=63)
    """Namespace of the job; ignored outside a cluster."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Labels of the job; ignored outside a cluster."""
    annotations: dict[str, str] = Field(default_factory=dict)
    """Annotations of the job; ignored outside a cluster."""


class OneOf(ApiModel):
    """A choice: exactly one of the fields is given, and its name is the choice."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [self._alias(name) for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            names = ", ".join(self._alias(name) for name in type(self).model_fields)
            raise ValueError(f"give exactly one of {names} (given: {', '.join(given) or 'none'})")
        return self

    @classmethod
    def _alias(cls, name: str) -> str:
        return cls.model_fields[name].alias or name

    @property
    def choice(self) -> str:
        """The camelCase name of the field that is given."""
        return next(self._alias(n) for n in type(self).model_fields if getattr(self, n) is not None)

    @property
    def chosen(self) -> Any:
        """The value of the field that is given."""
        return next(v for n in type(self).model_fields if (v := getattr(self, n)) is not None)
