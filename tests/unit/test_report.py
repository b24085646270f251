"""The report: complete, safe with any text, small, the same bytes every time, and good without an evaluation too."""

from __future__ import annotations

import csv
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunesmith_api.plan import (
    DataReport,
    Duplicate,
    Duplicates,
    ExampleRow,
    LabelCount,
    Lengths,
    Memory,
    ModelFacts,
    Oddity,
    Plan,
    SourceFile,
)
from tunesmith_api.tuning import Gate
from tunesmith_trainer.evaluation import baseline
from tunesmith_trainer.evaluation.errors import worst_answers, worst_numbers
from tunesmith_trainer.evaluation.headline import headline
from tunesmith_trainer.evaluation.metrics import classification, regression
from tunesmith_trainer.evaluation.slices import by_value
from tunesmith_trainer.report.document import Curves, Digests, EvaluationPoint, Outcome, Report, Usage
from tunesmith_trainer.report.html import render
from tunesmith_trainer.report.sections import classification_sections, error_reports, slice_reports

BANKING = Path(__file__).parents[2] / "examples" / "data" / "banking77"
HOSTILE = (
    "<script>alert(1)</script>",
    "]]><svg onload=alert(2)>",
    "</text></svg><img src=x onerror=alert(3)>",
    "$x^2$ $\\frac{a",
    '" onmouseover="alert(4)',
    "{{ 7*7 }} {% raw %}",
    "nul\x00bell\x07",
    "\u202etfel ot thgir",
    "lone\ud800surrogate\uffff",
    "&lt;b&gt; ns0:svg #0a0a04",
    "日本語 🙂",
    "",
)


class Texts:
    def __init__(self, texts: list[str], file: str = "s3://data/banking77/test.csv") -> None:
        self.texts, self.file = texts, file

    def text(self, row: int) -> str:
        return self.texts[row % len(self.texts)]

    def source(self, row: int) -> tuple[str, int]:
        return self.file, row + 2


def lengths() -> Lengths:
    return Lengths(p50=12, p95=33, p99=56, max=98, mean=14.2)


def data_report(labels: tuple[str, ...], train: np.ndarray, targets: np.ndarray, text: str = "Where is my card?") -> DataReport:
    classes = len(labels)
    counts = (
        zip(labels, np.bincount(train, minlength=classes).tolist(), np.bincount(targets, minlength=classes).tolist(), strict=True)
        if labels
        else ()
    )
    counted = sorted((LabelCount(label=n, train=t, evaluation=e) for n, t, e in counts), key=lambda c: -c.train)
    return DataReport(
        digest="sha256:" + "d" * 64,
        files=(
            SourceFile(
                uri="s3://data/banking77/train.csv", digest="sha256:" + "1" * 64, size_bytes=839_073, rows=10_003, format="csv (by name)"
            ),
        ),
        evaluation_files=(
            SourceFile(
                uri="s3://data/banking77/test.csv", digest="sha256:" + "2" * 64, size_bytes=240_421, rows=3080, format="csv (by name)"
            ),
        ),
        train_rows=len(train),
        evaluation_rows=len(targets),
        bad_rows=0,
        dropped_too_long=0,
        truncated=17,
        max_length=64,
        train_lengths=lengths(),
        evaluation_lengths=lengths() if len(targets) else None,
        labels=tuple(counted),
        rare_labels=tuple(c.label for c in counted if c.train < 10),
        target_mean=None if labels else 3.2,
        target_std=None if labels else 1.4,
        duplicates=Duplicates(exact=21, near=87, conflicting=2, examples=(Duplicate(text=text, rows=3),)),
        overlap=5,
        oddities=(Oddity(kind="mojibake", rows=2, example="train.csv:417"),),
        examples=(ExampleRow(text=text, label=labels[0] if labels else "3.5", tokens=9),),
        warnings=("5 evaluation rows are also training rows: their score flatters the model.",),
    )


