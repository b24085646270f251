"""The claim on a folder of a bucket: owner.json, put if absent, taken over only if it still is what was read."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import timedelta

import psutil

from tunesmith_api.protocol import Failure, Owner, Reason
from tunesmith_trainer.storage.errors import Missing
from tunesmith_trainer.storage.folder import Folder
from tunesmith_trainer.storage.owner import OWNER, Claim, OwnerFile, encode, in_use, owner_file, read_owner

REFRESH = timedelta(minutes=1)
STALE = timedelta(minutes=5)
_TRIES = 5
_CLOCK_STEP = 2.0
"""Seconds by which a process's start may seem to move when the clock is set."""


class LeaseClaim(Claim):
    """Refreshed once a minute while it is held; another may take it after five minutes of silence by the store's clock."""

    def __init__(self, folder: Folder, owner: Owner) -> None:
        super().__init__(folder, owner)
        self._content = owner_file(owner)
        self._writing = threading.Lock()
        self._stop = threading.Event()
        self._acquire()
        self._thread = threading.Thread(target=self._keep, name="owner", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Read the owner again."""
        try:
            current, _ = read_owner(self.folder)
        except Missing:
            raise Failure(
                Reason.OUTPUT_IN_USE,
                f"{self.folder.uri}: {OWNER} vanished while this job was writing there",
                "Somebody emptied the folder: find out who, then run the job again.",
            ) from None
        if current is None or not current.is_of(self.owner):
            raise in_use(
                self.folder, current, "It took over while this job could not be heard: let it finish, or stop it and run this job again."
            )

    def refresh(self) -> bool:
        """Show that we are alive; False once the folder is another's."""
        with self._writing, suppress(Missing):
            if self._stop.is_set():
                return False
            current, version = read_owner(self.folder)
            if current is not None and current.is_of(self.owner):
                self._content = self._content.model_copy(update={"beat": current.beat + 1})
                return self.folder.replace(OWNER, encode(self._content), version)
        return False

    def release(self) -> None:
        """Stop refreshing and remove owner.json if it still is ours."""
        self._stop.set()
        with self._writing, suppress(Missing, Failure):
            current, _ = read_owner(self.folder)
            if current is not None and current.is_of(self.owner):
                self.folder.delete([OWNER])

    def _acquire(self) -> None:
        for _ in range(_TRIES):
            if self.folder.write_new(OWNER, encode(self._content)):
                return
            with suppress(Missing):
                if self._take_over():
                    return
        raise in_use(self.folder, None, "Wait for it to finish, or name another output.uri.")

    def _take_over(self) -> bool:
        """Whether owner.json is ours now; raises if it is another's and alive."""
        current, version = read_owner(self.folder)
        if current is not None and current.is_of(self.owner):
            return True
        if not (current is not None and _gives_way(current, self.owner)) and (age := self._age()) < STALE:
            raise in_use(self.folder, current, _remedy(current, age))
        return self.folder.replace(OWNER, encode(self._content), version)

    def _age(self) -> timedelta:
        entry = self.folder.head(OWNER)
        if entry is None:
            raise Missing(self.folder.uri_of(OWNER))
        return self.folder.now() - entry.modified

    def _keep(self) -> None:
        """A refresh that fails is tried again a minute later: `check` alone says that the claim is lost."""
        while not self._stop.wait(REFRESH.total_seconds()):
            with suppress(Failure, Missing):
                self.refresh()


def _gives_way(current: OwnerFile, owner: Owner) -> bool:
    """Whether the present owner need not be waited for: an earlier attempt of the same job, or a process of this host that is dead."""
    earlier = current.uid == owner.uid and current.attempt < owner.attempt
    return earlier or (current.host == owner.host and not is_alive(current))


def is_alive(owner: Owner) -> bool:
    """Whether that very process runs on this host."""
    try:
        started: float = psutil.Process(owner.pid).create_time()
    except psutil.NoSuchProcess:
        return False
    return abs(started - owner.started) < _CLOCK_STEP


def _remedy(current: OwnerFile | None, age: timedelta) -> str:
    stop = f"stop it (process {current.pid} on {current.host})" if current else "stop it"
    heard, patience = (int(max(0.0, span.total_seconds())) for span in (age, STALE))
    return f"It was heard {heard} s ago; after {patience} s of silence this job may take over. Wait, {stop}, or name another output.uri."
