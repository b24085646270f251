"""The machine that a benchmark runs on, what else runs on it meanwhile, and the table that comes out."""

from __future__ import annotations

import os
import platform
import shlex
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import psutil

Row = Sequence[str]


class Neighbours:
    """Counts the processor time that other processes take from now on; ours count once they have ended."""

    def __init__(self) -> None:
        self._foreign, self._began = _foreign_seconds(), time.monotonic()

    def cores(self) -> float:
        """Cores that other processes kept busy on average: the figures of a run are good while this is near zero."""
        return max(0.0, _foreign_seconds() - self._foreign) / (time.monotonic() - self._began)


def machine() -> str:
    """The processor, its cores and memory, and the versions that matter."""
    cores, memory = len(os.sched_getaffinity(0)), psutil.virtual_memory().total / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "peft", "datasets"))
    threads = f"; OMP_NUM_THREADS={limit}" if (limit := os.environ.get("OMP_NUM_THREADS")) else ""
    return f"{_processor()}, {cores} cores, {memory:.0f} GiB; {packages}, Python {platform.python_version()}{threads}"


def show(title: str, header: Row, rows: Sequence[Row], neighbours: Neighbours) -> None:
    """Print what was measured as Markdown, with what it takes to measure it again."""
    print(f"\n## {title}\n")
    print(f"- command: `python {shlex.join([os.path.relpath(sys.argv[0]), *sys.argv[1:]])}`")
    print(f"- machine: {machine()}")
    print(f"- other processes meanwhile: {neighbours.cores():.2f} cores\n")
    for line in (header, ["---"] * len(header), *rows):
        print(f"| {' | '.join(line)} |", flush=True)


def say(message: str) -> None:
    """Tell who waits how far it is."""
    print(message, file=sys.stderr, flush=True)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in reversed(lines))}
    named = facts.get("model name", platform.processor() or platform.machine())
    numbers = [f"{key} {facts[key]}" for key in ("cpu family", "model", "stepping") if key in facts]
    features = [flag for flag in ("avx512_bf16", "amx_bf16") if flag in facts.get("flags", "").split()]
    return ", ".join([named, *([" ".join(numbers)] if numbers else []), *features])


def _foreign_seconds() -> float:
    busy, own = psutil.cpu_times(), os.times()
    everyone = busy.user + busy.nice + busy.system + getattr(busy, "irq", 0.0) + getattr(busy, "softirq", 0.0)
    return everyone - (own.user + own.system + own.children_user + own.children_system)
