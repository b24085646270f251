"""Training computes what it says: invariances and exactness, on tiny models."""

import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_jobs import a_run, job

from tunesmith_api.protocol import Failure, Reason
from tunesmith_trainer.engine.loop import accumulate
from tunesmith_trainer.engine.types import trainable
from tunesmith_trainer.jobs.preflight import preflight
from tunesmith_trainer.jobs.subject import load_subject
from tunesmith_trainer.jobs.training import course
from tunesmith_trainer.jobs.tuning import tune
from tunesmith_trainer.models.predict import predict


def subject_of(job_, folder):
    ready = preflight(job_.spec, a_run(folder))
    return load_subject(ready, job_.spec.method)


def gradients(subject, training, micro_batch):
    subject.learner.module.zero_grad()
    loss, tokens, _ = accumulate(subject.learner, training, 0, micro_batch)
    flat = torch.cat([p.grad.flatten().float() for p in trainable(subject.learner.module).values() if p.grad is not None])
    return loss, tokens, flat


@pytest.mark.parametrize("kind", ["bert", "llama"])
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("bf16", 3e-2)])
def test_loss_and_gradients_do_not_depend_on_the_micro_batch(kind, precision, tolerance, tiny_models, tmp_path):
    changes = {"hyperparameters.precision": precision, "hyperparameters.dropout": 0.0, "hyperparameters.batchSize": 16}
    tuning = job(tmp_path, tiny_models(kind), **changes)
    subject = subject_of(tuning, tmp_path)
    torch.manual_seed(1)
    torch.nn.init.normal_(subject.learner.final.weight, std=0.5)
    training = course(tuning.spec, subject)
    whole = gradients(subject, training, 16)
    for size in (1, 3, 8, 15):
        loss, tokens, flat = gradients(subject, training, size)
        assert loss == pytest.approx(whole[0], rel=tolerance)
        assert tokens == whole[1]
        assert float((flat - whole[2]).norm() / whole[2].norm()) < tolerance


def test_loss_and_gradients_do_not_depend_on_the_rows_beside_them(tiny_models, tmp_path):
    tuning = job(tmp_path, tiny_models("bert"), **{"hyperparameters.dropout": 0.0})
    subject = subject_of(tuning, tmp_path)
    rows = subject.data.train
    alone = np.concatenate([subject.learner.logits(subject.learner.inputs(rows, np.array([i]))).detach().numpy() for i in range(len(rows))])
    np.testing.assert_allclose(predict(subject.learner, rows), alone, atol=1e-5)


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", "llama", "qwen2"])
@pytest.mark.parametrize("method", [{"full": {}}, {"lora": {}}, {"outputLayers": {"blocks": 1}}])
def test_the_first_loss_of_an_untrained_head_is_ln_of_the_classes(kind, method, tiny_models, tmp_path):
    tuning = job(tmp_path, tiny_models(kind), method=method, **{"hyperparameters.labelSmoothing": 0.1})
    subject = subject_of(tuning, tmp_path)
    loss, _, _ = accumulate(subject.learner, course(tuning.spec, subject), 0, 8)
    assert loss == pytest.approx(math.log(3), rel=1e-6)


def head_inputs(subject):
    caught = []
    hook = subject.learner.final.register_forward_pre_hook(lambda _m, args: caught.append(args[0].detach()))
    predict(subject.learner, subject.data.train)
    hook.remove()
    return torch.cat(caught)


@pytest.mark.parametrize("kind", ["bert", "llama"])
@pytest.mark.parametrize("options", [{}, {"rsLora": True}, {"dora": True}])
def test_lora_starts_as_the_base(kind, options, tiny_models, tmp_path):
    base = subject_of(job(tmp_path, tiny_models(kind)), tmp_path)
    adapted = subject_of(job(tmp_path, tiny_models(kind), method={"lora": options}), tmp_path)
    torch.testing.assert_close(head_inputs(adapted), head_inputs(base), rtol=0, atol=1e-6 if options.get("dora") else 0)


@pytest.mark.parametrize("method", [{"lora": {}}, {"outputLayers": {"blocks": 1}}])
def test_what_is_frozen_keeps_its_bits(method, tiny_models, tmp_path):
    tuning = job(tmp_path, tiny_models("bert"), method=method)
    run = a_run(tmp_path)
    subject = load_subject(preflight(tuning.spec, run), tuning.spec.method)
    names = set(trainable(subject.learner.module))
    before = {n: p.detach().clone() for n, p in subject.learner.module.named_parameters()}
    from tunesmith_trainer.engine.checkpoint import Checkpoints
    from tunesmith_trainer.jobs.training import train

    train(tuning.spec, subject, Checkpoints(run.stores.folder("file:saved"), run.work, check=lambda: None), run)
    changed = {n for n, p in subject.learner.module.named_parameters() if not torch.equal(p, before[n])}
    assert changed <= names
    assert len(changed) > len(names) / 2


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", "llama", "qwen2"])
def test_cached_activations_give_the_same_gradients(kind, tiny_models, tmp_path):
    changes = {"hyperparameters.dropout": 0.0, "method": {"outputLayers": {"blocks": 1}}}
    tuning = job(tmp_path, tiny_models(kind), **changes)
    run = a_run(tmp_path)
    subject = load_subject(preflight(tuning.spec, run), tuning.spec.method)
    torch.nn.init.normal_(subject.learner.final.weight, std=0.5)
    training = course(tuning.spec, subject)
    direct = gradients(subject, training, 8)
    subject.learner.cache(subject.data.train, run)
    assert set(subject.learner.inputs(subject.data.train, np.arange(2))) == {"hidden", "attention_mask"}
    cached = gradients(subject, training, 8)
    assert cached[0] == pytest.approx(direct[0], rel=1e-5)
    torch.testing.assert_close(cached[2], direct[2], rtol=1e-4, atol=1e-6)


