"""Matplotlib figures as small, safe, deterministic SVG that takes its colours and fonts from the page."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from xml.etree import ElementTree

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tunesmith_trainer.report.words import printable

INK, MUTED, GRID, ACCENT, WARM, PAPER = "#0a0a01", "#0a0a02", "#0a0a03", "#0a0a04", "#0a0a05", "#0a0a06"
"""Stand-ins that the SVG replaces by the page's variables, so that plots follow its light or dark scheme."""
_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--line)",
    ACCENT: "var(--accent)",
    WARM: "var(--warm)",
    PAPER: "var(--card)",
}
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "tunesmith",
    "text.parse_math": False,
    "axes.unicode_minus": True,
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": GRID,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "ytick.left": False,
    "xtick.bottom": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "lines.linewidth": 1.6,
}
_SVG, _XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"


@contextmanager
def plotting() -> Iterator[None]:
    """The style in which figures are made and drawn."""
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # The page's fonts draw the text; matplotlib only measures it, and a glyph it lacks does not matter.
        warnings.filterwarnings("ignore", message="Glyph")
        yield


def figure(height: float, width: float = 5) -> tuple[Figure, Axes]:
    """An empty figure, in inches; 5 wide is legible on a phone."""
    canvas = Figure(figsize=(width, height), layout="constrained")
    return canvas, canvas.add_subplot()


def to_svg(canvas: Figure, name: str, description: str) -> str:
    """The figure as an inline <svg>; the name keeps its ids apart from those of other figures of the page."""
    buffer = io.BytesIO()
    canvas.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    root = ElementTree.fromstring(buffer.getvalue())  # noqa: S314  our own output, not foreign XML
    _prune(root)
    _rename_ids(root, name)
    for element in root.iter():
        _lighten(element)
    box = root.get("viewBox", "")
    root.attrib = {"viewBox": box, "style": _bounds(float(box.split()[2])), "role": "img", "aria-label": printable(description)}
    return ElementTree.tostring(root, encoding="unicode")


def _bounds(width: float) -> str:
    """Widths between which the plot's texts are legible; what is wider than a phone scrolls."""
    return f"max-width:{1.5 * width:.0f}px" + (f";min-width:{1.1 * width:.0f}px" if width > 400 else "")


def _prune(root: ElementTree.Element) -> None:
    """Drop what a page has no use for: metadata, and a style sheet that would leak into it."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in {f"{_SVG}metadata", f"{_SVG}style"}:
                parent.remove(child)


def _rename_ids(root: ElementTree.Element, name: str) -> None:
    used = {e.get(f"{_XLINK}href", "")[1:] for e in root.iter()} | {e.get("clip-path", "")[5:-1] for e in root.iter()}
    for element in root.iter():
        identity, target, clip = element.get("id"), element.get(f"{_XLINK}href"), element.get("clip-path")
        if identity in used:
            element.set("id", f"{name}-{identity}")
        elif identity:
            del element.attrib["id"]
        if target:
            del element.attrib[f"{_XLINK}href"]
            element.set("href", f"#{name}-{target[1:]}")
        if clip:
            element.set("clip-path", f"url(#{name}-{clip[5:-1]})")


def _lighten(element: ElementTree.Element) -> None:
    """Fewer digits in paths, the page's colours and fonts in styles; no namespaces, which HTML does not need, and no white space."""
    if path := element.get("d"):
        element.set("d", re.sub(r"\s+", " ", re.sub(r"\d+\.\d+", lambda m: f"{float(m[0]):.1f}", path)).strip())
    if style := element.get("style"):
        style = re.sub(r"font-family: [^;]*(; )?", "", style)
        element.set("style", re.sub(r"#0a0a0\d", lambda m: _VARIABLES[m[0]], style))
    element.tag = element.tag.removeprefix(_SVG)
    if element.tag != "text":
        element.text = None
    element.tail = None
