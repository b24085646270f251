"""Preparing a million short rows: data.prepare against datasets.map with the same tokenizer in two processes; time and peak memory."""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import jobs
import psutil
from machine import Neighbours, say, show

MODEL = "hf://sentence-transformers/all-MiniLM-L6-v2"
MAX_LENGTH = 128


class Cost(NamedTuple):
    """What one preparation took."""

    seconds: float
    """From the file to tokens on disk, without imports."""
    whole: float
    """Of the whole process."""
    peak: int
    """Most bytes held at once by the process and its children; what they share counts once."""


def main() -> None:
    """Measure both sides in turns, or be one of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=2, help="turns of each side; the faster one counts")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--cache", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(SIDES[arguments.side](arguments.file.absolute(), arguments.cache)))
        return
    neighbours = Neighbours()
    with jobs.place() as here:
        file = here.root / "rows.csv"
        _generate(file, arguments.rows)
        turns = [{side: _measured(side, file, here) for side in ("datasets", "tunesmith")} for _ in range(arguments.rounds)]
    theirs, ours = (min(turn[side] for turn in turns) for side in ("datasets", "tunesmith"))
    rows = [_row("datasets.map, 2 processes", theirs, theirs, arguments.rows), _row("Tunesmith", ours, theirs, arguments.rows)]
    title = f"Preparing {arguments.rows:,} short rows (goal: >= 1x)"
    show(title, ["side", "preparation", "rows a second", "whole process", "peak memory", "ratio"], rows, neighbours)


def _row(name: str, cost: Cost, theirs: Cost, rows: int) -> list[str]:
    speed, memory = f"{rows / cost.seconds:,.0f}", f"{cost.peak / 2**20:.0f} MiB"
    return [name, f"{cost.seconds:.1f} s", speed, f"{cost.whole:.1f} s", memory, f"{theirs.seconds / cost.seconds:.2f}x"]


def _generate(file: Path, rows: int) -> None:
    """Banking77's questions again and again, each time with another number at the end, so that no two rows are the same."""
    with (jobs.BANKING / "train.csv").open(newline="", encoding="utf-8") as lines:
        header, *known = csv.reader(lines)
    repeated = ((f"{text} {again}", label) for again in itertools.count() for text, label in known)
    with file.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines)
        writer.writerow(header)
        writer.writerows(itertools.islice(repeated, rows))


def _measured(side: str, file: Path, here: jobs.Place) -> Cost:
    """One side in a process of its own, with an empty cache."""
    with tempfile.TemporaryDirectory(dir=here.root) as cache:
        command = [sys.executable, __file__, "--side", side, "--file", str(file), "--cache", cache]
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=here.environment())
        peak = 0
        while process.poll() is None:
            peak = max(peak, _held(process.pid))
            time.sleep(0.1)
        whole = time.perf_counter() - began
        answer, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"{side} ended with {process.returncode}")
    cost = Cost(json.loads(answer.splitlines()[-1]), whole, peak)
    say(f"prepare: {side}: {cost.seconds:.1f} s, {cost.peak / 2**20:.0f} MiB")
    return cost


def _held(pid: int) -> int:
    """Proportional set size of a process and all below it, in bytes."""
    total = 0
    try:
        tree = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return 0
    for process in tree:
        try:
            lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue  # it has ended
        total += next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
    return total


def _tunesmith(file: Path, cache: Path) -> float:
    """Read, check, report, tokenise and index, as a job does before it trains."""
    from tunesmith_api.common import Columns, DataSource
    from tunesmith_api.tuning import Dataset
    from tunesmith_trainer.data.prepare import prepare
    from tunesmith_trainer.data.sources import fetch_from
    from tunesmith_trainer.models.source import resolve
    from tunesmith_trainer.models.tokenizer import load_tokenizer
    from tunesmith_trainer.storage.stores import Stores

    stores = Stores(file.parent, None)
    tokenizer = load_tokenizer(resolve(MODEL, stores=stores, cache=cache, environ=os.environ))
    dataset = Dataset(train=DataSource(uri=f"file:{file.name}"), columns=Columns(text="text", label="category"))
    began = time.perf_counter()
    fetch = fetch_from(stores, cache)
    data = prepare(dataset, "classification", tokenizer, MAX_LENGTH, fetch=fetch, cache=cache, emit=lambda _done, _total: None)
    seconds = time.perf_counter() - began
    assert data.report.train_rows == len(data.train)
    return seconds


def _datasets(file: Path, cache: Path) -> float:
    """Read the file and tokenise it in two processes, written as Arrow."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # two processes fill two cores; threads below them only get in each other's way
    import datasets
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(Path(os.environ["TUNESMITH_HF_MIRROR"]) / MODEL.removeprefix("hf://"))
    began = time.perf_counter()
    rows = datasets.load_dataset("csv", data_files=str(file), split="train", cache_dir=str(cache))
    rows.map(
        lambda batch: tokenizer(batch["text"], truncation=True, max_length=MAX_LENGTH),
        batched=True,
        num_proc=2,
        cache_file_name=str(cache / "tokens.arrow"),
    )
    return time.perf_counter() - began


SIDES = {"tunesmith": _tunesmith, "datasets": _datasets}

if __name__ == "__main__":
    main()
