"""Accuracy on Banking77's official test set, method by method and seed by seed; what is measured already is not measured again."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import jobs
from machine import Neighbours, say, show

RESULTS = Path(__file__).parent / "results/quality.jsonl"
GOALS = {"lora": 93.7, "outputLayers": 93.5, "full": 93.2, "features": 92.4}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "lora": ("lora", {}),
    "outputLayers": ("outputLayers", {}),
    "full": ("full", {}),
    "features": ("features", {}),
    "lora-dora": ("lora", {"dora": True}),
    "lora-rslora": ("lora", {"rsLora": True}),
}
"""What is measured: the method of the example, and the options that differ from it."""

Result = dict[str, Any]


def main() -> None:
    """Run what is missing, then print the table of everything that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", default=",".join(VARIANTS))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--results", type=Path, default=RESULTS, help="one JSON line a run; remove it to measure anew")
    parser.add_argument("--epochs", type=int, help="other than the example's, for a quick try")
    parser.add_argument("--rows", type=int, help="cut the data, for a quick try")
    arguments = parser.parse_args()
    options = {"epochs": arguments.epochs} if arguments.epochs else {}
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    plans = {name: [_manifest(name, seed, options) for seed in seeds] for name in arguments.methods.split(",")}
    neighbours = Neighbours()
    with jobs.place(arguments.rows) as here:
        measured = {name: [_result(job, here, arguments.rows, arguments.results) for job in plan] for name, plan in plans.items()}
    header = ["method", "accuracy, mean", "standard deviation", "each seed", "goal", "whole job", "training steps", "peak memory"]
    show(f"Banking77, official test set, seeds {arguments.seeds}", header, [_row(*pair) for pair in measured.items()], neighbours)


def _manifest(name: str, seed: int, options: Mapping[str, Any]) -> jobs.Manifest:
    """A job that is judged once, at its end: no state is chosen by its score on the test set."""
    method, changes = VARIANTS[name]
    job = jobs.manifest(method, f"{name}-{seed}".lower(), hyperparameters={**options, "seed": seed}, evaluation={"everySteps": jobs.NEVER})
    ((key, settings),) = job["spec"]["method"].items()
    return {**job, "spec": {**job["spec"], "method": {key: {**settings, **changes}}}}


def _result(job: jobs.Manifest, here: jobs.Place, rows: int | None, results: Path) -> Result:
    """What an earlier run noted of exactly this job, or else what it gives now."""
    key = hashlib.sha256(json.dumps([job, rows], sort_keys=True).encode()).hexdigest()[:16]
    if known := _noted(results).get(key):
        return known
    name = job["metadata"]["name"]
    say(f"quality: {name}")
    jobs.run(jobs.ours(job, here), here)
    report = json.loads((here.output(job) / "report.json").read_text(encoding="utf-8"))
    usage = report["usage"]
    result = {
        "key": key,
        "name": name,
        "accuracy": report["metrics"]["accuracy"],
        "seconds": usage["seconds"],
        "trainSeconds": usage["trainSeconds"],
        "peakMemoryBytes": usage["peakMemoryBytes"],
        "device": usage["device"],
    }
    results.parent.mkdir(parents=True, exist_ok=True)
    with results.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(result) + "\n")
    say(f"quality: {name}: {100 * result['accuracy']:.2f} % in {result['seconds']:.0f} s")
    return result


def _noted(results: Path) -> dict[str, Result]:
    lines = results.read_text(encoding="utf-8").splitlines() if results.exists() else []
    return {result["key"]: result for result in map(json.loads, lines)}


def _row(name: str, results: Sequence[Result]) -> list[str]:
    scores = [100 * result["accuracy"] for result in results]
    spread = f"{stdev(scores):.2f}" if len(scores) > 1 else ""
    goal = f">= {GOALS[name]} %" if name in GOALS else "reported"
    return [
        name,
        f"{mean(scores):.2f} %",
        spread,
        " ".join(f"{score:.2f}" for score in scores),
        goal,
        f"{mean(result['seconds'] for result in results):.0f} s",
        f"{mean(result['trainSeconds'] for result in results):.0f} s",
        f"{max(result['peakMemoryBytes'] for result in results) / 2**30:.2f} GiB",
    ]


if __name__ == "__main__":
    main()
