"""What a recipe is handed besides its spec: a voice, the stop signal, the stores and two folders."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tunesmith_api.meta import ApiModel
from tunesmith_api.protocol import Failure, NoteEvent, Owner, PhaseEvent, ProgressEvent, Reason
from tunesmith_trainer.storage.stores import Stores

PROGRESS_SECONDS = 0.5
"""Least time between two progress events of a phase."""


@dataclass(frozen=True)
class Run:
    """One execution of a recipe."""

    emit: Callable[[ApiModel], None]
    """Tells the outside an event."""
    stores: Stores
    """Opens URIs."""
    owner: Owner
    """Who writes to the output."""
    cache: Path
    """Folder that outlives the run: prepared data, downloaded models."""
    work: Path
    """Folder that ends with the run."""
    stop: threading.Event = field(default_factory=threading.Event)
    """Set when the job must save and leave."""
    notes: list[str] = field(default_factory=list)
    """Every warning said so far, for the report."""

    def phase(self, name: str, detail: str = "") -> None:
        """Say that a phase begins, unless the job must leave."""
        self.leave_if_asked()
        self.emit(PhaseEvent(phase=name, detail=detail))

    def note(self, message: str) -> None:
        """Say something that a person should know."""
        self.emit(NoteEvent(level="info", message=message))

    def warn(self, message: str) -> None:
        """Say something that a person should know and may want to change; the report repeats it."""
        if message not in self.notes:
            self.notes.append(message)
            self.emit(NoteEvent(level="warning", message=message))

    def progress(self, phase: str) -> Callable[[int, int], None]:
        """A callback that tells how much of a phase is done; it raises Failure(Preempted) if the job must leave."""
        last = 0.0

        def tell(done: int, total: int) -> None:
            nonlocal last
            self.leave_if_asked()
            now = time.time()
            if now - last >= PROGRESS_SECONDS or done >= total:
                last = now
                share = 100 * done / max(total, 1)
                self.emit(ProgressEvent(phase=phase, step=done, total_steps=total, percent=share, updated_at=now))

        return tell

    def leave_if_asked(self) -> None:
        """Raise Failure(Preempted) if a signal asked the job to leave; called where nothing needs saving."""
        if self.stop.is_set():
            raise Failure(
                Reason.PREEMPTED, "stopped by a signal; what was finished is kept", "run the same command again: it goes on from there"
            )
