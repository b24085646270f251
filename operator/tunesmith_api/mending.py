"""A draft of a wrong manifest in which what is wrong is mended, so that the rest of it can be checked too."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from tunesmith_api.fields import Shape, model_at, names, shape_at
from tunesmith_api.messages import closest
from tunesmith_api.meta import ApiModel

UNKNOWN = "extra_forbidden"
Location = tuple[str | int, ...]

STAND_INS: dict[str, tuple[Any, ...]] = {
    "text": ("x", "file:x"),
    "number": (0.5, 1.0),
    "whole number": (1, 4),
    "true or false": (False,),
    "list": ([],),
    "map of text": ({},),
    "section": ({},),
}
"""By what a field takes: values to put in the place of a wrong one, tried in turn."""
TELLING_SECTIONS: dict[str, Any] = {"dataset": {"evaluation": {}}}
"""Sections that others lean on: their stand-in must not look as if something had been left out."""


class Draft:
    """The data as mended so far, and where it was mended."""

    def __init__(self, root: type[ApiModel], data: dict[str, Any]) -> None:
        self.root, self.data = root, data
        self._tries: dict[Location, int] = {}
        self._removed: set[Location] = set()
        self._renamed: dict[Location, Location] = {}

    def touched(self, location: Location) -> bool:
        """Whether an error here may be of our making: at or under a stand-in, or in a section that lost a field."""
        mended = any(location[:length] in self._tries for length in range(len(location) + 1))
        return mended or any(removed[:-1] == location for removed in self._removed)

    def original(self, location: Location) -> Location:
        """A location with the names that the author wrote."""
        for length in range(len(location), 0, -1):
            if written := self._renamed.get(location[:length]):
                return self.original(written) + location[length:]
        return location

    def mend(self, problems: Mapping[Location, str]) -> bool:
        """Mend every problem (location -> pydantic's word for it) that can be mended; false where none could."""
        mended = [self._mend(location, kind) for location, kind in problems.items()]
        return any(mended)

    def _mend(self, location: Location, kind: str) -> bool:
        if not location:
            return False
        section = self._section(location[:-1])
        if section is None:
            return False
        if kind == UNKNOWN:
            return self._rename_or_remove(section, location)
        found = shape_at(self.root, location)
        if kind == "disagrees" or (found and found.word == "section" and kind == "value_error"):
            return self._remove(section, location)
        return found is not None and self._stand_in(section, location, found)

    def _section(self, location: Location) -> Any:
        value: Any = self.data
        for step in location:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def _rename_or_remove(self, section: Any, location: Location) -> bool:
        wrong, model = str(location[-1]), model_at(self.root, location[:-1])
        meant = closest(wrong, names(model)) if model else None
        value = section.pop(wrong)
        if meant and meant not in section:
            section[meant] = value
            self._renamed[(*location[:-1], meant)] = location
        else:
            self._removed.add(location)
        return True

    def _remove(self, section: Any, location: Location) -> bool:
        model = model_at(self.root, location[:-1])
        field = names(model).get(str(location[-1])) if model else None
        if field is None or field.is_required() or location[-1] not in section:
            return False
        del section[location[-1]]
        self._tries[location] = 0
        return True

    def _stand_in(self, section: Any, location: Location, found: Shape) -> bool:
        values = found.choices or STAND_INS[found.word]
        tries = self._tries.get(location, 0)
        if tries >= len(values):
            return False
        section[location[-1]] = deepcopy(TELLING_SECTIONS.get(str(location[-1]), values[tries]))
        self._tries[location] = tries + 1
        return True
