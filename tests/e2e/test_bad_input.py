"""Bad input gets a clear error and the right exit code, never a traceback, and nothing that was finished is lost."""

from __future__ import annotations

import gzip
import json
import math
import os
import resource
import shutil
import signal
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

MIB = 2**20
GOOD = '{{"text": "row {}", "label": {}}}\n'
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{k}: &{k} [{', '.join([f'*{j}'] * 9)}]\n" for j, k in zip("abcdefgh", "bcdefghi", strict=True)
)
SMUGGLED = ["<svg onload=alert(1)>", "<script>alert(2)</script>", '"><img src=x onerror=alert(3)>']
Change = dict[str, Any]


def rows(*pairs: tuple[str, str]) -> str:
    return "text,label\n" + "".join(f"{text},{label}\n" for text, label in pairs)


# What the manifest itself gives away: no trainer is started.


@pytest.mark.parametrize(
    ("changes", "fragments"),
    [
        ({"hyperparameters.epoch": 3}, ["spec.hyperparameters.epoch: unknown field; did you mean epochs?"]),
        ({"method.lora": {}}, ["spec.method: give exactly one of full, outputLayers, features, lora (given: full, lora)"]),
        ({"hyperparameters.batchSize": 0}, ["spec.hyperparameters.batchSize: must be a whole number, 1 to 65,536 (given: 0)"]),
        ({"hyperparameters.learningRate": "5e-4x"}, ["spec.hyperparameters.learningRate: must be a number", "5e-4x"]),
        ({"dataset.columns": {"text": "label"}}, ["spec.dataset.columns.label: names the same column as text; each needs its own"]),
        ({"output.uri": "file:out\n/x"}, ["spec.output.uri: ", "control character"]),
        ({"dataset.train.uri": "https://host/a.csv"}, ["spec.dataset.train.uri: must start with one of s3:, gs:, az:, file:"]),
    ],
)
def test_a_manifest_that_is_wrong(desk: Any, changes: Change, fragments: list[str]) -> None:
    desk.write(**changes)
    desk.tunesmith("run", "job.yaml").expect(64, "job.yaml:", *fragments)
    assert not (desk.folder / "out").exists()


@pytest.mark.parametrize(
    ("content", "fragment"),
    [
        ("spec:\n\tmodel: {}\n", "job.yaml:2: is no valid YAML: found character '\\t' that cannot start any token"),
        (BOMB, "grows too large through its aliases"),
        ("kind: TuningJob\nkind: TuningJob\n", "job.yaml:2: kind: is given twice (first in line 1)"),
        ("", "job.yaml: holds no manifest: it is empty"),
        ("caf\xe9: 1".encode("latin-1"), "job.yaml: is not UTF-8: byte 0xe9 in line 1"),
        ("- a\n- b\n", "job.yaml:1: must be a mapping with apiVersion, kind, metadata and spec"),
    ],
    ids=["tabs", "anchor bomb", "duplicate key", "empty", "latin-1", "a list"],
)
def test_a_file_that_is_no_manifest(desk: Any, content: str | bytes, fragment: str) -> None:
    desk.put("job.yaml", content)
    desk.tunesmith("plan", "job.yaml").expect(64, fragment)


def test_arguments_that_are_wrong(desk: Any) -> None:
    desk.write()
    desk.tunesmith("run", ".").expect(64, "is a folder; name a manifest in it")
    desk.tunesmith("run", "no\n.yaml").expect(64, "cannot be read: No such file or directory")
    desk.tunesmith("run", "job.yaml", "--buckets", "job.yaml").expect(2, "--buckets", "is a file")


# What reading the model and the data brings to light.


def missing_file(desk: Any) -> Change:
    return {"dataset.train.uri": "file:nowhere.csv"}


def empty_file(desk: Any) -> Change:
    return {"dataset.train.uri": desk.put("empty.csv", "")}


def wrong_column(desk: Any) -> Change:
    return {"dataset.columns": {"label": "lable"}}


