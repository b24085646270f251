"""Running out of memory: a real limit of the operating system, in a process of its own."""

import json
import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_jobs import a_run, job

from tunesmith_api.protocol import Failure, Reason
from tunesmith_trainer.engine.checkpoint import Checkpoints
from tunesmith_trainer.engine.loop import fit
from tunesmith_trainer.engine.memory import available, estimate
from tunesmith_trainer.engine.state import TrainState
from tunesmith_trainer.jobs.preflight import preflight
from tunesmith_trainer.jobs.subject import load_subject
from tunesmith_trainer.jobs.training import course
from tunesmith_trainer.jobs.tuning import tune

CHANGES = {
    "dataset.evaluation": None,
    "hyperparameters.epochs": 2,
    "hyperparameters.batchSize": 512,
    "hyperparameters.maxLength": 64,
    "dataset.train.uri": "file:long.csv",
    "hyperparameters.dropout": 0.0,
    "checkpoints.keep": True,
}
LIMITED = """
import json, resource, sys
sys.path.insert(0, sys.argv[4])
from pathlib import Path
from tiny_jobs import a_run, job
import numpy as np, psutil
from tunesmith_trainer.models.predict import predict
from tunesmith_trainer.jobs import tuning
folder, model, megabytes = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
train = tuning.train

def train_within_limit(spec, subject, *rest):
    np.linalg.norm(np.ones((256, 256)) @ np.ones((256, 256)))  # libraries take their buffers at their first use
    predict(subject.learner, subject.data.train)
    limit = psutil.Process().memory_info().vms + megabytes * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    try:
        return train(spec, subject, *rest)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

tuning.train = train_within_limit
events = []
try:
    word = tuning.tune(job(folder, model, **json.load(sys.stdin)), a_run(folder, events))
    print(json.dumps([word.reason, [e.message for e in events if getattr(e, "level", "") == "warning"]]))
except Exception as failure:
    print(json.dumps([getattr(failure, "reason", str(failure)), [str(failure), getattr(failure, "remedy", "")]]))
"""


def limited(folder: Path, model: Path, megabytes: int, **changes):
    """Tune in a process that may take that much more memory once the model is loaded."""
    command = [sys.executable, "-c", LIMITED, str(folder), str(model), str(megabytes), str(Path(__file__).parents[1] / "support")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
    given = json.dumps(CHANGES | changes)
    done = subprocess.run(command, input=given, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def write_long_rows(folder: Path) -> None:
    """512 rows of about 60 tokens: half a gigabyte of activations when they are computed at once."""
    lines = [f"{label},{(word + ' ') * 56}{i}" for i, (label, word) in enumerate([("cards", "card"), ("rates", "exchange")] * 256)]
    (folder / "long.csv").write_text("\n".join(["label,text", *lines]) + "\n")


def final(folder: Path):
    saved = max((folder / "out/checkpoints").glob("*/step-*"))
    return TrainState.model_validate_json((saved / "state.json").read_bytes()), load_file(saved / "state.safetensors")


def test_a_step_that_does_not_fit_is_done_again_in_smaller_parts(tiny_models, tmp_path):
    small, free = tmp_path / "small", tmp_path / "free"
    small.mkdir()
    free.mkdir()
    write_long_rows(small)
    write_long_rows(free)
    reason, warnings = limited(small, tiny_models("bert"), 250)
    assert reason == "Succeeded"
    state, tensors = final(small)
    assert state.memory_retries >= 1
    assert state.micro_batch < 512
    assert any("memory ran out at step 1: going on with micro-batches of" in warning for warning in warnings)
    assert "memory ran out" in (small / "out/report.html").read_text()
    tune(job(free, tiny_models("bert"), **CHANGES), a_run(free))
    _, whole = final(free)
    for name, tensor in whole.items():
        if name.startswith("master/"):
            torch.testing.assert_close(tensors[name], tensor, rtol=1e-3, atol=1e-5)


def test_where_not_even_one_row_fits_the_job_says_so(tiny_models, tmp_path):
    """The objective stands for a device whose memory is too small for any row."""

    def too_large(_learner, _batch):
        raise torch.OutOfMemoryError("out of memory")

    run, tuning = a_run(tmp_path), job(tmp_path, tiny_models("bert"))
    subject = load_subject(preflight(tuning.spec, run), tuning.spec.method)
    hopeless = replace(course(tuning.spec, subject), objective=too_large)
    with pytest.raises(Failure, match="micro-batch of one row") as failure:
        fit(subject.learner, hopeless, Checkpoints(run.stores.folder("file:saved"), run.work, check=lambda: None), run)
    assert failure.value.reason is Reason.OUT_OF_MEMORY
    assert "maxLength" in failure.value.remedy


def test_the_estimate_counts_what_each_method_holds():
    shape = {"parameters": 1000, "width": 8, "depth": 2, "tokens": 10, "checkpointing": False, "available": 1}
    full = estimate(trained=1000, bf16=True, **shape)
    assert (full.weights, full.optimizer, full.gradients) == (2000, 12000, 2000)
    fp32 = estimate(trained=100, bf16=False, **shape)
    assert (fp32.weights, fp32.optimizer, fp32.gradients) == (4000, 800, 400)
    assert full.total == full.weights + full.optimizer + full.gradients + full.activations + full.process


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="reads Linux's own figure to compare with")
def test_what_is_there_is_no_more_than_the_machine_has():
    total = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    assert 0 < available() <= total or torch.cuda.is_available()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 0