def plan(data: DataReport) -> Plan:
    model = ModelFacts(
        uri="hf://sentence-transformers/all-MiniLM-L6-v2",
        digest="sha256:" + "b" * 64,
        architecture="BertModel",
        parameters=22_713_216,
        dtype="float32",
        licence="apache-2.0",
    )
    memory = Memory(
        weights=9 << 20, optimizer=9 << 20, gradients=9 << 20, activations=99 << 20, process=300 << 20, total=426 << 20, available=8 << 30
    )
    return Plan(
        model=model,
        data=data,
        method="lora",
        trainable_parameters=1_210_445,
        precision="fp32",
        precision_why="no bf16 units",
        epochs=4,
        steps=628,
        steps_per_epoch=157,
        batch_size=64,
        micro_batch_size=64,
        tokens_per_epoch=142_301,
        memory=memory,
        estimated_seconds=410.0,
    )


def manifest(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "tunesmith.dev/v1alpha1",
        "kind": "TuningJob",
        "metadata": {"name": name},
        "spec": {
            "model": {"uri": "hf://sentence-transformers/all-MiniLM-L6-v2"},
            "dataset": {
                "train": {"uri": "s3://data/banking77/train.csv"},
                "evaluation": {"uri": "s3://data/banking77/test.csv"},
                "columns": {"label": "category"},
            },
            "objective": {"classification": {}},
            "method": {"lora": {"rank": 16, "alpha": 32}},
            "hyperparameters": {"epochs": 4, "learningRate": 0.002, "batchSize": 64, "labelSmoothing": 0.1},
            "evaluation": {"gate": {"metric": "accuracy", "atLeast": 0.9}, "slices": ["channel"]},
            "output": {"uri": "s3://models/banking-intents"},
        },
    }


def curves(metric: str, loss: float, value: float) -> Curves:
    rng = np.random.default_rng(3)
    course = [
        (step, float(loss * math.exp(-step / 120) + 0.3 + rng.normal(scale=0.12 * loss * math.exp(-step / 300) / 2)))
        for step in range(1, 629)
    ]
    rate = [(step, 0.002 * min(step / 63, (628 - step) / 565)) for step in range(1, 629)]
    points = [
        EvaluationPoint(
            step=157 * e,
            metrics={metric: value + (1 - value) * (0.3**e if metric == "rmse" else -(0.3**e)), "loss": loss * 0.5**e},
            best=e == 4,
        )
        for e in range(1, 5)
    ]
    return Curves(loss=tuple((s, max(v, 0.0)) for s, v in course), learning_rate=tuple(rate), evaluations=tuple(points))


def usage() -> Usage:
    return Usage(
        seconds=412.7,
        train_seconds=355.1,
        tokens=569_204,
        tokens_per_second=1603.0,
        peak_memory_bytes=731 << 20,
        padding_percent=3.7,
        device="CPU, 2 cores",
        attempts=2,
    )


def outcome(metric: str | None, line: str, **changes: Any) -> Outcome:
    facts = {
        "reason": "Succeeded",
        "headline": line,
        "name": "banking-intents",
        "uri": "s3://models/banking-intents",
        "created": "2026-11-21T10:06:00Z",
        "metric": metric,
    }
    return Outcome(**(facts | changes))


def digests() -> Digests:
    return Digests(spec="sha256:" + "a" * 64, data="sha256:" + "d" * 64, base="sha256:" + "b" * 64)


def banking_labels() -> tuple[str, ...]:
    with (BANKING / "train.csv").open(newline="", encoding="utf-8") as file:
        return tuple(sorted({row["category"] for row in csv.DictReader(file)}))


def banking_texts() -> list[str]:
    with (BANKING / "test.csv").open(newline="", encoding="utf-8") as file:
        return [row["text"] for row in csv.DictReader(file)]


def classifier(labels: tuple[str, ...], rows: int = 3080, texts: list[str] | None = None, **changes: Any) -> Report:
    rng = np.random.default_rng(7)
    classes = len(labels)
    train = np.minimum((rng.beta(1.1, 1.6, 10_003) * classes).astype(np.int64), classes - 1)
    targets = rng.integers(0, classes, rows)
    logits = rng.normal(size=(rows, classes)).astype(np.float32)
    logits[np.arange(rows), targets] += 5.4
    logits[np.arange(rows), (targets + rng.integers(0, 3, rows)) % classes] += 3.6
    logits *= 1.2
    shown = Texts(texts or banking_texts())
    scores, base = classification(logits, targets), baseline.majority(train, targets, classes)
    channels = [("app", "web", "phone", "branch")[i] for i in np.minimum(rng.geometric(0.55, rows) - 1, 3)]
    data = data_report(labels, train, targets, shown.text(0))
    fields = {
        "outcome": outcome("accuracy", headline("accuracy", scores.scalars, base.scalars), gate=Gate(metric="accuracy", at_least=0.9)),
        "metrics": scores.scalars,
        "base_metrics": base.scalars,
        "plan": plan(data),
        "data": data,
        "usage": usage(),
        "curves": curves("accuracy", 4.3, scores.scalars["accuracy"]),
        **classification_sections(scores, labels),
        "worst_errors": error_reports(worst_answers(scores, targets, labels, shown)),
        "slices": {"channel": slice_reports(by_value(channels, lambda index: classification(logits[index], targets[index]).scalars))},
        "warnings": ("On this machine bf16 is slower than fp32; precision: auto took fp32.",),
        "spec": manifest("banking-intents"),
        "digests": digests(),
    }
    return Report(**(fields | changes))