def label_only_in_evaluation(desk: Any) -> Change:
    return {"dataset.evaluation.uri": desk.put("other.csv", rows(("a", "cards"), ("b", "stolen")))}


def one_class(desk: Any) -> Change:
    return {"dataset.train.uri": desk.put("same.csv", rows(("a", "cards"), ("b", "cards")))}


def truncated_gzip(desk: Any) -> Change:
    whole = gzip.compress(rows(*((f"row {i * 7919}", "ab"[i % 2]) for i in range(5000))).encode())
    return {"dataset.train.uri": desk.put("cut.csv.gz", whole[: len(whole) // 2])}


def five_bad_rows(desk: Any) -> Change:
    """Malformed JSON, a line that is not UTF-8, one of 50 MB, a target that is NaN and one that no model can hold."""
    bad = [b'{"text": "a" "label": 1}\n', b'{"text": "caf\xe9", "label": 1}\n', b'{"text": "' + b"x" * 50 * MIB + b'", "label": 1}\n']
    good = "".join(GOOD.format(i, i % 5) for i in range(7011)).encode()
    uri = desk.put("dirty.jsonl", b"".join([good, *bad, b'{"text": "a", "label": NaN}\n{"text": "a", "label": 1e300}\n', good]))
    return {"dataset.train.uri": uri, "dataset.evaluation": None, "objective": {"regression": {}}}


def a_folder_of_rows(desk: Any) -> Change:
    (desk.folder / "rows.csv").mkdir()
    return {"dataset.train.uri": "file:rows.csv"}


def a_label_for_each_row(desk: Any) -> Change:
    uri = desk.put("unique.csv", rows(*((f"row {i}", f"id-{i}") for i in range(60))))
    return {"dataset.train.uri": uri, "dataset.evaluation": None, "dataset.evaluationFraction": 0.3}


def pickle_only(desk: Any) -> Change:
    model = desk.copied_model()
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    return {"model.uri": "file:model"}


def corrupt_safetensors(desk: Any) -> Change:
    weights = desk.copied_model() / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    return {"model.uri": "file:model"}


def empty_safetensors(desk: Any) -> Change:
    (desk.copied_model() / "model.safetensors").write_bytes(b"")
    return {"model.uri": "file:model"}


def auto_map(desk: Any) -> Change:
    path = desk.copied_model() / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"auto_map": {"AutoModel": "modeling.Model"}}))
    return {"model.uri": "file:model"}


def config_of_no_model(desk: Any) -> Change:
    path = desk.copied_model() / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"num_attention_heads": 5}))
    return {"model.uri": "file:model"}


def tokenizer_missing(desk: Any) -> Change:
    (desk.copied_model() / "tokenizer.json").unlink()
    return {"model.uri": "file:model"}


def too_large(desk: Any) -> Change:
    """A model whose training takes more than this machine has; its shards are links to one that is full of holes."""
    width = 2048
    block = 12 * width * width
    depth = math.ceil(1.2 * psutil.virtual_memory().total / 16 / block)
    model = desk.copied_model()
    config = json.loads((model / "config.json").read_text())
    size = {"hidden_size": width, "intermediate_size": 4 * width, "num_hidden_layers": depth, "num_attention_heads": 16}
    (model / "config.json").write_text(json.dumps(config | size))
    (model / "model.safetensors").unlink()
    header = json.dumps({"block": {"dtype": "BF16", "shape": [12, width, width], "data_offsets": [0, 2 * block]}}).encode()
    names = [f"model-{i:05}.safetensors" for i in range(depth)]
    with (model / names[0]).open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + 2 * block)
    for name in names[1:]:
        (model / name).symlink_to(names[0])
    (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {f"block.{i}": n for i, n in enumerate(names)}}))
    return {"model.uri": "file:model", "hyperparameters.precision": "fp32"}


