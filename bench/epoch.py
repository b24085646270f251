"""Seconds per epoch of the same recipe: Tunesmith against HF Trainer (with PEFT for lora), taking turns in processes of their own."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from statistics import median

import jobs
from machine import Neighbours, say, show

GOALS = {"full": 1.1, "lora": 1.3}


def main() -> None:
    """Measure both sides in turns and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", default="full,lora")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each side")
    parser.add_argument("--epochs", type=int, default=2, help="epochs of a process; the first is not counted")
    parser.add_argument("--rows", type=int, help="cut the data, for a quick try")
    arguments = parser.parse_args()
    if arguments.epochs < 2:
        parser.error("--epochs: the first is a warm-up and is not counted; give 2 or more")
    neighbours = Neighbours()
    with jobs.place(arguments.rows) as here:
        rows = [_compare(method, here, arguments.rounds, arguments.epochs) for method in arguments.methods.split(",")]
    show(
        "Seconds per epoch", ["method", "HF Trainer", "Tunesmith", "HF Trainer, each", "Tunesmith, each", "ratio", "goal"], rows, neighbours
    )


def _compare(method: str, here: jobs.Place, rounds: int, epochs: int) -> list[str]:
    theirs: list[float] = []
    ours: list[float] = []
    for turn in range(1, rounds + 1):
        theirs.append(_seconds(jobs.peers(_manifest(method, f"{method}-{turn}", epochs), here), here, epochs))
        ours.append(_seconds(jobs.ours(_manifest(method, f"{method}-{turn}", epochs), here), here, epochs))
        say(f"epoch: {method}, turn {turn} of {rounds}: HF Trainer {theirs[-1]:.1f} s, Tunesmith {ours[-1]:.1f} s")
    ratio = f"{median(theirs) / median(ours):.2f}x"
    return [method, f"{median(theirs):.1f} s", f"{median(ours):.1f} s", _each(theirs), _each(ours), ratio, f">= {GOALS[method]}x"]


def _manifest(method: str, name: str, epochs: int) -> jobs.Manifest:
    """The example without rows to be judged by: neither side evaluates."""
    job = jobs.manifest(method, name, hyperparameters={"epochs": epochs})
    dataset = {key: value for key, value in job["spec"]["dataset"].items() if key != "evaluation"}
    return {**job, "spec": {**job["spec"], "dataset": dataset}}


def _seconds(command: Sequence[str], here: jobs.Place, epochs: int) -> float:
    """Mean seconds from the last step of one epoch to the last step of the next, the first epoch left out."""
    steps = {
        heard.event["step"]: heard
        for heard in jobs.run(command, here)
        if heard.event["event"] == "progress" and heard.event["phase"] == "Training"
    }
    total = next(iter(steps.values())).event["totalSteps"]
    return (steps[total].seconds - steps[total // epochs].seconds) / (epochs - 1)


def _each(seconds: Sequence[float]) -> str:
    return " ".join(f"{value:.1f}" for value in seconds)


if __name__ == "__main__":
    main()
