"""What a claim is, and what owner.json says of who holds it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from pydantic import ConfigDict, ValidationError

from tunesmith_api.protocol import Failure, Owner, Reason
from tunesmith_trainer.storage.folder import Folder, Version

OWNER = "owner.json"


class OwnerFile(Owner):
    """What owner.json holds: who writes here, since when, and a count that each refresh raises."""

    model_config = ConfigDict(extra="ignore")

    since: str
    beat: int = 0

    def is_of(self, owner: Owner) -> bool:
        """Whether it was written by the same process for the same attempt."""
        return all(getattr(self, field) == getattr(owner, field) for field in Owner.model_fields)


class Claim(ABC):
    """The right to write to one folder, until it is released or lost."""

    def __init__(self, folder: Folder, owner: Owner) -> None:
        self.folder = folder
        self.owner = owner

    @abstractmethod
    def check(self) -> None:
        """Raise Failure(OutputInUse) if the folder is no longer ours."""

    @abstractmethod
    def release(self) -> None:
        """Give the folder up; nothing is removed that is another's."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()


def owner_file(owner: Owner) -> OwnerFile:
    """The content of owner.json at the start of a claim."""
    return OwnerFile(**owner.model_dump(), since=datetime.now(UTC).isoformat(timespec="seconds"))


def encode(content: OwnerFile) -> bytes:
    """owner.json, laid out for people."""
    return (content.model_dump_json(by_alias=True, indent=2) + "\n").encode()


def read_owner(folder: Folder) -> tuple[OwnerFile | None, Version]:
    """Who owner.json names, or None where it cannot be understood; Missing where there is none."""
    data, version = folder.read_versioned(OWNER)
    try:
        return OwnerFile.model_validate_json(data), version
    except ValidationError:
        return None, version


def in_use(folder: Folder, current: OwnerFile | None, remedy: str) -> Failure:
    """The failure of meeting another writer."""
    who = f"{current.name} (process {current.pid} on {current.host}, since {current.since})" if current else "another process"
    return Failure(Reason.OUTPUT_IN_USE, f"{folder.uri}: {who} is writing there", remedy)
