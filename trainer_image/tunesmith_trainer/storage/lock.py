"""The claim on a folder of this machine: a lock that the kernel gives back when its process dies."""

from __future__ import annotations

import fcntl
import os

from tunesmith_api.protocol import Failure, Owner, Reason
from tunesmith_trainer.storage.errors import Missing, reading, writing
from tunesmith_trainer.storage.local import LocalFolder
from tunesmith_trainer.storage.owner import OWNER, Claim, OwnerFile, encode, in_use, owner_file, read_owner

LOCK = ".lock"
_TRIES = 100


class LockClaim(Claim):
    """Holds `.lock`; owner.json beside it is for people to read."""

    def __init__(self, folder: LocalFolder, owner: Owner) -> None:
        super().__init__(folder, owner)
        self._path = folder.path / LOCK
        with writing(folder.uri):
            folder.path.mkdir(parents=True, exist_ok=True)
            self._handle: int | None = self._lock()
        try:
            folder.sweep()
            folder.write(OWNER, encode(owner_file(owner)))
        except BaseException:
            self.release()
            raise

    def check(self) -> None:
        """The lock is ours as long as its file is the one that we hold."""
        with reading(self.folder.uri):
            held = self._handle is not None and self._holds(self._handle)
        if not held:
            raise Failure(
                Reason.OUTPUT_IN_USE,
                f"{self.folder.uri}: {LOCK} was removed or replaced while this job was writing there",
                "Somebody emptied or moved the folder: find out who, then run the job again.",
            )

    def release(self) -> None:
        """Remove owner.json and the lock's file while the lock is held, so that nobody waits on a file without a name."""
        handle, self._handle = self._handle, None
        if handle is None:
            return
        try:
            if self._holds(handle):
                self.folder.delete([OWNER])
                self._path.unlink()
        except (OSError, Failure):
            return
        finally:
            os.close(handle)

    def _lock(self) -> int:
        """A lock on the file that has the name now: the one before us may have removed the file that we opened."""
        for _ in range(_TRIES):
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                raise in_use(self.folder, self._current(), "Wait for it to finish, stop it, or name another output.uri.") from None
            if self._holds(handle):
                return handle
            os.close(handle)
        raise in_use(self.folder, None, "Wait for it to finish, or name another output.uri.")

    def _holds(self, handle: int) -> bool:
        try:
            return os.path.samestat(os.fstat(handle), self._path.stat())
        except (FileNotFoundError, NotADirectoryError):
            return False

    def _current(self) -> OwnerFile | None:
        try:
            return read_owner(self.folder)[0]
        except Missing:
            return None