@pytest.mark.parametrize(
    ("prepare", "code", "fragments"),
    [
        (missing_file, 65, ["DatasetInvalid: spec.dataset.train.uri: file:nowhere.csv does not exist", "Correct the path"]),
        (empty_file, 65, ["empty.csv: is empty", "holds rows"]),
        (
            wrong_column,
            65,
            ['spec.dataset.columns.label: rows-0.csv has no column "lable" (it has: text, label, score, shop)', 'did you mean "label"?'],
        ),
        (
            label_only_in_evaluation,
            65,
            ['spec.dataset.evaluation: 1 row has a label that no training row has: "stolen" (first at other.csv:3)'],
        ),
        (one_class, 65, ['every training row of same.csv has the label "cards"', "at least two labels"]),
        (truncated_gzip, 65, ["cut.csv.gz: the gzip data ends early or is damaged", "not complete"]),
        (
            five_bad_rows,
            65,
            [
                "spec.dataset.train: 5 rows cannot be used:",
                "dirty.jsonl:7012: malformed JSON: Expecting ',' delimiter",
                "dirty.jsonl:7013: is not UTF-8: byte 0xe9",
                "dirty.jsonl:7014: is longer than 16 MiB",
                'dirty.jsonl:7015: "label" is nan',
                'dirty.jsonl:7016: "label" is too large a number: 1e+300',
                "onBadRow: skip",
            ],
        ),
        (a_folder_of_rows, 65, ["spec.dataset.train.uri: file:rows.csv", "folder"]),
        (
            a_label_for_each_row,
            65,
            ["0.3 of 60 rows sets none aside: no other row has the labels of the", "drawn", "not one of ids"],
        ),
        (pickle_only, 66, ["ModelUnavailable: file:model holds its weights only as pytorch_model.bin", "Convert them"]),
        (
            corrupt_safetensors,
            66,
            ["file:model/model.safetensors is no valid safetensors file", "bytes after the end of the file", "Copy the file again"],
        ),
        (empty_safetensors, 66, ["file:model/model.safetensors is no valid safetensors file", "of 0 bytes", "Copy the file again"]),
        (auto_map, 66, ["file:model/config.json has an auto_map", "refused", "Use a model"]),
        (config_of_no_model, 66, ["file:model/config.json: no model can be built by it (The hidden size (32)", "Use the config.json"]),
        (tokenizer_missing, 66, ["file:model", "tokenizer.json"]),
        (lambda _: {"model.uri": "file:nowhere"}, 66, ["file:nowhere: no such model folder", "Check the path"]),
        (
            too_large,
            79,
            [
                "OutOfMemory: file:model",
                "by method full takes about",
                "GiB before a single row is computed; this machine has",
                "smaller model",
            ],
        ),
        (
            lambda _: {"hyperparameters.maxLength": 67},
            64,
            ["spec.hyperparameters.maxLength: 67, but file:", "at most 66 tokens", "66 or less"],
        ),
        (
            lambda _: {"method": {"lora": {"targets": ["nothing"]}}},
            64,
            ["spec.method.lora.targets: the model has no linear layer 'nothing'", "name some of"],
        ),
        (
            lambda _: {"method": {"outputLayers": {"blocks": 99}}},
            64,
            ["spec.method.outputLayers.blocks: 99, but the model has 3 blocks", "at most 3"],
        ),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_model_or_data_that_cannot_be_used(desk: Any, prepare: Callable[[Any], Change], code: int, fragments: list[str]) -> None:
    desk.write(**prepare(desk))
    desk.tunesmith("plan", "job.yaml").expect(code, "remedy: ", *fragments)
    assert not (desk.folder / "out").exists()


def test_odd_input_that_is_no_mistake(desk_in: Any, tmp_path: Path) -> None:
    desk = desk_in(tmp_path / "räksmörgås 🦊 & [1]" / "a b")
    content = rows(*((f"row {i}", ["cards", "L" * 10_000, "🦊"][i % 3]) for i in range(60))).replace("\n", "\r\n")
    desk.folder.mkdir(parents=True)
    uri = desk.put("Zeilen 🦊.csv", content)
    desk.write(**{"dataset.train.uri": uri, "dataset.evaluation.uri": uri})
    desk.tunesmith("plan", "job.yaml").expect(0, "60 evaluation rows (100.0 %) are also in the training rows")


def test_a_cache_that_cannot_be_made(desk: Any) -> None:
    desk.write()
    desk.environ["XDG_CACHE_HOME"] = str(desk.folder / "job.yaml")
    desk.tunesmith("run", "job.yaml").expect(77, "job.yaml/tunesmith", "remedy: ", "XDG_CACHE_HOME")


def test_an_output_folder_with_files_of_somebody_else(desk: Any) -> None:
    desk.copied_model()
    desk.put("README.md", "# My project")
    desk.put("report.json", '{"summary": "of another tool"}')
    desk.put("checkpoints/best.pt", "mine")
    desk.write(**{"model.uri": "file:model", "output.uri": "file:."})
    before = {path: path.read_bytes() for path in desk.folder.rglob("*") if path.is_file()}
    said = "OutputInUse: file:.: holds README.md, report.json, model/README.md and 5 more, which no job wrote"
    desk.tunesmith("run", "job.yaml").expect(73, said, "remedy: Name another output.uri")
    assert {path: path.read_bytes() for path in desk.folder.rglob("*") if path.is_file()} == before


# What the store says.


def on_s3(desk_in: Any, folder: Path, s3_server: Any, **changes: str) -> Any:
    return desk_in(folder, **(s3_server.environ | changes))


def test_a_wrong_key(desk_in: Any, tmp_path: Path, s3_server: Any) -> None:
    desk = on_s3(desk_in, tmp_path, s3_server, AWS_SECRET_ACCESS_KEY="wrong")
    desk.write(**{"dataset.train.uri": f"s3://{s3_server.bucket()}/train.csv"})
    done = desk.tunesmith("plan", "job.yaml")
    done.expect(77, "StorageDenied: s3://", "access denied", "remedy: Check AWS_ACCESS_KEY_ID")
    assert s3_server.secret_key not in done.said


def test_a_wrong_bucket(desk_in: Any, tmp_path: Path, s3_server: Any) -> None:
    desk = on_s3(desk_in, tmp_path, s3_server)
    desk.write(**{"output.uri": "s3://no-such-bucket/out"})
    desk.tunesmith("run", "job.yaml").expect(77, "StorageDenied: s3://no-such-bucket", "does not exist", "remedy: Create the bucket")


def test_a_bucket_that_vanishes_while_training(desk_in: Any, tmp_path: Path, s3_server: Any) -> None:
    desk, bucket = on_s3(desk_in, tmp_path, s3_server), s3_server.bucket()
    desk.write(**{"output.uri": f"s3://{bucket}/out", "hyperparameters.epochs": 10_000, "checkpoints": {"everySteps": 5}})
    live = desk.start("run", "job.yaml", "--output", "json")
    live.wait_for(event="checkpoint")
    shutil.rmtree(s3_server.data / bucket)
    live.end().expect(77, '"reason":"StorageDenied"', f"s3://{bucket}", "does not exist", "Create the bucket")


# What the disk says.


def test_files_that_can_grow_no_further(desk: Any) -> None:
    desk.write()
    limited = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))}
    desk.tunesmith("run", "job.yaml", **limited).expect(74, "StorageUnavailable", "disk full", "remedy: Free space")
    desk.tunesmith("run", "job.yaml").expect(0, "report: out/report.html")


