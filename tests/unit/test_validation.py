"""A wrong manifest: all its errors at once, each with the field path, what is wrong, what is allowed and what was probably meant."""

from copy import deepcopy
from typing import Any

import pytest

from tunesmith_api.tuning import TuningJob
from tunesmith_api.validation import manifest_errors

GOOD: dict[str, Any] = {
    "apiVersion": "tunesmith.dev/v1alpha1",
    "kind": "TuningJob",
    "metadata": {"name": "tickets"},
    "spec": {
        "model": {"uri": "hf://org/name"},
        "dataset": {"train": {"uri": "s3://data/train.csv"}, "evaluation": {"uri": "s3://data/test.csv"}},
        "objective": {"classification": {}},
        "output": {"uri": "s3://models/tickets"},
    },
}


def manifest(**changes: Any) -> dict[str, Any]:
    """The good manifest with fields set by path (a__b); the value ... removes one."""
    data = deepcopy(GOOD)
    for path, value in changes.items():
        *sections, name = path.split("__")
        here = data
        for section in sections:
            here = here.setdefault(section, {})
        if value is ...:
            del here[name]
        else:
            here[name] = value
    return data


def errors(data: dict[str, Any]) -> list[str]:
    job, found = manifest_errors(data)
    assert (job is None) == bool(found)
    return [str(error) for error in found]


def test_a_right_manifest_is_a_job() -> None:
    job, found = manifest_errors(GOOD)
    assert found == []
    assert isinstance(job, TuningJob)
    assert job.spec.method.choice == "lora"


def test_what_kubectl_adds_is_ignored() -> None:
    data = manifest(metadata__uid="1", metadata__resourceVersion="2", metadata__managedFields=[{}], metadata__creationTimestamp="x")
    assert errors({**data, "status": {"conditions": []}}) == []


LORA = "spec__method"
HYPER = "spec__hyperparameters"
KNOWN_METRICS = "accuracy, macroF1, calibrationError, loss, mae, rmse, r2, spearman"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # names
        ({LORA: {"lora": {"rnak": 8}}}, "spec.method.lora.rnak: unknown field; did you mean rank?"),
        ({HYPER: {"learning_rate": 1e-3}}, "spec.hyperparameters.learning_rate: unknown field; did you mean learningRate?"),
        ({"spec__outpt": 1}, "spec.outpt: unknown field; did you mean output?"),
        (
            {"spec__dataset__zebra": 1},
            "spec.dataset.zebra: unknown field (known: train, evaluation, evaluationFraction, columns, onBadRow, onTooLong)",
        ),
        (
            {"spec__objective": {"classification": {"a": 1}}},
            "spec.objective.classification.a: unknown field; nothing can be set here, write {}",
        ),
        (
            {"spec__a.b\x1b": 1},
            'spec["a.b\\u001b"]: unknown field '
            "(known: model, dataset, objective, method, hyperparameters, evaluation, checkpoints, output)",
        ),
        # kinds
        ({"kind": "Deployment"}, "kind: unknown kind 'Deployment' (known: TuningJob)"),
        ({"kind": "TunningJob"}, "kind: must be TuningJob (given: 'TunningJob'); did you mean TuningJob?"),
        (
            {"apiVersion": "tunesmith.dev/v1"},
            "apiVersion: must be tunesmith.dev/v1alpha1 (given: 'tunesmith.dev/v1'); did you mean tunesmith.dev/v1alpha1?",
        ),
        ({"kind": ...}, "kind: is missing: must be TuningJob"),
        # what is missing
        ({"spec__output": ...}, "spec.output: is missing: Where the result goes."),
        (
            {"metadata__name": ...},
            "metadata.name: is missing: Name of the job: lower-case letters, digits and dashes, at most 52 characters.",
        ),
        ({HYPER: None}, "spec.hyperparameters: must be a section with fields of its own (given: nothing); write {} for its defaults"),
        # types and bounds
        ({HYPER: {"batchSize": 0}}, "spec.hyperparameters.batchSize: must be a whole number, 1 to 65,536 (given: 0)"),
        (
            {HYPER: {"learningRate": "5e-4x"}},
            "spec.hyperparameters.learningRate: must be a number, more than 0, at most 1 (given: '5e-4x')",
        ),
        ({HYPER: {"epochs": 2.5}}, "spec.hyperparameters.epochs: must be a whole number, 1 to 10,000 (given: 2.5)"),
        ({HYPER: {"seed": 10**400}}, "spec.hyperparameters.seed: must be a whole number, 0 to 2,147,483,647 (given: 1" + "0" * 56 + "...)"),
        ({HYPER: {"dropout": float("nan")}}, "spec.hyperparameters.dropout: must be a number, at least 0, less than 1 (given: nan)"),
        ({HYPER: {"weightDecay": True}}, "spec.hyperparameters.weightDecay: must be a number, 0 to 1 (given: true)"),
        (
            {HYPER: {"precision": "fp16"}},
            "spec.hyperparameters.precision: must be one of auto, bf16, fp32 (given: 'fp16'); did you mean bf16?",
        ),
        ({"spec__output__overwrite": "yes"}, "spec.output.overwrite: must be true or false (given: 'yes')"),
        ({"spec__dataset__columns": {"label": 5}}, "spec.dataset.columns.label: must be text (given: 5); put it in quotes"),
        ({"spec__dataset__columns": {"label": ""}}, "spec.dataset.columns.label: must have 1 to 256 characters (given: nothing)"),
        ({"spec__evaluation": {"slices": ["a", 5]}}, "spec.evaluation.slices[1]: must be text (given: 5); put it in quotes"),
        ({"spec__evaluation": {"slices": "a"}}, "spec.evaluation.slices: must be a list (given: 'a')"),
        ({"spec__evaluation": {"slices": ["a"] * 17}}, "spec.evaluation.slices: must have 0 to 16 entries (given: a list of 17)"),
        ({"metadata__labels": {"a": 1}}, "metadata.labels.a: must be text (given: 1); put it in quotes"),
        (
            {"metadata__name": "Tickets"},
            "metadata.name: must be lower-case letters, digits and dashes, with a letter or digit at both ends (given: 'Tickets')",
        ),
        # places
        ({"spec__model__uri": "http://a/b"}, "spec.model.uri: must start with one of s3:, gs:, az:, hf:, file: (given: 'http://a/b')"),
        ({"spec__output__uri": "hf://a/b"}, "spec.output.uri: must start with one of s3:, gs:, az:, file: (given: 'hf://a/b')"),
        ({"spec__output__uri": "s3://a/../b"}, "spec.output.uri: must not hold a \"..\" segment (given: 's3://a/../b')"),
        # choices
        (
            {LORA: {"full": {}, "lora": {}}},
            "spec.method: give exactly one of full, outputLayers, features, lora (given: full, lora)",
        ),
        (
            {LORA: {"features": None}},
            "spec.method: give exactly one of full, outputLayers, features, lora (given: none); "
            "features is empty: write features: {} for its defaults",
        ),
        ({"spec__dataset__evaluationFraction": 0.1}, "spec.dataset: give evaluation or evaluationFraction, not both"),
        ({"spec__evaluation": {"gate": {"metric": "accuracy"}}}, "spec.evaluation.gate: give exactly one of atLeast, atMost"),
        (
            {"spec__evaluation": {"gate": {"metric": "acuracy", "atLeast": 1}}},
            f"spec.evaluation.gate.metric: must be one of {KNOWN_METRICS} (given: 'acuracy'); did you mean accuracy?",
        ),
        # sections that disagree
        (
            {"spec__evaluation": {"metric": "rmse"}},
            "spec.evaluation.metric: rmse is no metric of classification (it has: accuracy, macroF1, calibrationError, loss)",
        ),
        (
            {"spec__dataset__evaluation": ..., "spec__evaluation": {"earlyStopping": {}}},
            "spec.evaluation.earlyStopping: needs rows to judge by; give dataset.evaluation or dataset.evaluationFraction",
        ),
        (
            {"spec__objective": {"regression": {}}, HYPER: {"labelSmoothing": 0.1}},
            "spec.hyperparameters.labelSmoothing: is for classification only; remove it",
        ),
    ],
)
def test_one_error_is_said_once_and_alone(changes: dict[str, Any], expected: str) -> None:
    assert errors(manifest(**changes)) == [expected]


