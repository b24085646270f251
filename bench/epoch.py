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
    parser.add_argument("--peer-precisions", default="bf16,fp32", help="of HF Trainer: bf16 is autocast; the faster one depends on the CPU")
    parser.add_argument("--rows", type=int, help="cut the data, for a quick try")
    arguments = parser.parse_args()
    if arguments.epochs < 2:
        parser.error("--epochs: the first is a warm-up and is not counted; give 2 or more")
    neighbours = Neighbours()
    with jobs.place(arguments.rows) as here:
        kinds = arguments.peer_precisions.split(",")
        rows = [row for method in arguments.methods.split(",") for row in _compare(method, kinds, here, arguments.rounds, arguments.epochs)]
    show(
        "Seconds per epoch", ["method", "HF Trainer", "Tunesmith", "HF Trainer, each", "Tunesmith, each", "ratio", "goal"], rows, neighbours
    )


def _compare(method: str, kinds: Sequence[str], here: jobs.Place, rounds: int, epochs: int) -> list[list[str]]:
    """A row for each precision of the peer; ours takes what it finds faster."""
    theirs: dict[str, list[float]] = {kind: [] for kind in kinds}
    ours: list[float] = []
    for turn in range(1, rounds + 1):
        for kind in kinds:
            theirs[kind].append(_seconds(jobs.peers(_manifest(method, f"{method}-{kind}-{turn}", epochs, kind), here), here, epochs))
            say(f"epoch: {method}, turn {turn} of {rounds}: HF Trainer {kind} {theirs[kind][-1]:.1f} s")
        ours.append(_seconds(jobs.ours(_manifest(method, f"{method}-{turn}", epochs, "auto"), here), here, epochs))
        say(f"epoch: {method}, turn {turn} of {rounds}: Tunesmith {ours[-1]:.1f} s")
    return [_row(f"{method}, HF Trainer in {kind}", seconds, ours, GOALS[method]) for kind, seconds in theirs.items()]


def _row(what: str, theirs: Sequence[float], ours: Sequence[float], goal: float) -> list[str]:
    ratio = f"{median(theirs) / median(ours):.2f}x"
    return [what, f"{median(theirs):.1f} s", f"{median(ours):.1f} s", _each(theirs), _each(ours), ratio, f">= {goal}x"]


def _manifest(method: str, name: str, epochs: int, precision: str) -> jobs.Manifest:
    """The example without rows to be judged by: neither side evaluates."""
    job = jobs.manifest(method, name, hyperparameters={"epochs": epochs, "precision": precision})
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
