"""What each field of the API takes, read from its pydantic model: for error messages and for the generated reference."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from tunesmith_api.meta import ApiModel

WORDS: dict[Any, str] = {str: "text", int: "whole number", float: "number", bool: "true or false"}
_LIMITS = ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern")


class Shape(NamedTuple):
    """What a field takes."""

    word: str
    """text, number, whole number, true or false, list, map of text, section or choice."""
    model: type[ApiModel] | None
    """The model of a section."""
    choices: tuple[str, ...]
    """The words that a choice allows."""
    limits: dict[str, Any]
    """Its bounds: ge, gt, le, lt, min_length, max_length, pattern."""
    item: Shape | None = None
    """What a list or a map holds."""


def shape(field: FieldInfo) -> Shape:
    """What a field takes."""
    return _shape(field.annotation, list(field.metadata))


def _shape(annotation: Any, metadata: list[Any]) -> Shape:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _shape(arguments[0], metadata + list(arguments[1:]))
    if origin in (Union, types.UnionType):
        return _shape(next(a for a in arguments if a is not type(None)), metadata)
    limits = dict(_limits(metadata))
    if origin is Literal:
        return Shape("choice", None, tuple(str(a) for a in arguments), limits)
    if origin in (tuple, dict):
        return Shape("list" if origin is tuple else "map of text", None, (), limits, _shape(arguments[0], []))
    if isinstance(annotation, type) and issubclass(annotation, ApiModel):
        return Shape("section", annotation, (), limits)
    return Shape(WORDS[annotation], None, (), limits)


def _limits(metadata: list[Any]) -> Iterator[tuple[str, Any]]:
    for entry in metadata:
        if isinstance(entry, FieldInfo):
            yield from _limits(list(entry.metadata))
        yield from ((name, value) for name in _LIMITS if (value := getattr(entry, name, None)) is not None)


def names(model: type[ApiModel]) -> dict[str, FieldInfo]:
    """The fields of a model by their camelCase names."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def model_at(root: type[ApiModel], location: tuple[str | int, ...]) -> type[ApiModel] | None:
    """The model of the section at a location, if there is one."""
    model: type[ApiModel] | None = root
    for step in location:
        field = names(model).get(str(step)) if model else None
        model = shape(field).model if field else None
    return model


def shape_at(root: type[ApiModel], location: tuple[str | int, ...]) -> Shape | None:
    """What the field at a location takes, if there is such a field."""
    steps = [step for step in location if isinstance(step, str)]
    section = model_at(root, tuple(steps[:-1])) if steps else None
    if section is None:
        around = shape_at(root, location[:-1]) if steps else None
        return around.item if around else None
    field = names(section).get(steps[-1])
    found = shape(field) if field else None
    return found.item if found and isinstance(location[-1], int) else found


def bounds(found: Shape) -> str:
    """The bounds in words, such as "1 to 1024" or "more than 0, at most 1"; empty where there are none."""
    limits = found.limits
    if (low := limits.get("min_length")) is not None or "max_length" in limits:
        high, unit = limits.get("max_length"), "entries" if found.word == "list" else "characters"
        return f"{low or 0} to {high} {unit}" if high is not None else f"at least {low} {unit}"
    if "ge" in limits and "le" in limits:
        return f"{limits['ge']:,} to {limits['le']:,}" if found.word == "whole number" else f"{limits['ge']:g} to {limits['le']:g}"
    named = (("ge", "at least"), ("gt", "more than"), ("le", "at most"), ("lt", "less than"))
    return ", ".join(f"{word} {limits[name]:g}" for name, word in named if name in limits)
