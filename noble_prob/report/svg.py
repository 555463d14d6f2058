"""Matplotlib figures as inline SVG that takes its colours from the page.

A figure is drawn once, in placeholder colours; each placeholder becomes a CSS variable, so the same drawing is right in
light, in dark and in print. Text stays text (searchable, scalable, read aloud). Coordinates are rounded to a tenth of a
point, identifiers that nothing refers to are dropped: a page with twenty panels stays far below 5 MB.

Matplotlib is used through its objects, without pyplot and without touching the global style.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

INK, MUTED, RULE, PAPER = "#010101", "#020202", "#030303", "#0a0a0a"
EXPERIMENT, ENSEMBLE, PRIOR, TRUTH, STIMULUS = "#040404", "#050505", "#060606", "#070707", "#080808"
PALE = "#090909"
_VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    RULE: "rule",
    PAPER: "paper",
    EXPERIMENT: "experiment",
    ENSEMBLE: "ensemble",
    PRIOR: "prior",
    TRUTH: "truth",
    STIMULUS: "stimulus",
    PALE: "pale",
}
_STYLE: Any = {
    "svg.fonttype": "none",
    "font.size": 10.0,
    "font.family": "sans-serif",
    "path.simplify": True,
    "path.simplify_threshold": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.8,
    "ytick.major.width": 0.8,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10.0,
    "xtick.labelsize": 9.0,
    "ytick.labelsize": 9.0,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "lines.linewidth": 1.2,
    "axes.titlepad": 8.0,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "axes.unicode_minus": True,
}
_NUMBER = re.compile(r"-?\d+\.\d{2,}")
_TAG = re.compile(r"<[^>]+>")
_ID = re.compile(r'\sid="([^"]+)"')


@contextmanager
def drawing(width_in: float = 4.2, height_in: float = 2.5, *, salt: str) -> Iterator[Figure]:
    """A figure in the page's style; inside the block matplotlib's settings are the report's.

    Args:
        width_in: Width (inch); 4.2 is one column, which is readable on a phone.
        height_in: Height (inch).
        salt: Unique name of the figure on its page: makes its internal identifiers unique and reproducible.
    """
    with mpl.rc_context(_STYLE | {"svg.hashsalt": salt}):
        figure = Figure(figsize=(width_in, height_in), layout="constrained")
        FigureCanvasSVG(figure)
        yield figure


def to_svg(figure: Figure, alt: str) -> str:
    """Inline SVG with a title for screen readers.

    Args:
        figure: Drawn inside :func:`drawing`.
        alt: What the figure shows, in one or two sentences.

    Returns:
        One ``<svg>`` element.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    text = re.sub(r"<!--.*?-->\n?", "", text, flags=re.S)
    text = _TAG.sub(lambda tag: _NUMBER.sub(_tenth, tag.group()), text)  # coordinates only: labels keep their digits
    for colour, name in _VARIABLES.items():
        text = text.replace(colour, f"var(--{name})")
    used = set(re.findall(r"#([\w-]+)", text))
    text = _ID.sub(lambda m: m.group() if m.group(1) in used else "", text)
    text = text.replace("'DejaVu Sans', 'Bitstream Vera Sans'", "system-ui").replace("\n   ", " ")
    label = html.escape(alt, quote=True)
    opening, rest = text.split(">", 1)
    opening = re.sub(r'\s(width|height)="[^"]*pt"', "", opening)
    opening = opening.replace(' xmlns:xlink="http://www.w3.org/1999/xlink"', "").replace(
        ' xmlns="http://www.w3.org/2000/svg"', ""
    )
    return f'{opening} role="img" aria-label="{label}"><title>{label}</title>{rest}'.replace("xlink:href", "href")


def _tenth(number: re.Match[str]) -> str:
    return f"{float(number.group()):.1f}".removesuffix(".0")


def dots(
    axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], *, color: str, size: float, alpha: float = 1.0
) -> None:
    """Many round dots as one path of zero-length strokes: a fifth of the bytes of as many markers."""
    shown = np.isfinite(x) & np.isfinite(y)
    vertices = np.repeat(np.column_stack([x[shown], y[shown]]), 2, axis=0)
    codes = np.tile(np.array([Path.MOVETO, Path.LINETO], dtype=np.uint8), int(shown.sum()))
    path = Path(vertices, codes)
    path.should_simplify = False
    patch = PathPatch(path, fill=False, ec=color, lw=size, alpha=alpha, capstyle="round")
    axes.add_patch(patch)
    axes.autoscale_view()


def tidy(axes: Axes, xlabel: str = "", ylabel: str = "", title: str = "") -> None:
    """Label an axis pair and set few, round ticks."""
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    if title:
        axes.set_title(title)
    axes.locator_params(nbins=5)


def scale(axis: Axis, ends: tuple[float, float]) -> None:
    """A logarithmic axis with some three plain numbers, at powers of ten where it is that long.

    Args:
        axis: Of a pair of axes.
        ends: Its lower and upper end.
    """
    axis.axes.set_xscale("log") if axis.axis_name == "x" else axis.axes.set_yscale("log")  # type: ignore[attr-defined]
    ratio = ends[1] / ends[0]
    by_ratio = LogLocator(numticks=4) if ratio > 20 else LogLocator(subs=(1, 2, 5))
    axis.set_major_locator(by_ratio if ratio > 4 else MaxNLocator(3))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def thin(time: NDArray[np.float64], voltage: NDArray[np.float64], bins: int = 450) -> tuple[NDArray, NDArray]:
    """Lowest and highest sample of each of ``bins`` stretches, in order: no spike is lost, few points are drawn.

    Args:
        time: Shape ``(time,)``.
        voltage: Shape ``(time,)``.
        bins: Stretches; a trace no longer than four times this is returned whole.

    Returns:
        Time and voltage of the kept samples.
    """
    if len(time) <= 4 * bins:
        return time, voltage
    edges = np.linspace(0, len(time), bins + 1).astype(int)
    kept: list[int] = [0]
    for a, b in pairwise(edges):
        piece = voltage[a:b]
        if not np.isnan(piece).all():
            kept += sorted({a + int(np.nanargmin(piece)), a + int(np.nanargmax(piece))})
    index = np.unique([*kept, len(time) - 1])
    return time[index], voltage[index]