def test_all_errors_come_at_once_those_between_sections_too() -> None:
    found = errors(
        manifest(
            metadata__name="X_",
            spec__model__uri="http://a",
            spec__dataset__evaluation=...,
            spec__method={"lora": {"rnak": 0, "alpha": 0}},
            spec__hyperparameters={"learning_rate": "5e-4x", "batchSize": 0},
            spec__evaluation={"gate": {"metric": "rmse", "atLest": 0.5}},
            spec__output=...,
        )
    )
    assert sorted(error.partition(":")[0] for error in found) == [
        "metadata.name",
        "spec.evaluation.gate",
        "spec.evaluation.gate.atLest",
        "spec.evaluation.gate.metric",
        "spec.hyperparameters.batchSize",
        "spec.hyperparameters.learning_rate",
        "spec.hyperparameters.learning_rate",
        "spec.method.lora.alpha",
        "spec.method.lora.rnak",
        "spec.method.lora.rnak",
        "spec.model.uri",
        "spec.output",
    ]


@pytest.mark.parametrize(
    ("changes", "paths"),
    [
        ({"spec__objective": {"sft": {}}, "spec__evaluation": {"metric": "rmse"}}, ["spec.objective.sft"]),
        ({"spec__dataset__evaluation": 5, "spec__evaluation": {"earlyStopping": {}}}, ["spec.dataset.evaluation"]),
        ({"spec__dataset": 5, "spec__evaluation": {"earlyStopping": {}}}, ["spec.dataset"]),
        ({"spec__dataset": ..., "spec__evaluation": {"earlyStopping": {}}}, ["spec.dataset"]),
        ({"spec__evaluation": {"gate": {"metric": "accuracy", "atLeast": "high"}}}, ["spec.evaluation.gate.atLeast"]),
        ({"sepc": {}, "spec": ...}, ["sepc", "spec.model", "spec.dataset", "spec.objective", "spec.output"]),
        ({"spec": 5}, ["spec"]),
        ({"kind": "Job", "spec": 5}, ["kind"]),
    ],
)
def test_what_follows_from_another_error_is_not_said(changes: dict[str, Any], paths: list[str]) -> None:
    assert [error.partition(":")[0].replace("sepc.", "spec.") for error in errors(manifest(**changes))] == paths


@pytest.mark.parametrize("junk", [None, 1, 1e300, "x", True, [], {}, [[]], {"a": {}}, "\x00", [None]])
@pytest.mark.parametrize(
    "path", ["apiVersion", "kind", "metadata", "spec", "spec__model", "spec__dataset__train", "spec__method", "spec__evaluation"]
)
def test_junk_anywhere_is_an_error_and_no_crash(path: str, junk: Any) -> None:
    if path == "spec__evaluation" and junk == {}:
        return
    assert errors(manifest(**{path: junk}))
