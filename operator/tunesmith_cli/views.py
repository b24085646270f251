"""Three ways to show a running trainer: a live bar on a terminal, plain lines in a pipe, its own JSON lines for machines."""

from __future__ import annotations

import sys
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn
from rich.table import Table
from rich.text import Text

from tunesmith_api.plan import Plan
from tunesmith_api.protocol import (
    CheckpointEvent,
    EvaluationEvent,
    Event,
    NoteEvent,
    PhaseEvent,
    PlanEvent,
    ProgressEvent,
    WordEvent,
    encode,
)
from tunesmith_cli.text import clean
from tunesmith_cli.wording import figures, plan_details, plan_rows, plan_warnings, sentence

SAVING = "saving ... (once more to kill it without saving)"
LINES_PER_PHASE = 20


class View:
    """Shows the events of one trainer; this one shows nothing."""

    def show(self, line: str, event: Event) -> None:
        """Show one event, that came as this line."""

    def stopping(self) -> None:
        """Say that the trainer was asked to save and leave."""

    def stop(self) -> None:
        """Take away what moves, whatever happened."""

    def close(self, closing: list[str], word: WordEvent) -> None:
        """Say how it ended."""


class JsonView(View):
    """The trainer's events unchanged, the word last."""

    def __init__(self, out: TextIO) -> None:
        self.out = out

    def show(self, line: str, event: Event) -> None:
        """Pass the event on; the word waits for the end, for there is always one."""
        if not isinstance(event, WordEvent):
            self._write(line)

    def close(self, closing: list[str], word: WordEvent) -> None:
        """Pass the word on."""
        self._write(encode(word))

    def _write(self, line: str) -> None:
        self.out.write(f"{line}\n")
        self.out.flush()


class PlainView(View):
    """One line for each phase, evaluation and checkpoint, and for every twentieth of the progress."""

    def __init__(self, out: TextIO, *, detailed: bool = False) -> None:
        self.out, self.detailed = out, detailed
        self._shown: tuple[str, int] = ("", 0)
        self._warnings: set[str] = set()

    def show(self, line: str, event: Event) -> None:
        """Show an event as a line, if it is worth one."""
        if isinstance(event, PlanEvent):
            self._plan(event.plan)
        elif not isinstance(event, ProgressEvent) or self._is_due(event):
            self._say(sentence(event))

    def stopping(self) -> None:
        """Say that the trainer was asked to save and leave."""
        self._write(SAVING)

    def close(self, closing: list[str], word: WordEvent) -> None:
        """Say how it ended."""
        self._write("", *closing)

    def _is_due(self, event: ProgressEvent) -> bool:
        mark = (event.phase, int(event.percent * LINES_PER_PHASE / 100))
        due = mark[1] > 0 and mark != self._shown
        self._shown = mark
        return due

    def _plan(self, plan: Plan) -> None:
        width = max(len(label) for label, _ in plan_rows(plan))
        self._write(*(f"{label:<{width}}  {text}" for label, text in plan_rows(plan)))
        self._write(*(plan_details(plan) if self.detailed else ()))
        for warning in plan_warnings(plan):
            self._say(warning)

    def _say(self, text: str | None) -> None:
        if text is not None and text not in self._warnings:
            self._warnings |= {text} if text.startswith("warning: ") else set()
            self._write(text)

    def _write(self, *lines: str) -> None:
        self.out.writelines(f"{line}\n" for line in lines)
        self.out.flush()


class LiveView(View):
    """A bar that moves, with what happened above it."""

    def __init__(self, console: Console, *, detailed: bool = False) -> None:
        self.console, self.detailed = console, detailed
        self.progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TextColumn("{task.fields[figures]}", markup=False),
            console=console,
            transient=True,
            refresh_per_second=4,
        )
        self._task: TaskID | None = None
        self._warnings: set[str] = set()
        self.progress.start()

    def show(self, line: str, event: Event) -> None:
        """Move the bar, or put a line above it."""
        match event:
            case PlanEvent():
                self._plan(event.plan)
            case ProgressEvent():
                self._bar(clean(event.phase), figures(event), event.percent)
            case PhaseEvent():
                self._print(sentence(event), "bold")
                self._bar(clean(event.phase), clean(event.detail), None)
            case NoteEvent(level="warning"):
                self._warn(sentence(event))
            case EvaluationEvent():
                self._print(sentence(event), "green" if event.best else "")
            case CheckpointEvent():
                self._print(sentence(event), "dim")
            case _:
                self._print(sentence(event), "")

    def stopping(self) -> None:
        """Say that the trainer was asked to save and leave."""
        self._print(SAVING, "yellow")

    def stop(self) -> None:
        """Take the bar away and give the cursor back."""
        self.progress.stop()

    def close(self, closing: list[str], word: WordEvent) -> None:
        """Say how it ended, where the bar was."""
        self.progress.stop()
        first, *rest = closing
        self._print(first, "bold green" if word.result else "bold yellow" if word.reason == "Preempted" else "bold red")
        for text in rest:
            self._print(text, "")

    def _bar(self, phase: str, beside: str, percent: float | None) -> None:
        if self._task is None or self.progress.tasks[0].description != phase or percent is None:
            if self._task is not None:
                self.progress.remove_task(self._task)
            self._task = self.progress.add_task(phase, total=None if percent is None else 100.0, figures=beside)
        self.progress.update(self._task, total=None if percent is None else 100.0, completed=percent or 0.0, figures=beside)

    def _plan(self, plan: Plan) -> None:
        table = Table.grid(padding=(0, 2))
        for label, text in plan_rows(plan):
            table.add_row(Text(label, "cyan"), Text(text))
        self.console.print(table)
        for text in plan_details(plan) if self.detailed else ():
            self._print(text, "dim")
        for text in plan_warnings(plan):
            self._warn(text)

    def _warn(self, text: str | None) -> None:
        if text is not None and text not in self._warnings:
            self._warnings.add(text)
            self._print(text, "yellow")

    def _print(self, text: str | None, style: str) -> None:
        if text is not None:
            self.console.print(Text(text, style), soft_wrap=True)


def view(*, json: bool, detailed: bool = False) -> View:
    """The view that suits the standard output."""
    if json:
        return JsonView(sys.stdout)
    console = Console()
    if sys.stdout.isatty() and not console.is_dumb_terminal:
        return LiveView(console, detailed=detailed)
    return PlainView(sys.stdout, detailed=detailed)
