"""Every pair of latents as clouds, and each latent alone on the diagonal.

All axes about a latent end at the same values, and its histograms share their bins: a narrow posterior looks narrow
beside its prior.
"""

from __future__ import annotations

import math
import re
import textwrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from noble_prob.findings.base import with_minus
from noble_prob.report.panels import PairPlot
from noble_prob.report.plain import label
from noble_prob.report.svg import ENSEMBLE, EXPERIMENT, MUTED, PRIOR, TRUTH, dots, drawing, scale, to_svg

MOST_POINTS = 150
"""Draws drawn of each cloud."""
FINE, COARSE = 36, 3
"""Bins of a latent, and how many of them make one of the outline of the population, which is small."""
TAIL = 0.005
"""Share of a cloud of more than :data:`MOST_POINTS` that may lie beyond each end of an axis."""
FEW = 100
"""Draws up to which their dots are large."""
LINE = 14
"""Characters of a line of an axis label."""


def draw_pairs(panel: PairPlot, salt: str, max_points: int = MOST_POINTS) -> str:
    """Scatter of every pair below the diagonal, histograms of equal height on it.

    Args:
        panel: The draws.
        salt: Unique name on the page.
        max_points: Evenly spaced draws drawn per cloud, at most.
    """
    n = len(panel.names)
    ends = [span(panel, k) for k in range(n)]
    with drawing(1.25 * n + 0.6, 1.25 * n + 0.6, salt=salt) as figure:
        grid = figure.subplots(n, n, squeeze=False)
        for i in range(n):
            for j in range(n):
                if j > i:
                    grid[i, j].set_visible(False)
                    continue
                if i == j:
                    _draw_diagonal(grid[i, i], panel, i, ends[i])
                else:
                    _draw_pair(grid[i, j], panel, i, j, max_points)
                    _scale(grid[i, j].yaxis, panel.log[i], ends[i])
                    grid[i, j].set_ylim(ends[i])
                _scale(grid[i, j].xaxis, panel.log[j], ends[j])
                grid[i, j].set_xlim(ends[j])
                _label(grid[i, j], panel, i, j)
        return to_svg(figure, f"Pairs of {', '.join(panel.names)}: {', '.join(filter(None, panel.labels))}.")


def span(panel: PairPlot, k: int) -> tuple[float, float]:
    """Ends of every axis about one latent: they hold 99 % of each large cloud, all of a small one, and the truth.

    Args:
        panel: The draws.
        k: Which latent.

    Returns:
        Lower and upper end, in the latent's unit.
    """
    log = panel.log[k]
    ends: list[float] = []
    for points, *_ in _clouds(panel):
        column = points[np.isfinite(points[:, k]), k]
        beyond = TAIL if len(column) > MOST_POINTS else 0.0
        ends += np.quantile(column, [beyond, 1 - beyond]).tolist() if len(column) else []
    if panel.truth is not None:
        ends += [t for t in [float(np.asarray(panel.truth)[k])] if np.isfinite(t)]
    if log:
        ends = [math.log(end) for end in ends if end > 0]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    pad = 0.04 * (high - low) or 0.5
    return (math.exp(low - pad), math.exp(high + pad)) if log else (low - pad, high + pad)


def thinned(points: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """Evenly spaced rows, never more than ``most``.

    Args:
        points: Shape ``(row, latent)``.
        most: How many rows may be left.
    """
    return points[:: max(1, -(-len(points) // most))]


def _clouds(panel: PairPlot) -> list[tuple[NDArray[np.float64], str, float, float]]:
    """Points, colour, size and opacity of each cloud, back to front."""
    few = len(np.asarray(panel.posterior)) < FEW
    parts = [
        (panel.prior, PRIOR, 2.0, 0.55),
        (panel.population, _outlined(panel), 2.6, 0.8),
        (panel.posterior, ENSEMBLE, *((3.6, 0.9) if few else (1.8, 0.5))),
    ]
    return [(np.asarray(p), c, s, a) for p, c, s, a in parts if p is not None and len(np.asarray(p))]


def _outlined(panel: PairPlot) -> str:
    """Colour of the population, whose histograms are outlines."""
    return EXPERIMENT if panel.measured else MUTED


def _draw_pair(axes: Axes, panel: PairPlot, i: int, j: int, max_points: int) -> None:
    for points, colour, size, alpha in _clouds(panel):
        kept = thinned(points, max_points)
        dots(axes, kept[:, j], kept[:, i], color=colour, size=size, alpha=alpha)
    if panel.truth is not None:
        truth = np.asarray(panel.truth)
        _mark(axes, truth[j], truth[i])


def _mark(axes: Axes, x: float, y: float) -> None:
    """The truth, open so that what lies there stays visible."""
    axes.plot(x, y, "D", mfc="none", mec=TRUTH, mew=1.2, ms=5.5)


def _draw_diagonal(axes: Axes, panel: PairPlot, i: int, ends: tuple[float, float]) -> None:
    edges = np.geomspace(*ends, FINE + 1) if panel.log[i] else np.linspace(*ends, FINE + 1)
    for points, colour, *_ in _clouds(panel):
        outline = colour == _outlined(panel)
        height, bins = np.histogram(points[np.isfinite(points[:, i]), i], bins=edges[:: COARSE if outline else 1])
        axes.stairs(
            height / max(height.max(), 1),
            bins,
            fill=not outline,
            color=colour,
            alpha={PRIOR: 0.4, ENSEMBLE: 0.6}.get(colour, 1.0),
            lw=1.0 if outline else 0,
        )
    if panel.truth is not None:
        _mark(axes, float(np.asarray(panel.truth)[i]), 1.14)
    axes.set(ylim=(0, 1.3), yticks=[])
    axes.spines["left"].set_visible(False)


def _label(axes: Axes, panel: PairPlot, i: int, j: int) -> None:
    """Tick labels and names at the left and the lower edge of the whole only."""
    axes.tick_params(labelsize=7)
    if i == len(panel.names) - 1:
        axes.set_xlabel(_lines(panel, j), fontsize=7.5)
    else:
        axes.set_xticklabels([])
    if j == 0 and i > 0:
        axes.set_ylabel(_lines(panel, i), fontsize=7.5)
    elif j > 0:
        axes.set_yticklabels([])


def _scale(axis: Axis, log: bool, ends: tuple[float, float]) -> None:
    """About three ticks."""
    if log:
        scale(axis, ends)
    else:
        axis.set_major_locator(MaxNLocator(3))


def _lines(panel: PairPlot, k: int) -> str:
    """A latent's name and unit in lines short enough for one panel."""
    words = re.sub(r"(\d) (?=pA|ms)", "\\1\N{NO-BREAK SPACE}", with_minus(label(panel.names[k], panel.units[k])))
    return "\n".join(textwrap.wrap(words, LINE))
