"""Saved states in the output: written in the background, a completion marker last, the newest two and the best kept."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from tunesmith_trainer.engine.state import TrainState
from tunesmith_trainer.storage.folder import Folder

COMPLETE = "complete"
STATE = "state.json"
TENSORS = "state.safetensors"
KEPT = 2
_OURS = re.compile(r"[0-9a-f]{16}/(step|best)-\d+/")


class Checkpoints:
    """The saved states of one training below one folder.

    `step-N/` holds state and tensors to go on from, `best-N/` the parameters of the best evaluation. A folder without its
    marker was never finished: it is ignored, and removed by the next save.
    """

    def __init__(self, folder: Folder, work: Path, *, check: Callable[[], None]) -> None:
        self._folder = folder
        self._work = work
        self._check = check
        self._writer: threading.Thread | None = None
        self._error: BaseException | None = None

    @property
    def uri(self) -> str:
        """Where the checkpoints lie."""
        return self._folder.uri

    def of(self, digest: str) -> Checkpoints:
        """The saved states of the training of that digest alone, in a folder of their own."""
        return Checkpoints(self._folder.child(digest.removeprefix("sha256:")[:16]), self._work, check=self._check)

    def newest(self) -> tuple[TrainState, dict[str, Tensor]] | None:
        """The newest complete state, or None."""
        steps = self._complete("step-")
        if not steps:
            return None
        name = _name("step-", steps[-1])
        state = TrainState.model_validate_json(self._folder.read(f"{name}/{STATE}"))
        return state, self._tensors(name)

    def best(self, step: int) -> dict[str, Tensor]:
        """The parameters that were saved as the best, at the step."""
        return self._tensors(_name("best-", step))

    def save(self, state: TrainState, tensors: Mapping[str, Tensor], *, told: Callable[[], None] = lambda: None) -> None:
        """Write a state in the background, after the one before; the tensors must be the caller's copies.

        `told` is called, by the writing thread, once the state is complete.
        """
        name = _name("step-", state.step)

        def write() -> None:
            self._write(name, {STATE: state.model_dump_json().encode()}, tensors, keep=state)
            told()

        self._start(write)

    def save_best(self, step: int, tensors: Mapping[str, Tensor]) -> None:
        """Write the parameters of the best evaluation in the background."""
        self._start(lambda: self._write(_name("best-", step), {}, tensors, keep=None))

    def wait(self) -> None:
        """Return when everything is written; raises what a write raised."""
        if self._writer is not None:
            self._writer.join()
            self._writer = None
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def remove_all(self) -> None:
        """Remove every checkpoint: the job is done."""
        self._folder.delete([entry.name for entry in self._folder.list() if _OURS.match(entry.name)])

    def _start(self, write: Callable[[], None]) -> None:
        self.wait()

        def guarded() -> None:
            try:
                write()
            except BaseException as error:
                self._error = error

        self._writer = threading.Thread(target=guarded, name="checkpoint")
        self._writer.start()

    def _write(self, name: str, files: Mapping[str, bytes], tensors: Mapping[str, Tensor], *, keep: TrainState | None) -> None:
        from safetensors.torch import save_file

        if self._folder.exists(f"{name}/{COMPLETE}"):
            return
        local = self._work / f"{name}.safetensors"
        save_file({key: value.contiguous() for key, value in tensors.items()}, local)
        self._folder.upload(f"{name}/{TENSORS}", local)
        local.unlink()
        for file, data in files.items():
            self._folder.write(f"{name}/{file}", data)
        self._check()
        self._folder.write(f"{name}/{COMPLETE}", b"")
        if keep is not None:
            self._prune(keep)

    def _prune(self, state: TrainState) -> None:
        steps = self._complete("step-")
        wanted = {_name("step-", s) for s in steps[-KEPT:]}
        if state.best is not None:
            wanted.add(_name("best-", state.best.step))
        entries = [entry.name for entry in self._folder.list()]
        markers_first = sorted((e for e in entries if e.split("/")[0] not in wanted), key=lambda e: (not e.endswith(f"/{COMPLETE}"), e))
        self._folder.delete(markers_first)

    def _complete(self, prefix: str) -> list[int]:
        return sorted(_steps((entry.name for entry in self._folder.list()), prefix))

    def _tensors(self, name: str) -> dict[str, Tensor]:
        from safetensors.torch import load_file

        local = self._work / f"{name}.restored.safetensors"
        self._folder.download(f"{name}/{TENSORS}", local)
        tensors: dict[str, Tensor] = load_file(local)
        local.unlink()
        return tensors


def _steps(names: Iterable[str], prefix: str) -> Iterable[int]:
    for name in names:
        head, _, rest = name.partition("/")
        if rest == COMPLETE and head.startswith(prefix):
            yield int(head.removeprefix(prefix))


def _name(prefix: str, step: int) -> str:
    return f"{prefix}{step:08d}"


def snapshot(parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies of the parameters as they are now, on the CPU."""
    return {name: p.detach().to("cpu", copy=True) for name, p in parameters.items()}


def restore(parameters: Mapping[str, torch.nn.Parameter], tensors: Mapping[str, Tensor]) -> None:
    """Copy saved tensors back into the parameters of the same names."""
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(tensors[name])
