"""The report as one HTML file that needs nothing else: no script, no network, static SVG."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tunesmith_api.tuning import SMALLER_IS_BETTER
from tunesmith_trainer.report import words
from tunesmith_trainer.report.curves import loss_plot, metric_plot
from tunesmith_trainer.report.document import Report
from tunesmith_trainer.report.plots import NAMED_CELLS, balance_plot, confusion_plot, lengths_plot, reliability_plot

MOST_TABLE_ROWS = 1000
MOST_PAIRS = 20


def render(report: Report) -> str:
    """The text of report.html, under 2 MB whatever the data."""
    page = _environment().get_template("report.html.jinja")
    return page.render(r=report, plots=_plots(report), manifest=_manifest(report), **_facts(report))


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("tunesmith_trainer.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: words.printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )
    environment.filters |= {
        "cut": words.cut,
        "duration": words.duration,
        "label": _breakable,
        "metric": words.metric_value,
        "number": words.number,
        "percent": words.percent,
        "size": words.size,
    }
    return environment


def _breakable(label: str) -> Markup:
    """A label of the data, escaped; a narrow column may break it after an underscore."""
    return Markup("<wbr>").join(part for part in re.split("(?<=_)", words.cut(label, 120)))


def _plots(report: Report) -> dict[str, Markup]:
    """The plots that the report has numbers for; their SVG is made by us, its texts escaped there."""
    classification, curves, metric = bool(report.labels), report.curves, report.outcome.metric
    drawn = {
        "loss": len(curves.loss) > 1 and loss_plot(curves, classification),
        "metric": metric and curves.evaluations and metric_plot(curves, metric, report.base_metrics.get(metric), classification),
        "balance": report.data.labels and balance_plot(report.data.labels),
        "lengths": lengths_plot(report.data.train_lengths, report.data.evaluation_lengths, report.data.max_length),
        "confusion": report.confusion and confusion_plot(np.array(report.confusion), report.labels),
        "reliability": report.calibration and reliability_plot(report.calibration),
    }
    return {name: Markup(svg or "") for name, svg in drawn.items()}  # noqa: S704  escaped by the XML writer


def _facts(report: Report) -> dict[str, Any]:
    """What the page says that is not written in the report word for word."""
    main = report.outcome.metric
    metrics = sorted(report.metrics, key=lambda name: name != main)
    return {
        "main": main,
        "metrics": [(name, words.metric_words(name, bool(report.labels))) for name in metrics],
        "verdict": _verdict(report),
        "weakest": sorted(report.per_class, key=lambda c: (c.f1, -c.support))[:MOST_TABLE_ROWS],
        "named_matrix": 0 < len(report.confusion) <= NAMED_CELLS,
        "pairs": report.confused_pairs[:MOST_PAIRS],
        "certainty": _certainty(report),
        "gate": _gate(report),
        "progress": lambda metric: _progress(metric, report),
        "most_rows": MOST_TABLE_ROWS,
    }


def _verdict(report: Report) -> str:
    """The outcome in a sentence that needs no knowledge of metrics."""
    rows, metrics, base = report.data.evaluation_rows, report.metrics, report.base_metrics
    if not metrics:
        return "There were no rows to judge the model by: nothing is known about how good it is."
    if report.labels:
        right = round(metrics["accuracy"] * rows)
        return (
            f"Of {rows:,} evaluation rows the model answers {right:,} right ({words.percent(metrics['accuracy'])}). "
            f"Always answering the most frequent training label gets {words.percent(base['accuracy'])}."
        )
    return (
        f"On {rows:,} evaluation rows the model is off by {words.number(metrics['mae'])} on average. "
        f"Always answering the training mean is off by {words.number(base['mae'])}."
    )


def _progress(metric: str, report: Report) -> str:
    """Whether a metric is better or worse than the baseline's; a constant answer is calibrated too easily to compare with."""
    value, base = report.metrics[metric], report.base_metrics[metric]
    if value == base or metric == "calibrationError":
        return ""
    return "better" if (value < base) == (metric in SMALLER_IS_BETTER) else "worse"


def _certainty(report: Report) -> str:
    rows = sum(b.rows for b in report.calibration)
    if not rows:
        return ""
    sure = sum(b.rows * b.confidence for b in report.calibration) / rows
    right = sum(b.rows * b.accuracy for b in report.calibration) / rows
    tendency = (
        "it may be trusted as it is"
        if abs(sure - right) < 0.02
        else "it is too sure of itself"
        if sure > right
        else "it is more often right than it says"
    )
    return f"On average the model is {words.percent(sure)} certain and right in {words.percent(right)} of the rows: {tendency}."


def _gate(report: Report) -> str:
    gate = report.outcome.gate
    if gate is None:
        return ""
    name = words.metric_words(gate.metric, bool(report.labels)).name
    if gate.at_least is not None:
        return f"{name} of at least {words.metric_value(gate.metric, gate.at_least)}"
    return f"{name} of at most {words.metric_value(gate.metric, gate.at_most or 0.0)}"


def _manifest(report: Report) -> str:
    return yaml.safe_dump(report.spec, sort_keys=False, allow_unicode=True, width=100)
