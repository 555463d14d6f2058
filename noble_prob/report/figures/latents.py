"""The posterior of the latents: intervals against prior, and pairs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from noble_prob.report.data import LatentRow
from noble_prob.report.panels import PairPlot
from noble_prob.report.svg import ENSEMBLE, MUTED, PRIOR, RULE, TRUTH, dots, drawing, to_svg


def draw_intervals(rows: Sequence[LatentRow], salt: str) -> str:
    """Every latent's posterior interval in units of the prior's SD from the prior's mean; empty without a prior."""
    known = [row for row in rows if row.prior_mean is not None and row.prior_sd]
    if not known:
        return ""
    with drawing(6.4, 0.8 + 0.27 * len(known), salt=salt) as figure:
        axes = figure.add_subplot()
        axes.axvspan(-1.6, 1.6, color=PRIOR, alpha=0.16, lw=0)
        axes.axvline(0, color=RULE, lw=1)
        for y, row in enumerate(known):
            _draw_interval(axes, y, row)
        axes.set_yticks(range(len(known)), [row.name for row in known])
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_ylim(len(known) - 0.5, -0.5)
        axes.set_xlabel("prior SDs from the prior mean")
        return to_svg(figure, f"Posterior mean and 89 % interval of {len(known)} latents in prior standard deviations.")


def _draw_interval(axes: Axes, y: int, row: LatentRow) -> None:
    def scaled(value: float) -> float:
        return (value - float(row.prior_mean or 0)) / float(row.prior_sd or 1)

    axes.plot([scaled(row.low), scaled(row.high)], [y, y], color=ENSEMBLE, lw=3, solid_capstyle="round")
    axes.plot(scaled(row.mean), y, "o", color=ENSEMBLE, ms=6)
    if row.truth is not None:
        axes.plot(scaled(row.truth), y, "D", color=TRUTH, ms=5)


def draw_pairs(panel: PairPlot, salt: str, max_points: int = 150) -> str:
    """Scatter of every pair below the diagonal, histograms of equal height on it.

    Args:
        panel: The draws.
        salt: Unique name on the page.
        max_points: Evenly spaced draws drawn per cloud.
    """
    n = len(panel.names)
    with drawing(1.25 * n + 0.6, 1.25 * n + 0.4, salt=salt) as figure:
        grid = figure.subplots(n, n, squeeze=False)
        for i in range(n):
            for j in range(n):
                if j > i:
                    grid[i, j].set_visible(False)
                elif i == j:
                    _draw_diagonal(grid[i, i], panel, i)
                else:
                    _draw_pair(grid[i, j], panel, i, j, max_points)
                _label(grid[i, j], panel, i, j)
        return to_svg(figure, f"Pairs of {', '.join(panel.names)}: {', '.join(filter(None, panel.labels))}.")


def _clouds(panel: PairPlot) -> list[tuple[np.ndarray, str, float, float]]:
    """Points, colour, size and opacity of each cloud, back to front."""
    parts = [
        (panel.prior, PRIOR, 2.0, 0.55),
        (panel.population, MUTED, 2.6, 0.8),
        (panel.posterior, ENSEMBLE, 1.8, 0.5),
    ]
    return [(np.asarray(p), c, s, a) for p, c, s, a in parts if p is not None and len(np.asarray(p))]


def _draw_pair(axes: Axes, panel: PairPlot, i: int, j: int, max_points: int) -> None:
    for points, colour, size, alpha in _clouds(panel):
        kept = points[:: max(1, len(points) // max_points)]
        dots(axes, kept[:, j], kept[:, i], color=colour, size=size, alpha=alpha)
    if panel.truth is not None:
        truth = np.asarray(panel.truth)
        axes.plot(truth[j], truth[i], "D", color=TRUTH, ms=4)


def _draw_diagonal(axes: Axes, panel: PairPlot, i: int) -> None:
    for points, colour, _, _ in _clouds(panel):
        if colour != MUTED:
            height, edges = np.histogram(points[np.isfinite(points[:, i]), i], bins=24)
            axes.stairs(height / max(height.max(), 1), edges, fill=True, color=colour, alpha=0.4)
    if panel.truth is not None:
        axes.axvline(float(np.asarray(panel.truth)[i]), color=TRUTH, lw=1.2)
    axes.set_yticks([])


def _label(axes: Axes, panel: PairPlot, i: int, j: int) -> None:
    axes.tick_params(labelsize=7)
    axes.locator_params(axis="x", nbins=3)
    if i != j:
        axes.locator_params(axis="y", nbins=3)
    labels = [f"{name}\n({unit})" if unit else name for name, unit in zip(panel.names, panel.units, strict=True)]
    if i == len(panel.names) - 1:
        axes.set_xlabel(labels[j], fontsize=7.5)
    else:
        axes.set_xticklabels([])
    if j == 0 and i > 0:
        axes.set_ylabel(labels[i], fontsize=7.5)
    elif j > 0:
        axes.set_yticklabels([])
