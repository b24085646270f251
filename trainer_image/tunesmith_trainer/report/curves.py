"""Plots of the course of training."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tunesmith_trainer.report.document import Curves
from tunesmith_trainer.report.svg import ACCENT, GRID, MUTED, WARM, figure, plotting, to_svg
from tunesmith_trainer.report.words import metric_value, metric_words

MOST_POINTS = 400
Points = Sequence[tuple[int, float]]


def thin(points: Points, most: int = MOST_POINTS) -> Points:
    """At most so many points, evenly spread, the last one always among them."""
    stride = -(-len(points) // most) if points else 1
    return [*points[:-1][::stride], *points[-1:]]


def smooth(points: Points) -> Points:
    """Exponential moving average over about a twenty-fifth of the points, free of bias at the start."""
    keep, weight, mean = 1 - 2 / (2 + len(points) / 25), 0.0, 0.0
    smoothed = []
    for step, value in points:
        weight, mean = keep * weight + 1 - keep, keep * mean + (1 - keep) * value
        smoothed.append((step, mean / weight))
    return smoothed


def loss_plot(curves: Curves, classification: bool) -> str:
    """Loss by step: every step pale, smoothed bold; where the unit is the same, that of the evaluation rows; the learning rate below."""
    evaluations = [(e.step, e.metrics["loss"]) for e in curves.evaluations if classification and "loss" in e.metrics]
    with plotting():
        canvas = Figure(figsize=(5, 3.4), layout="constrained")
        axes, below = canvas.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        axes.plot(*_xy(thin(curves.loss)), color=ACCENT, alpha=0.28, linewidth=0.9)
        axes.plot(*_xy(thin(smooth(curves.loss))), color=ACCENT, label="training rows (smoothed)")
        if evaluations:
            axes.plot(*_xy(evaluations), color=WARM, marker="o", markersize=3.5, label="evaluation rows")
        axes.set_ylim(bottom=0)
        axes.legend(loc="upper right")
        axes.grid(visible=False, axis="x")
        _learning_rate(below, curves.learning_rate)
        return to_svg(canvas, "loss", "Loss, and below it the learning rate, by optimizer step")


def _learning_rate(axes: Axes, points: Points) -> None:
    axes.plot(*_xy(thin(points)), color=MUTED, linewidth=1.2)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(2))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:.2g}"))
    axes.set_title("learning rate", loc="left", color=MUTED, fontsize=8.5)
    _steps(axes)


def metric_plot(curves: Curves, metric: str, baseline: float | None, classification: bool) -> str:
    """A metric of the evaluation rows by step, the state that was kept marked, the baseline dashed."""
    points = [(e.step, e.metrics[metric]) for e in curves.evaluations if metric in e.metrics]
    best = [(e.step, e.metrics[metric]) for e in curves.evaluations if e.best and metric in e.metrics][-1:]
    with plotting():
        canvas, axes = figure(3.4)
        axes.plot(*_xy(points), color=ACCENT, marker="o", markersize=3.5)
        if baseline is not None:
            axes.axhline(baseline, color=MUTED, linestyle=(0, (4, 3)), linewidth=1.1, label=f"baseline {metric_value(metric, baseline)}")
        for step, value in best:
            axes.plot(
                [step],
                [value],
                "o",
                color=WARM,
                markersize=8,
                markerfacecolor="none",
                markeredgewidth=2,
                label=f"kept: {metric_value(metric, value)}",
            )
        if metric_words(metric, classification).percent:
            axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))
        axes.margins(y=0.12)
        if metric in {"accuracy", "macroF1", "calibrationError"}:
            low, high = axes.get_ylim()
            axes.set_ylim(max(low, 0), min(high, 1.02))
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="best")
        _steps(axes)
        return to_svg(canvas, "metric", f"{metric_words(metric, classification).name} of the evaluation rows by optimizer step")


def _xy(points: Points) -> tuple[list[int], list[float]]:
    return [step for step, _ in points], [value for _, value in points]


def _steps(axes: Axes) -> None:
    axes.set_xlabel("optimizer step")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))
    axes.grid(visible=False, axis="x")
    axes.spines["bottom"].set_color(GRID)