def regressor() -> Report:
    rng = np.random.default_rng(5)
    train, targets = rng.normal(3.2, 1.4, 2000), rng.normal(3.2, 1.4, 500)
    predictions = targets + rng.normal(scale=0.5, size=500)
    metrics, base = regression(predictions, targets), baseline.mean(train, targets)
    data = data_report((), train, targets)
    return Report(
        outcome=outcome("rmse", headline("rmse", metrics, base), name="review-stars", gate=Gate(metric="rmse", at_most=0.6)),
        metrics=metrics,
        base_metrics=base,
        plan=plan(data),
        data=data,
        usage=usage(),
        curves=curves("rmse", 1.0, 0.49),
        worst_errors=error_reports(worst_numbers(predictions, targets, Texts(banking_texts()))),
        spec=manifest("review-stars"),
        digests=digests(),
    )


def unjudged() -> Report:
    data = data_report((), np.zeros(200), np.zeros(0))
    return Report(
        outcome=outcome(None, "trained on 200 rows, not evaluated"),
        plan=plan(data),
        data=data,
        usage=usage(),
        spec=manifest("no-judge"),
        digests=digests(),
    )


class Page(HTMLParser):
    """What a browser would find in a page: its tags, attributes and visible texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def banking() -> Report:
    return classifier(banking_labels())


@pytest.fixture(scope="module")
def page(banking: Report) -> str:
    return render(banking)


def test_the_outcome_comes_first_and_the_rest_in_a_readers_order(page: str) -> None:
    assert page.startswith("<!doctype html>")
    headings = re.findall(r"<h2[^>]*>(.*?)</h2>", page)
    assert page.index('class="headline"') < page.index("<h2")
    assert headings == [
        "How training went",
        "The data",
        "Results against the baseline",
        "Label by label",
        "What is taken for what",
        "Is it equally good for all?",
        "The worst errors",
        "What it cost",
        "What exactly was run",
    ]


def test_the_page_says_the_numbers_that_decide(banking: Report, page: str) -> None:
    text = " ".join(Page(page).texts)
    for needed in (
        "1,603 tokens/s",
        "3.7 %",
        "731 MiB",
        "6 min 53 s",
        "sha256:" + "a" * 64,
        "learningRate: 0.002",
        "test.csv:",
        "baseline",
    ):
        assert needed in text
    assert f"{100 * banking.metrics['accuracy']:.1f} %" in text
    assert "all 77 labels" in text.lower()


def test_the_page_needs_nothing_but_itself_and_is_small(page: str) -> None:
    assert len(page.encode()) < 600_000
    tags = Page(page).tags
    assert not {tag for tag, _ in tags} & {"script", "link", "iframe", "object", "img", "image"}
    targets = [value for _, attrs in tags for key, value in attrs.items() if key in {"src", "href", "xlink:href", "action"}]
    assert targets
    assert all(value and value.startswith("#") for value in targets)
    assert "url(http" not in page
    policy = next(attrs["content"] for tag, attrs in tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy and policy.startswith("default-src 'none'")


def test_ids_are_unique_and_references_resolve(page: str) -> None:
    tags = Page(page).tags
    ids = [attrs["id"] for _, attrs in tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    used = {value[1:] for _, attrs in tags if (value := attrs.get("href"))}
    used |= {value[5:-1] for _, attrs in tags if (value := attrs.get("clip-path"))}
    assert used <= set(ids)


def test_the_same_report_gives_the_same_bytes(banking: Report, page: str) -> None:
    assert render(banking) == page
    assert render(Report.model_validate_json(banking.to_json())) == page


@pytest.mark.parametrize("classes", [2, 12, 30, 31, 3000])
def test_any_number_of_labels_stays_below_two_megabytes(classes: int) -> None:
    labels = tuple(f"label {i} " + "of a long name " * 12 for i in range(classes))
    html = render(classifier(labels, rows=2000, texts=["word " * 2000]))
    assert len(html.encode()) < 2_000_000


def test_ten_thousand_rows_that_confuse_everything_stay_small() -> None:
    rng = np.random.default_rng(0)
    labels = tuple(f"l{i}" for i in range(250))
    scores = classification(rng.normal(size=(10_000, 250)), rng.integers(0, 250, 10_000))
    html = render(classifier(labels).model_copy(update=classification_sections(scores, labels)))
    assert len(html.encode()) < 1_000_000


def hostile() -> Report:
    report = classifier(HOSTILE, texts=list(HOSTILE[:-1]))
    slices = dict.fromkeys(HOSTILE, report.slices["channel"]) | {
        "column": tuple(s.model_copy(update={"value": HOSTILE[i]}) for i, s in enumerate(report.slices["channel"]))
    }
    changed = report.outcome.model_copy(update={"name": HOSTILE[0], "headline": HOSTILE[1], "message": HOSTILE[2], "remedy": HOSTILE[4]})
    return report.model_copy(update={"outcome": changed, "slices": slices, "warnings": HOSTILE, "spec": {text: text for text in HOSTILE}})


def test_no_markup_comes_out_of_labels_texts_or_names() -> None:
    html = render(hostile())
    html.encode("utf-8")
    assert json.loads(hostile().to_json().encode("utf-8"))["labels"][8] == "lone\ufffdsurrogate\uffff"
    found = Page(html)
    assert not {tag for tag, _ in found.tags} & {"script", "img", "raw"}
    assert not [key for _, attrs in found.tags for key in attrs if key.startswith("on")]
    assert len([tag for tag, _ in found.tags if tag == "svg"]) == len(re.findall(r"<svg viewBox=", html))
    text = " ".join(found.texts)
    assert "<script>alert(1)</script>" in text
    assert "{{ 7*7 }}" in text
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f]", html)


def test_labels_in_plots_are_text_and_not_mathematics() -> None:
    html = render(hostile())
    drawn = re.findall(r"<text [^>]*>([^<]*)</text>", html)
    assert any("$x^2$" in text for text in drawn)
    assert any("&lt;script&gt;" in text for text in drawn)
    assert any("ns0:svg #0a0a04" in text for text in drawn)


def test_a_regression_has_its_own_words() -> None:
    html = render(regressor())
    text = " ".join(Page(html).texts)
    for needed in ("RMSE", "Spearman", "R²", "answers every row with the mean", "is off by", "Standard deviation", "Off by"):
        assert needed in text
    for absent in ("Confusion", "Label by label", "Rare labels", "certain"):
        assert absent not in text


def test_without_an_evaluation_the_page_says_that_nothing_is_known() -> None:
    text = " ".join(Page(render(unjudged())).texts)
    assert "nothing is known about how good it is" in text
    assert "Results against the baseline" not in text
    assert "Evaluation rows also trained on" not in text


def test_a_gate_not_met_is_said_first_with_its_remedy() -> None:
    report = classifier(("yes", "no"))
    refused = report.outcome.model_copy(
        update={"reason": "GateNotMet", "message": "accuracy is 0.81, below atLeast: 0.9", "remedy": "Lower the gate."}
    )
    html = render(report.model_copy(update={"outcome": refused}))
    assert 'class="card hero bad"' in html
    assert html.index("Gate not met") < html.index("Lower the gate.") < html.index("<h2")
    assert "Accuracy of at least 90.0 %" in html


def test_report_json_has_what_a_machine_looks_for(banking: Report) -> None:
    document = json.loads(banking.to_json())
    assert {"metrics", "baseMetrics", "labels", "plan", "data", "usage"} <= set(document)
    assert document["labels"][0] == banking_labels()[0]
    assert sum(map(sum, document["confusion"])) == 3080
    assert document["slices"]["channel"][0]["metrics"]["accuracy"] > 0
    assert Report.model_validate_json(banking.to_json()) == banking
