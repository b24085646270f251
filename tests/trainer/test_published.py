"""What is published loads with plain libraries, in a process that has never heard of Tunesmith, and answers the same."""

import json
import subprocess
import sys

import numpy as np
import pytest
from tiny_jobs import a_run, job

from tunesmith_trainer.engine.checkpoint import Checkpoints
from tunesmith_trainer.jobs.preflight import preflight
from tunesmith_trainer.jobs.subject import load_subject
from tunesmith_trainer.jobs.training import train
from tunesmith_trainer.models.predict import predict

STRANGER = """
import json, sys, torch
assert not any("tunesmith" in name for name in sys.modules)
from pathlib import Path
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer

def load(out, base, outputs, dtype):
    if (out / "model").exists():
        return AutoModelForSequenceClassification.from_pretrained(out / "model"), AutoTokenizer.from_pretrained(out / "model")
    base = AutoModelForSequenceClassification.from_pretrained(base, num_labels=outputs, dtype=getattr(torch, dtype))
    model = PeftModel.from_pretrained(base, out / "adapter", autocast_adapter_dtype=False)
    return model, AutoTokenizer.from_pretrained(out / "adapter")

def answer(out, base, outputs, dtype, texts):
    model, tokenizer = load(Path(out), base, outputs, dtype)
    encoded = [tokenizer(text, truncation=True, max_length=32, return_tensors="pt", return_token_type_ids=False) for text in texts]
    with torch.no_grad():
        rows = [model.eval()(**row).logits[0].float().tolist() for row in encoded]
    return [rows, model.config.id2label, str(model.dtype)]

print(json.dumps([answer(**task) for task in json.load(sys.stdin)]))
"""


def ask_stranger(tasks):
    command = [sys.executable, "-I", "-c", STRANGER]
    done = subprocess.run(command, input=json.dumps(tasks), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def written(folder, model, outputs=3, **changes):
    """Train, ask the learner, write it as publishing does; gives its answers and the task for the stranger."""
    folder.mkdir()
    run, tuning = a_run(folder), job(folder, model, **changes)
    subject = load_subject(preflight(tuning.spec, run), tuning.spec.method)
    train(tuning.spec, subject, Checkpoints(run.stores.folder("file:saved"), run.work, check=lambda: None), run)
    rows = subject.data.evaluation
    answers = subject.in_units(predict(subject.learner, rows))
    subject.settle()
    subject.learner.write(folder / "out")
    dtype = "bfloat16" if changes.get("hyperparameters.precision") == "bf16" else "float32"
    texts = [rows.text(i) for i in range(len(rows))]
    return answers, {"out": str(folder / "out"), "base": str(model), "outputs": outputs, "dtype": dtype, "texts": texts}


METHODS = {
    "full": {"full": {}},
    "outputLayers": {"outputLayers": {"blocks": 1}},
    "lora": {"lora": {}},
    "dora": {"lora": {"dora": True}},
    "merged": {"lora": {"merge": True}},
}


@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_a_classifier_answers_as_it_did_when_it_was_judged(kind, tiny_models, tmp_path):
    rate = {"hyperparameters.learningRate": 5e-3}
    made = [written(tmp_path / name, tiny_models(kind), method=method, **rate) for name, method in METHODS.items()]
    made.append(written(tmp_path / "bf16", tiny_models(kind), **rate, **{"hyperparameters.precision": "bf16"}))
    told = ask_stranger([task for _, task in made])
    for name, (ours, _), (theirs, names, dtype) in zip([*METHODS, "bf16"], made, told, strict=True):
        np.testing.assert_allclose(theirs, ours, atol=3e-2 if name == "bf16" else 2e-5, err_msg=name)
        assert dtype == ("torch.bfloat16" if name == "bf16" else "torch.float32")
        if name not in ("lora", "dora"):
            assert names == {"0": "cards", "1": "rates", "2": "refunds"}


def test_a_regressor_answers_in_the_unit_of_the_data(tiny_models, tmp_path):
    changes = {"objective": {"regression": {}}, "dataset.columns": {"label": "score"}}
    cases = [(kind, name, METHODS.get(name, {name: {}})) for kind in ("bert", "llama") for name in ("full", "lora", "features")]
    made = [written(tmp_path / f"{kind}-{name}", tiny_models(kind), 1, method=method, **changes) for kind, name, method in cases]
    for case, (ours, _), (theirs, _, _) in zip(cases, made, ask_stranger([task for _, task in made]), strict=True):
        np.testing.assert_allclose(np.array(theirs)[:, 0], ours, rtol=1e-4, err_msg=str(case))
        assert ours.mean() > 50


def test_an_adapter_names_its_base_and_what_it_saved(tiny_models, tmp_path):
    _, task = written(tmp_path / "job", tiny_models("bert"), method={"lora": {}})
    settings = json.loads((tmp_path / "job/out/adapter/adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == f"file:{task['base']}"
    assert settings["modules_to_save"] == ["bert.pooler", "classifier"]
    assert json.loads((tmp_path / "job/out/adapter/config.json").read_text())["id2label"]["1"] == "rates"
    assert sorted(p.name for p in (tmp_path / "job/out/adapter").iterdir() if p.suffix not in (".json",)) == ["adapter_model.safetensors"]


def test_no_config_names_a_place_of_this_machine(tiny_models, tmp_path):
    for name in ("full", "lora"):
        written(tmp_path / name, tiny_models("bert"), method=METHODS[name])
        for path in (tmp_path / name / "out").glob("*/config.json"):
            assert "_name_or_path" not in json.loads(path.read_text())
            assert str(tiny_models("bert")) not in path.read_text()
