"""Wall time from the start of a process to the first evaluation on the test set that reaches an accuracy, all caches empty."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NamedTuple

import jobs
from machine import Neighbours, say, show

GOAL = 5.0


class Reached(NamedTuple):
    """How a run went up to the accuracy that was asked for."""

    what: str
    seconds: float | None
    """None where it was not reached."""
    accuracy: float
    """The one that reached it, or the best."""

    def row(self, best: float | None) -> list[str]:
        """The line of the table."""
        ratio = f"{best / self.seconds:.1f}x" if best and self.seconds else ""
        return [self.what, f"{self.seconds:.1f} s" if self.seconds else "not reached", f"{100 * self.accuracy:.2f} %", ratio]


def main() -> None:
    """Run the peer at each of its rates and our methods, and print how many times faster each of ours is than the peer's best."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", type=float, default=0.925)
    parser.add_argument("--methods", default="features,outputLayers", help="ours")
    parser.add_argument("--rates", default="1e-4,2e-4,5e-4", help="learning rates of HF Trainer, full")
    parser.add_argument("--epochs", type=int, default=5, help="epochs of HF Trainer")
    parser.add_argument("--peer-precision", default="bf16", choices=["bf16", "fp32"], help="bf16 is autocast; take what is faster here")
    parser.add_argument("--rows", type=int, help="cut the data, for a quick try")
    arguments = parser.parse_args()
    neighbours = Neighbours()
    with jobs.place(arguments.rows) as here:
        ours = [_ours(method, here, arguments.target) for method in arguments.methods.split(",")]
        theirs = [_theirs(rate, here, arguments) for rate in arguments.rates.split(",")]
    best = min((run.seconds for run in theirs if run.seconds), default=None)
    title = f"Time to {100 * arguments.target:g} % accuracy (goal: our best method >= {GOAL:g}x)"
    rows = [*(run.row(None) for run in theirs), *(run.row(best) for run in ours)]
    show(title, ["run", "time", "accuracy", "ratio to the best of HF Trainer"], rows, neighbours)


def _ours(method: str, here: jobs.Place, target: float) -> Reached:
    manifest = jobs.manifest(method, f"ours-{method.lower()}", hyperparameters={})
    return _reached(f"Tunesmith, {method}", jobs.ours(manifest, here), here, target)


def _theirs(rate: str, here: jobs.Place, arguments: argparse.Namespace) -> Reached:
    settings = {"learningRate": float(rate), "epochs": arguments.epochs, "precision": arguments.peer_precision}
    manifest = jobs.manifest("full", f"peer-{rate}", hyperparameters=settings)
    return _reached(f"HF Trainer, full, {rate}, {arguments.peer_precision}", jobs.peers(manifest, here), here, arguments.target)


def _reached(what: str, command: Sequence[str], here: jobs.Place, target: float) -> Reached:
    """Listen until an evaluation reaches the target, then stop the process."""
    best, time = 0.0, None
    cache = "cache-" + "".join(c for c in what if c.isalnum())
    with jobs.listening(command, here.environment(cache), here.root / "log.txt") as heard:
        for said in heard:
            best = max(best, _accuracy(said.event))
            if best >= target:
                time = said.seconds
                break
    say(f"time to accuracy: {what}: {100 * best:.2f} % " + (f"in {time:.1f} s" if time else "at best"))
    return Reached(what, time, best)


def _accuracy(event: dict[str, object]) -> float:
    """The test accuracy that an event tells: an evaluation, or the last word with the result."""
    holder = event if event["event"] == "evaluation" else event.get("result")
    metrics = holder.get("metrics") if isinstance(holder, dict) else None
    return float(metrics["accuracy"]) if isinstance(metrics, dict) else 0.0


if __name__ == "__main__":
    main()
