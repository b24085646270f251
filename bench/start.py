"""Seconds from `tunesmith run` to the end of its first training step, everything cached, against importing torch and transformers."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from statistics import median

import jobs
from machine import Neighbours, say, show

IMPORTS = [sys.executable, "-c", "import torch, transformers"]
GOAL = 2.0


def main() -> None:
    """Take turns, after one unmeasured turn that fills every cache."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", choices=("lora", "full", "outputLayers"), default="lora")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with jobs.place() as here:
        _turn(arguments.method, here)
        neighbours = Neighbours()
        turns = [_turn(arguments.method, here) for _ in range(arguments.rounds)]
    imports, ours = median(first for first, _ in turns), median(second for _, second in turns)
    row = [f"{imports:.2f} s", f"{ours:.2f} s", f"{ours - imports:+.2f} s", f"{ours / imports:.2f}", f"<= +{GOAL:g} s"]
    show(f"Start to first step ({arguments.method})", ["import", "tunesmith run", "difference", "ratio", "goal"], [row], neighbours)


def _turn(method: str, here: jobs.Place) -> tuple[float, float]:
    began = time.perf_counter()
    subprocess.run(IMPORTS, env=here.environment(), check=True)
    imports = time.perf_counter() - began
    first_step = _first_step(method, here)
    say(f"start: import {imports:.2f} s, first step {first_step:.2f} s")
    return imports, first_step


def _first_step(method: str, here: jobs.Place) -> float:
    """Start a job whose output is empty and stop it after its first step."""
    manifest = jobs.manifest(method, "start", hyperparameters={})
    shutil.rmtree(here.output(manifest), ignore_errors=True)
    with jobs.listening(jobs.ours(manifest, here), here.environment(), here.root / "log.txt") as heard:
        return next(said.seconds for said in heard if said.event["event"] == "progress" and said.event["phase"] == "Training")


if __name__ == "__main__":
    main()
