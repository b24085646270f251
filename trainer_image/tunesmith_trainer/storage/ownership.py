"""One writer at a time: a claim on an output folder, by the kernel's lock on this machine and by owner.json in a bucket."""

from __future__ import annotations

from tunesmith_api.protocol import Owner
from tunesmith_trainer.storage.folder import Folder
from tunesmith_trainer.storage.lease import LeaseClaim
from tunesmith_trainer.storage.local import LocalFolder
from tunesmith_trainer.storage.lock import LockClaim
from tunesmith_trainer.storage.owner import OWNER, Claim

__all__ = ["OWNER", "Claim", "claim"]


def claim(folder: Folder, owner: Owner) -> Claim:
    """Take a folder for writing, or say who has it."""
    return LockClaim(folder, owner) if isinstance(folder, LocalFolder) else LeaseClaim(folder, owner)
