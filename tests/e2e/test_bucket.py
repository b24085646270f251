"""The whole journey in a bucket of a real S3 server: data, model and output, kills and rivals included."""

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest
from tiny_jobs import write_rows


@pytest.fixture
def desk(desk_in: Any, tmp_path: Path, s3_server: Any) -> Any:
    """A desk whose data and model lie in a bucket, with a job that writes into it."""
    desk, bucket = desk_in(tmp_path, **s3_server.environ), s3_server.bucket()
    store = s3_server.data / bucket
    shutil.copytree(desk.model, store / "models/tiny")
    (store / "data").mkdir()
    for rows, seed, name in ((90, 0, "train.csv"), (31, 1, "test.csv")):
        shutil.copyfile(write_rows(tmp_path, rows=rows, seed=seed), store / "data" / name)
    desk.write(
        **{
            "model.uri": f"s3://{bucket}/models/tiny",
            "dataset.train.uri": f"s3://{bucket}/data/train.csv",
            "dataset.evaluation.uri": f"s3://{bucket}/data/test.csv",
            "hyperparameters.epochs": 30,
            "checkpoints.everySteps": 10,
            "output.uri": f"s3://{bucket}/out",
        }
    )
    return desk


def output(desk: Any) -> str:
    return str(json.loads((desk.folder / "job.yaml").read_text())["spec"]["output"]["uri"])


def test_killed_twice_it_goes_on_and_publishes(desk: Any) -> None:
    first = desk.start("run", "job.yaml", "--output", "json")
    first.wait_for(event="checkpoint")
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    second = desk.start("run", "job.yaml", "--output", "json")
    resumed = second.wait_for(event="note", level="info")
    assert "resuming at step" in resumed["message"]
    second.wait_for(event="phase", phase="Publishing")
    second.process.send_signal(signal.SIGKILL)
    second.process.wait()
    desk.tunesmith("run", "job.yaml").expect(0, "accuracy")
    desk.tunesmith("verify", output(desk)).expect(0, "all as the manifest says")
    desk.tunesmith("report", output(desk)).expect(0, "accuracy")
    desk.tunesmith("run", "job.yaml").expect(0, "nothing was trained")


def test_a_second_run_into_the_same_bucket_is_told_who_holds_it(desk: Any) -> None:
    first = desk.start("run", "job.yaml", "--output", "json")
    first.wait_for(event="checkpoint")
    [trainer] = psutil.Process(first.process.pid).children()
    trainer.suspend()
    desk.tunesmith("run", "job.yaml").expect(73, "OutputInUse", output(desk), "remedy:")
    trainer.resume()
    first.end().expect(0, '"reason":"Succeeded"')
