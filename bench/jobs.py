"""The jobs of the benchmarks: a place with the data, manifests made from the examples, processes that are listened to."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
BANKING = REPOSITORY / "examples/data/banking77"
EXAMPLES = {
    "lora": "banking-intents.yaml",
    "outputLayers": "banking-intents-output-layers.yaml",
    "full": "banking-intents-full.yaml",
    "features": "banking-intents-features.yaml",
}
NEVER = 1_000_000
"""Steps until something that must not happen in a benchmark."""

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """A folder that ends with the benchmark: the buckets with the data, a cache, manifests."""

    root: Path
    mirror: str
    """Folder that stands for the model hub."""

    @property
    def buckets(self) -> Path:
        """What stands for the object store."""
        return self.root / "buckets"

    def environment(self, cache: str = "cache") -> dict[str, str]:
        """The environment of every process that is compared: no hub, no GPU, and a cache that is empty at first."""
        fixed = {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "TUNESMITH_HF_MIRROR": self.mirror}
        return {**os.environ, **fixed, "XDG_CACHE_HOME": str(self.root / cache), "HF_HOME": str(self.root / cache / "hf")}

    def write(self, manifest: Manifest) -> Path:
        """The manifest as a file."""
        file = self.root / f"{manifest['metadata']['name']}.yaml"
        file.write_text(yaml.safe_dump(manifest), encoding="utf-8")
        return file

    def output(self, manifest: Manifest) -> Path:
        """Where the job leaves its result."""
        return self.buckets / str(manifest["spec"]["output"]["uri"]).removeprefix("s3://")


class Heard(NamedTuple):
    """An event and when it came."""

    seconds: float
    """Since the process was started."""
    event: dict[str, Any]


@contextmanager
def place(rows: int | None = None) -> Iterator[Place]:
    """A fresh place with Banking77 in its buckets; `rows` cuts both of its files, for a quick try."""
    with tempfile.TemporaryDirectory(prefix="tunesmith-bench-") as folder:
        here = Place(Path(folder), _mirror())
        target = here.buckets / "data/banking77"
        target.mkdir(parents=True)
        for name in ("train.csv", "test.csv"):
            _copy(BANKING / name, target / name, rows)
        yield here


def manifest(method: str, name: str, *, hyperparameters: Mapping[str, Any], evaluation: Mapping[str, Any] | None = None) -> Manifest:
    """The example of a method under another name and with other hyperparameters: no gate, no checkpoints on the way."""
    job = yaml.safe_load((REPOSITORY / "examples" / EXAMPLES[method]).read_text(encoding="utf-8"))
    spec = job["spec"]
    changed = {
        "hyperparameters": {**spec["hyperparameters"], **hyperparameters},
        "evaluation": dict(evaluation or {}),
        "checkpoints": {"everySteps": NEVER},
        "output": {"uri": f"s3://models/{name}"},
    }
    return {**job, "metadata": {"name": name}, "spec": {**spec, **changed}}


def ours(manifest: Manifest, here: Place) -> list[str]:
    """The command that runs a manifest with Tunesmith."""
    return [
        str(Path(sys.executable).with_name("tunesmith")),
        "run",
        str(here.write(manifest)),
        "--buckets",
        str(here.buckets),
        "-o",
        "json",
    ]


def peers(manifest: Manifest, here: Place) -> list[str]:
    """The command that runs a manifest with HF Trainer."""
    return [sys.executable, str(REPOSITORY / "bench/peer.py"), str(here.write(manifest)), "--buckets", str(here.buckets)]


@contextmanager
def listening(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator[Iterator[Heard]]:
    """Start a process that prints events as JSON lines; it is stopped where the block ends."""
    with log.open("wb") as errors:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment)
        try:
            yield _events(process, began, log)
        finally:
            process.terminate()
            process.communicate()


def run(command: Sequence[str], here: Place, cache: str = "cache") -> list[Heard]:
    """Run a process to its end; gives all that it said."""
    with listening(command, here.environment(cache), here.root / "log.txt") as heard:
        return list(heard)


def _events(process: subprocess.Popen[str], began: float, log: Path) -> Iterator[Heard]:
    assert process.stdout is not None
    line = ""
    for line in process.stdout:
        yield Heard(time.perf_counter() - began, json.loads(line))
    if process.wait():
        raise SystemExit(f"{process.args} ended with {process.returncode}: {line}{log.read_text(errors='replace')[-2000:]}")


def _mirror() -> str:
    return os.environ.get("TUNESMITH_HF_MIRROR") or subprocess.check_output([REPOSITORY / "tools/mirror.sh"], text=True).strip()


def _copy(source: Path, target: Path, rows: int | None) -> None:
    """Copy a file of rows that are sorted by label; of `rows` rows where that is given, spread over the whole."""
    with source.open(newline="", encoding="utf-8") as lines:
        header, *all_rows = csv.reader(lines)
    stride = max(1, len(all_rows) // rows) if rows else 1
    with target.open("w", newline="", encoding="utf-8") as lines:
        csv.writer(lines).writerows([header, *all_rows[::stride]])