def test_a_disk_that_is_full(desk: Any) -> None:
    desk.write(**{"checkpoints": {"everySteps": 12}})
    (desk.folder / "out").mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", desk.folder / "out"], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")
    try:
        desk.tunesmith("run", "job.yaml").expect(74, "StorageUnavailable: file:out", "disk full", "remedy: Free space")
        subprocess.run(["mount", "-o", "remount,size=9m", desk.folder / "out"], check=True)
        desk.tunesmith("run", "job.yaml").expect(0, "report: out/report.html")
    finally:
        subprocess.run(["umount", desk.folder / "out"], check=True)


# What others do with the output, and signals.


@pytest.fixture(scope="module")
def history(desk_in: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, int, Any, Any]:
    """A job with scripts in its data that stood still while another wanted its output, then finished."""
    desk = desk_in(tmp_path_factory.mktemp("history"))
    lines = [(f"row {i} {SMUGGLED[i % 3]} <b>", SMUGGLED[i % 3]) for i in range(60)]
    uri = desk.put("smuggled.csv", "text,label\n" + "".join('"{}","{}"\n'.format(*(v.replace('"', '""') for v in line)) for line in lines))
    desk.write(
        **{"dataset.train.uri": uri, "dataset.evaluation.uri": uri, "hyperparameters.epochs": 40, "evaluation": {"slices": ["label"]}}
    )
    first = desk.start("run", "job.yaml", "--output", "json")
    first.wait_for(event="progress", phase="Training")
    trainer = json.loads((desk.folder / "out/owner.json").read_text())["pid"]
    os.kill(trainer, signal.SIGSTOP)
    try:
        second = desk.tunesmith("run", "job.yaml")
    finally:
        os.kill(trainer, signal.SIGCONT)
    return desk, trainer, second, first.end()


