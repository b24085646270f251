"""Which states are kept, which one is published, and when training ends early."""

import json

import torch
from safetensors.torch import load_file
from tiny_jobs import a_run, job

from tunesmith_trainer.engine.checkpoint import Checkpoints
from tunesmith_trainer.engine.state import Evaluated, TrainState
from tunesmith_trainer.jobs.tuning import tune


def saved(folder):
    return sorted(path.parent.name for path in folder.rglob("complete"))


def checkpoints_in(tmp_path):
    run = a_run(tmp_path)
    return Checkpoints(run.stores.folder("file:saved"), run.work, check=lambda: None)


def test_the_newest_two_and_the_best_are_kept(tmp_path):
    checkpoints = checkpoints_in(tmp_path)
    best = None
    for step in range(1, 7):
        if step in (2, 3):
            best = Evaluated(step=step, metrics={"accuracy": step / 10})
            checkpoints.save_best(step, {"w": torch.tensor([float(step)])})
        checkpoints.save(TrainState(step=step, micro_batch=1, best=best), {"w": torch.tensor([float(step)])})
    checkpoints.wait()
    assert saved(tmp_path / "saved") == ["best-00000003", "step-00000005", "step-00000006"]
    state, tensors = checkpoints.newest()
    assert (state.step, tensors["w"].item()) == (6, 6.0)
    assert checkpoints.best(3)["w"].item() == 3.0


def test_a_state_without_its_marker_does_not_exist(tmp_path):
    checkpoints = checkpoints_in(tmp_path)
    for step in (1, 2):
        checkpoints.save(TrainState(step=step, micro_batch=1), {"w": torch.tensor([float(step)])})
    checkpoints.wait()
    (tmp_path / "saved/step-00000002/complete").unlink()
    (tmp_path / "saved/step-00000002/state.safetensors").write_bytes(b"half")
    assert checkpoints.newest()[0].step == 1
    checkpoints.save(TrainState(step=3, micro_batch=1), {"w": torch.tensor([3.0])})
    checkpoints.wait()
    assert saved(tmp_path / "saved") == ["step-00000001", "step-00000003"]
    assert not (tmp_path / "saved/step-00000002/state.safetensors").exists()


def test_a_failed_write_is_not_silent(tmp_path):
    checkpoints = checkpoints_in(tmp_path)
    (tmp_path / "saved").write_text("a file where the folder should be")
    try:
        checkpoints.save(TrainState(step=1, micro_batch=1), {"w": torch.tensor([1.0])})
        checkpoints.wait()
    except Exception as failure:
        assert "saved" in str(failure)
    else:
        raise AssertionError("the write was lost")


def test_training_ends_when_the_evaluation_no_longer_improves(tiny_models, tmp_path):
    changes = {
        "hyperparameters.learningRate": 1e-12,
        "hyperparameters.headLearningRate": 1e-12,
        "hyperparameters.epochs": 20,
        "evaluation.earlyStopping": {"patience": 2},
    }
    tune(job(tmp_path, tiny_models("bert"), **changes), a_run(tmp_path))
    report = json.loads((tmp_path / "out/report.json").read_text())
    accuracies = [e["metrics"]["accuracy"] for e in report["curves"]["evaluations"]]
    best = accuracies.index(max(accuracies))
    assert [e["best"] for e in report["curves"]["evaluations"]].index(True) == best
    assert len(accuracies) == best + 3 < 20


def test_the_best_state_is_published_not_the_last(tiny_models, tmp_path):
    """The learning rate soon destroys what was learned: the published weights are those of the best evaluation."""
    changes = {
        "hyperparameters.learningRate": 2e-2,
        "hyperparameters.schedule": "constant",
        "hyperparameters.epochs": 12,
        "evaluation.everySteps": 3,
        "checkpoints.keep": True,
    }
    word = tune(job(tmp_path, tiny_models("bert"), **changes), a_run(tmp_path))
    report = json.loads((tmp_path / "out/report.json").read_text())
    accuracies = [e["metrics"]["accuracy"] for e in report["curves"]["evaluations"]]
    assert word.result.metrics["accuracy"] == max(accuracies)
    [best] = (tmp_path / "out/checkpoints").glob("*/best-*/state.safetensors")
    published, kept = load_file(tmp_path / "out/model/model.safetensors"), load_file(best)
    assert all(torch.equal(published[name], kept[name]) for name in kept)


def test_slices_and_an_evaluation_fraction(tiny_models, tmp_path):
    changes = {"dataset.evaluation": None, "dataset.evaluationFraction": 0.3, "evaluation.slices": ["shop"]}
    tune(job(tmp_path, tiny_models("bert"), **changes), a_run(tmp_path))
    report = json.loads((tmp_path / "out/report.json").read_text())
    by_shop = {s["value"]: s for s in report["slices"]["shop"]}
    assert set(by_shop) == {"north", "south"}
    assert sum(s["rows"] for s in by_shop.values()) == report["data"]["evaluationRows"] > 5
    weighted = sum(s["rows"] * s["metrics"]["accuracy"] for s in by_shop.values()) / report["data"]["evaluationRows"]
    assert abs(weighted - report["metrics"]["accuracy"]) < 1e-9
    assert {"metrics", "baseMetrics", "labels", "plan", "data", "usage"} <= set(report)
