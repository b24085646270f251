"""Plots of the data and of the answers: label balance, lengths, confusion, calibration."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from tunesmith_api.plan import LabelCount, Lengths
from tunesmith_trainer.report.document import BinReport
from tunesmith_trainer.report.svg import ACCENT, GRID, INK, MUTED, PAPER, WARM, figure, plotting, to_svg
from tunesmith_trainer.report.words import cut

MOST_BARS = 30
NAMED_CELLS = 30
COUNTED_CELLS = 12
MOST_CELLS = 80
SHADES = 8


def balance_plot(labels: tuple[LabelCount, ...]) -> str:
    """Training rows of each label, most frequent first; of many labels only both ends."""
    half = MOST_BARS // 2
    shown = labels if len(labels) <= MOST_BARS else (*labels[:half], *labels[-half:])
    places = [i + (len(shown) < len(labels) and i >= half) for i in range(len(shown))]
    with plotting():
        canvas, axes = figure(0.55 + 0.185 * (places[-1] + 1))
        bars = axes.barh(places, [label.train for label in shown], height=0.72, color=ACCENT, alpha=0.75)
        axes.bar_label(bars, [f"{label.train:,}" for label in shown], padding=3, color=MUTED, fontsize=8)
        axes.set_yticks(places, [cut(label.label, 26) for label in shown])
        if len(shown) < len(labels):
            axes.text(0, half, f" … {len(labels) - len(shown)} more labels …", va="center", fontsize=8, color=MUTED)
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set_ylim(places[-1] + 0.6, -0.6)
        axes.margins(x=0.12)
        axes.xaxis.set_visible(False)
        axes.grid(visible=False)
        axes.spines["bottom"].set_visible(False)
        return to_svg(canvas, "balance", "Training rows of each label")


def lengths_plot(train: Lengths, evaluation: Lengths | None, limit: int) -> str:
    """Tokens of a row: median, 95 %, 99 % and the longest, with the limit above which rows are cut."""
    rows = [("training", train), *([("evaluation", evaluation)] if evaluation else [])]
    with plotting():
        canvas, axes = figure(0.95 + 0.45 * len(rows))
        for place, (_, lengths) in enumerate(rows):
            spans = (
                (0, lengths.p50, 1.0),
                (lengths.p50, lengths.p95, 0.6),
                (lengths.p95, lengths.p99, 0.35),
                (lengths.p99, lengths.max, 0.15),
            )
            for start, end, strength in spans:
                axes.barh(place, end - start, left=start, height=0.5, color=ACCENT, alpha=strength, linewidth=0)
        longest = max(lengths.max for _, lengths in rows)
        axes.set_xlim(0, 1.08 * longest)
        if limit <= 1.08 * longest:
            axes.axvline(limit, color=WARM, linewidth=1.4)
            axes.text(limit, -0.55, f"cut at {limit:,} ", ha="right", va="bottom", color=WARM, fontsize=8)
        axes.set_yticks(range(len(rows)), [name for name, _ in rows])
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set_ylim(len(rows) - 0.5, -0.9)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_xlabel("tokens of a row")
        axes.grid(visible=False, axis="y")
        return to_svg(canvas, "lengths", "Tokens of a row: median, 95 %, 99 % and the longest")


def confusion_plot(confusion: NDArray[np.int64], labels: tuple[str, ...]) -> str:
    """Heat map of the confusion matrix: each row's shares, right answers in one hue and wrong ones in another."""
    named = len(labels) <= NAMED_CELLS
    cells, fold = _fold(confusion)
    side = len(cells) * (0.36 if len(cells) <= COUNTED_CELLS else 0.17)
    with plotting():
        canvas, axes = figure(2 + side, 2.2 + side) if named else figure(4.8)
        _paint(axes, cells / np.maximum(cells.sum(axis=1, keepdims=True), 1))
        axes.set_xlim(-0.5, len(cells) - 0.5)
        axes.set_ylim(len(cells) - 0.5, -0.5)
        axes.set_aspect("equal")
        axes.grid(visible=False)
        axes.set_xlabel("predicted label")
        axes.set_ylabel("true label")
        for spine in axes.spines.values():
            spine.set_visible(True)
        if named:
            _name_cells(axes, cells, labels)
        else:
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_locator(MaxNLocator(8, integer=True))
                axis.set_major_formatter(FuncFormatter(lambda cell, _: f"{max(cell, 0) * fold:.0f}"))
        return to_svg(canvas, "confusion", "Confusion matrix: true label against predicted label")


def reliability_plot(bins: tuple[BinReport, ...]) -> str:
    """How often the model was right by how certain it was; on the dashed line both are the same."""
    with plotting():
        canvas, axes = figure(3.2)
        axes.plot([0, 1], [0, 1], color=MUTED, linestyle=(0, (4, 3)), linewidth=1.1)
        axes.bar(
            [b.lower for b in bins],
            [b.accuracy for b in bins],
            width=[b.upper - b.lower for b in bins],
            align="edge",
            color=ACCENT,
            alpha=0.35,
        )
        most = max(b.rows for b in bins)
        axes.scatter(
            [b.confidence for b in bins], [b.accuracy for b in bins], s=[12 + 90 * b.rows / most for b in bins], color=ACCENT, zorder=3
        )
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.0f} %"))
        axes.set_xlim(0, 1.02)
        axes.set_ylim(0, 1.05)
        axes.set_xlabel("how certain the model was")
        axes.set_ylabel("how often it was right")
        return to_svg(canvas, "reliability", "How often the model was right by how certain it was")


def _fold(confusion: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """The matrix with so many neighbours added up that at most MOST_CELLS remain on a side."""
    fold = -(-len(confusion) // MOST_CELLS)
    starts = np.arange(0, len(confusion), fold)
    return np.add.reduceat(np.add.reduceat(confusion, starts, axis=0), starts, axis=1), fold


def _paint(axes: Axes, shares: NDArray[np.float64]) -> None:
    """One outline for all cells of a shade: the file stays small however many cells there are."""
    shade = np.ceil(np.sqrt(shares) * SHADES).astype(int)
    diagonal = np.eye(len(shares), dtype=bool)
    for hue, where in ((ACCENT, diagonal), (WARM, ~diagonal)):
        for level in range(1, SHADES + 1):
            rows, columns = np.nonzero((shade == level) & where)
            if len(rows):
                squares = [
                    Outline([(x - 0.5, y - 0.5), (x + 0.5, y - 0.5), (x + 0.5, y + 0.5), (x - 0.5, y + 0.5), (0, 0)], closed=True)
                    for y, x in zip(rows, columns, strict=True)
                ]
                axes.add_patch(
                    PathPatch(Outline.make_compound_path(*squares), facecolor=hue, alpha=0.1 + 0.9 * level / SHADES, linewidth=0)
                )


def _name_cells(axes: Axes, cells: NDArray[np.int64], labels: tuple[str, ...]) -> None:
    names = [cut(label, 24) for label in labels]
    axes.set_xticks(range(len(names)), names, rotation=90 if len(names) > 4 else 0)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(labelcolor=INK, labelsize=8 if len(names) > COUNTED_CELLS else 9)
    if len(names) <= COUNTED_CELLS:
        totals = np.maximum(cells.sum(axis=1), 1)
        for (y, x), count in np.ndenumerate(cells):
            if count:
                axes.text(x, y, f"{count:,}", ha="center", va="center", color=PAPER if count / totals[y] > 0.4 else INK)
    axes.spines["bottom"].set_color(GRID)