def test_an_output_that_another_live_job_holds(history: tuple[Any, int, Any, Any]) -> None:
    _, trainer, second, first = history
    second.expect(73, f"OutputInUse: file:out: tiny (process {trainer} on ", "is writing there", "remedy: Wait for it to finish")
    first.expect(0, '"reason":"Succeeded"')


def test_an_output_that_holds_another_artifact(history: tuple[Any, int, Any, Any]) -> None:
    desk, _, _, _ = history
    desk.write(**{"hyperparameters.epochs": 1})
    done = desk.tunesmith("run", "job.yaml")
    done.expect(
        73, "OutputInUse: file:out: holds the artifact of TuningJob tiny", "remedy: Name another output.uri, or set output.overwrite: true"
    )
    desk.tunesmith("verify", "out").expect(0, "all as the manifest says")


def test_overwriting_with_a_job_that_fails_keeps_what_was_there(history: tuple[Any, int, Any, Any]) -> None:
    desk, _, _, _ = history
    desk.write(**{"output.overwrite": True, "evaluation": {"gate": {"metric": "accuracy", "atLeast": 1.1}}, "hyperparameters.epochs": 1})
    desk.tunesmith("run", "job.yaml").expect(78, "GateNotMet", "1.1", "remedy: ")
    desk.tunesmith("verify", "out").expect(0, "all as the manifest says")


def test_scripts_in_labels_and_texts_stay_text(history: tuple[Any, int, Any, Any]) -> None:
    desk, _, _, _ = history
    page = (desk.folder / "out/report.html").read_text()
    assert "&lt;svg onload=alert(1)&gt;" in page
    assert not any(smuggled in page for smuggled in SMUGGLED)
    labels = json.loads((desk.folder / "out/model/config.json").read_text())["id2label"].values()
    assert sorted(labels) == sorted(SMUGGLED)


def test_sigterm_in_each_phase_then_the_same_command_goes_on(desk: Any) -> None:
    desk.write(**{"hyperparameters.epochs": 20})
    codes: list[int] = []
    for phase in ("Preflight", "Starting", "Training", "Evaluating", "Publishing"):
        live = desk.start("run", "job.yaml", "--output", "json")
        live.wait_for(event="phase", phase=phase)
        live.process.send_signal(signal.SIGTERM)
        done = live.end()
        codes.append(done.code)
        if done.code == 0:  # the signal came after the last moment at which it could be heeded
            assert phase in ("Evaluating", "Publishing")
            break
        done.expect(75, '"reason":"Preempted"', "run the same command again")
    assert codes[:3] == [75, 75, 75]
    desk.tunesmith("run", "job.yaml").expect(0, "report: out/report.html")
    desk.tunesmith("verify", "out").expect(0, "all as the manifest says")
