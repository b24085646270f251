"""A real pretrained model on a real dataset, from the example's manifest."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def test_the_features_example_reaches_its_accuracy(desk_in: Any, tmp_path: Path) -> None:
    mirror = subprocess.run([ROOT / "tools/mirror.sh"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    desk = desk_in(tmp_path, TUNESMITH_HF_MIRROR=mirror, HF_HUB_OFFLINE="1", OMP_NUM_THREADS=str(os.cpu_count()))
    shutil.copytree(ROOT / "examples/data/banking77", tmp_path / "out/data/banking77")
    example = str(ROOT / "examples/banking-intents-features.yaml")
    desk.tunesmith("run", example, "--buckets", "out").expect(0, "accuracy 0.92", "(baseline 0.013)")
    desk.tunesmith("verify", "s3://models/banking-intents-features", "--buckets", "out").expect(0, "all as the manifest says")
    report = json.loads((tmp_path / "out/models/banking-intents-features/report.json").read_text())
    assert report["metrics"]["accuracy"] > 0.92
    assert len(report["labels"]) == 77
