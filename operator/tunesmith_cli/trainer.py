"""The trainer as a process: started, listened to, stopped; it never outlives this one."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from tunesmith_api.protocol import Event, Failure, Reason, WordEvent, decode

NEEDED = ("tunesmith_trainer", "torch", "transformers", "safetensors", "obstore", "pyarrow")
STOPPING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GRACE_SECONDS = 10.0
_POLL_SECONDS = 0.5
_LAST_POLL_SECONDS = 0.01


class Listener(NamedTuple):
    """What to do with what a trainer says."""

    show: Callable[[str, Event], None]
    """Gets each event and the line it came as."""
    stopping: Callable[[], None]
    """Called when the trainer has been asked to save and leave."""


def require_trainer(needed: Sequence[str] = NEEDED) -> None:
    """Say plainly that the trainer is not installed, before it fails at its imports."""
    if missing := [name for name in needed if find_spec(name) is None]:
        raise Failure(
            Reason.INTERNAL, f"the trainer is not installed here (missing: {', '.join(missing)})", "pip install 'tunesmith[trainer]'"
        )


def follow(command: Sequence[str], log: Path, listener: Listener) -> WordEvent:
    """Run a trainer to its end and return its word; its standard error goes to the log.

    The first SIGINT, SIGTERM or SIGHUP asks it to save and leave, the next kills it. It holds our pipe as its standard input, so it
    ends when this process does, however that happens.
    """
    with _signals() as signals, log.open("ab") as errors:
        trainer = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            bufsize=0,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        try:
            heard = _Ear(trainer, signals, listener, log).listen()
        finally:
            _end(trainer)
    if heard.unheard:
        raise BrokenPipeError from heard.unheard
    return heard.word or _wordless(trainer.returncode, heard, log)


@contextmanager
def _signals() -> Iterator[int]:
    """Turns the stopping signals into bytes on a pipe, so that they are handled where it is safe: in the loop that reads.

    What is ignored stays ignored: nohup, and a shell's background jobs.
    """
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    heeded = [number for number in STOPPING_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    handlers = {number: signal.signal(number, lambda *_: None) for number in heeded}
    previous = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    try:
        yield read
    finally:
        signal.set_wakeup_fd(previous)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        os.close(read)
        os.close(write)


class _Ear:
    """Reads a trainer's lines and our signals until the trainer has ended."""

    def __init__(self, trainer: subprocess.Popen[bytes], signals: int, listener: Listener, log: Path) -> None:
        self.trainer, self.signals, self.listener, self.log = trainer, signals, listener, log
        self.word: WordEvent | None = None
        self.asked = False
        self.killed_by_us = False
        self.unheard: OSError | None = None
        self._rest = b""

    def listen(self) -> _Ear:
        assert self.trainer.stdout is not None
        output = self.trainer.stdout.fileno()
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            selector.register(self.signals, selectors.EVENT_READ)
            ended = False
            while not ended:
                gone = self.trainer.poll() is not None
                patience = 0.0 if gone else _POLL_SECONDS if output in selector.get_map() else _LAST_POLL_SECONDS
                ready = {key.fd for key, _ in selector.select(patience)}
                if self.signals in ready:
                    self._stop(os.read(self.signals, 64))
                if output in ready and not self._hear(os.read(output, 1 << 16)):
                    selector.unregister(output)
                ended = gone and output not in ready
        return self

    def _hear(self, chunk: bytes) -> bool:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if not chunk and self._rest:
            lines, self._rest = [self._rest], b""
        for line in lines:
            self._say(line.decode("utf-8", "replace"))
        return bool(chunk)

    def _say(self, line: str) -> None:
        try:
            event = decode(line)
        except ValidationError:
            with self.log.open("a", encoding="utf-8") as log:
                log.write(f"no event: {line}\n")
            return
        if isinstance(event, WordEvent):
            self.word = event
        self._tell(lambda: self.listener.show(line, event))

    def _tell(self, say: Callable[[], None]) -> None:
        """Say something; where nobody listens any more (a closed pipe or terminal), let the trainer save and leave."""
        if self.unheard:
            return
        try:
            say()
        except OSError as error:
            self.unheard = error
            if not self.asked:
                self.asked = True
                self.trainer.terminate()

    def _stop(self, numbers: bytes) -> None:
        for number in numbers:
            if not self.asked:
                self.asked = True
                self.trainer.terminate()
                self._tell(self.listener.stopping)
            elif number != signal.SIGHUP:
                self.killed_by_us = True
                _kill(self.trainer)


def _kill(trainer: subprocess.Popen[bytes]) -> None:
    """Kill the trainer and whatever it started: it leads a session of its own."""
    with suppress(ProcessLookupError):
        os.killpg(trainer.pid, signal.SIGKILL)


def _end(trainer: subprocess.Popen[bytes]) -> None:
    """Leave no trainer behind, whatever ended the listening."""
    assert trainer.stdin is not None
    assert trainer.stdout is not None
    trainer.stdin.close()
    try:
        trainer.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        _kill(trainer)
        trainer.wait()
    trainer.stdout.close()


def _wordless(returncode: int, heard: _Ear, log: Path) -> WordEvent:
    """The word of a trainer that ended without one."""
    again = "run the same command again to resume"
    if heard.killed_by_us:
        message = "the trainer was killed before it had saved; what earlier checkpoints hold is kept"
        return WordEvent(reason=Reason.PREEMPTED, message=message, remedy=again)
    if heard.asked and returncode == -signal.SIGTERM:
        return WordEvent(reason=Reason.PREEMPTED, message="the trainer had not begun: there was nothing to save", remedy=again)
    if returncode == -signal.SIGKILL:
        message, remedy = "the trainer was killed (signal 9), most likely for memory", again
    elif returncode < 0:
        message, remedy = f"the trainer was killed (signal {-returncode})", again
    else:
        message, remedy = f"the trainer ended without a word (exit code {returncode})", f"its last words are in {log}"
    return WordEvent(reason=Reason.INTERNAL, message=message, remedy=remedy)
