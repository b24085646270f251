"""The reference of the API, written from its models: `python -m tunesmith_api.reference docs/api.md`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic.fields import FieldInfo

from tunesmith_api.fields import Shape, bounds, names, shape
from tunesmith_api.meta import API_VERSION, ApiModel, OneOf
from tunesmith_api.tuning import TuningJob

KINDS: tuple[type[ApiModel], ...] = (TuningJob,)


def reference() -> str:
    """The whole reference as Markdown."""
    head = [
        "# API reference",
        "",
        f"Generated from the models of `{API_VERSION}` by `python -m tunesmith_api.reference docs/api.md`; do not edit it.",
        "A dash as the default means that the field may be left out; its description says what holds then.",
    ]
    return "\n".join([*head, *(line for kind in KINDS for line in _kind(kind))]) + "\n"


def _kind(kind: type[ApiModel]) -> Iterator[str]:
    yield from ("", f"## {kind.__name__}", "", kind.__doc__ or "", "")
    yield from _table(kind, "")
    for path, section in _sections(kind, ""):
        rule = " Give exactly one of these." if issubclass(section, OneOf) else ""
        yield from ("", f"### {path}", "", f"{section.__doc__}{rule}", "")
        yield from _table(section, path) if section.model_fields else ["It has no fields: write `{}`."]


def _sections(model: type[ApiModel], path: str) -> Iterator[tuple[str, type[ApiModel]]]:
    for name, field in names(model).items():
        if section := shape(field).model:
            here = f"{path}.{name}" if path else name
            yield here, section
            yield from _sections(section, here)


def _table(model: type[ApiModel], path: str) -> Iterator[str]:
    yield "| field | type | default | bounds | description |"
    yield "|---|---|---|---|---|"
    for name, field in names(model).items():
        found = shape(field)
        cells = (f"`{name}`", _type(found, f"{path}.{name}" if path else name), _default(field), _bounds(found), field.description or "")
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _type(found: Shape, path: str) -> str:
    if found.model:
        return f"[section](#{path.replace('.', '').lower()})"
    if found.word == "choice":
        return " or ".join(f"`{choice}`" for choice in found.choices)
    return f"list of {found.item.word}" if found.word == "list" and found.item else found.word


def _bounds(found: Shape) -> str:
    pattern = found.limits.get("pattern")
    parts = [bounds(found), f"`{pattern}`" if pattern else "", f"each {bounds(found.item)}" if found.item and bounds(found.item) else ""]
    return "; ".join(part for part in parts if part)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True, validated_data={})
    if default is None:
        return "-"
    if isinstance(default, ApiModel):
        default = default.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude_none=True)
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(), encoding="utf-8")