def final_state(folder):
    saved = max((folder / "out/checkpoints").glob("*/step-*"))
    return load_file(saved / "state.safetensors")


def trained(folder, model, **changes):
    folder.mkdir()
    tune(job(folder, model, **{"checkpoints.keep": True, **changes}), a_run(folder))
    return final_state(folder)


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_evaluation_does_not_change_training(tiny_models, tmp_path):
    often = trained(tmp_path / "often", tiny_models("bert"), **{"evaluation.everySteps": 1})
    once = trained(tmp_path / "once", tiny_models("bert"), **{"evaluation.everySteps": 1000})
    assert same(often, once)


def test_the_same_seed_gives_the_same_weights_and_another_does_not(tiny_models, tmp_path):
    first = trained(tmp_path / "first", tiny_models("bert"))
    assert same(first, trained(tmp_path / "second", tiny_models("bert")))
    assert not same(first, trained(tmp_path / "other", tiny_models("bert"), **{"hyperparameters.seed": 1}))


def test_activation_checkpointing_changes_no_gradient(tiny_models, tmp_path):
    plain = trained(tmp_path / "plain", tiny_models("bert"))
    assert same(plain, trained(tmp_path / "saving", tiny_models("bert"), **{"hyperparameters.activationCheckpointing": True}))


def test_a_learned_task_is_learned(tiny_models, tmp_path):
    """Against the majority baseline on the same rows, not against the first loss."""
    changes = {"hyperparameters.epochs": 8, "hyperparameters.learningRate": 3e-3, "hyperparameters.dropout": 0.0}
    word = tune(job(tmp_path, tiny_models("llama"), rows=240, **changes), a_run(tmp_path))
    assert word.result.base_metrics["accuracy"] < 0.5
    assert word.result.metrics["accuracy"] > 0.9


@pytest.mark.parametrize(("kind", "method"), [("llama", "full"), ("llama", "lora"), ("llama", "features"), ("bert", "features")])
def test_regression_answers_in_the_unit_of_the_data(kind, method, tiny_models, tmp_path):
    changes = {
        "objective": {"regression": {}},
        "method": {method: {}},
        "dataset.columns": {"label": "score"},
        "hyperparameters.epochs": 10,
        "hyperparameters.learningRate": 5e-3,
        "hyperparameters.dropout": 0.0,
    }
    word = tune(job(tmp_path, tiny_models(kind), **changes), a_run(tmp_path))
    assert word.result.base_metrics["rmse"] > 8
    assert word.result.metrics["rmse"] < word.result.base_metrics["rmse"]


@pytest.mark.parametrize("method", [{"full": {}}, {"features": {}}])
def test_weights_that_are_no_numbers_stop_the_job(method, copied_model, tmp_path):
    from safetensors.torch import save_file

    path = copied_model("bert")
    tensors = load_file(path / "model.safetensors")
    tensors["embeddings.word_embeddings.weight"][:] = float("nan")
    save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(Failure, match="nan") as stopped:
        tune(job(tmp_path, path, method=method), a_run(tmp_path))
    assert stopped.value.reason is Reason.LOSS_DIVERGED


def test_a_rate_that_is_far_too_high_is_stopped_with_its_step_and_rows(tiny_models, tmp_path):
    changes = {"hyperparameters.learningRate": 1.0, "hyperparameters.epochs": 40, "objective": {"regression": {}}}
    with pytest.raises(Failure, match=r"step \d+ of 480: .*its rows: rows-0.csv:\d+, ") as stopped:
        tune(job(tmp_path, tiny_models("llama"), **changes, **{"dataset.columns": {"label": "score"}}), a_run(tmp_path))
    assert stopped.value.reason is Reason.LOSS_DIVERGED
    assert "learningRate" in stopped.value.remedy
    assert not (tmp_path / "out/manifest.json").exists()


def test_removing_checkpoints_leaves_what_is_none(tmp_path):
    from tunesmith_trainer.engine.checkpoint import Checkpoints

    for name in ("theirs/step-1/weights", "0123456789abcdef/step-00000001/complete"):
        (tmp_path / "checkpoints" / name).parent.mkdir(parents=True)
        (tmp_path / "checkpoints" / name).write_text("")
    run = a_run(tmp_path)
    Checkpoints(run.stores.folder("file:checkpoints"), run.work, check=lambda: None).remove_all()
    assert [p.name for p in (tmp_path / "checkpoints").rglob("*") if p.is_file()] == ["weights"]


@pytest.mark.parametrize(("kind", "above"), [("bert", {"classifier"}), ("roberta", {"classifier"}), ("llama", {"score"})])
@pytest.mark.parametrize("method", [{"full": {}}, {"lora": {}}, {"outputLayers": {"blocks": 1}}])
def test_only_what_no_pretraining_has_seen_has_the_heads_rate(kind, above, method, tiny_models, tmp_path):
    subject = subject_of(job(tmp_path, tiny_models(kind), method=method), tmp_path)
    names = [n.removeprefix("base_model.model.") for n in trainable(subject.learner.module) if subject.learner.is_head(n)]
    assert {name.split(".")[0] for name in names} == above
