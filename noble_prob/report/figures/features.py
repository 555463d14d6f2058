"""Feature panels: experiment, ensemble and PIT of one feature side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from noble_prob.findings.base import with_minus
from noble_prob.report.panels import CoverageCurve, FeaturePanel, FiPanel
from noble_prob.report.plain import label, number
from noble_prob.report.svg import ENSEMBLE, EXPERIMENT, MUTED, RULE, drawing, scale, tidy, to_svg

FEW = 12
"""Values of an ensemble up to which each is a tick of its own: a histogram of four values shows bins, not values."""
FAR = 30.0
"""Distance of neighbouring currents (pA) beyond which nothing joins them: what lies between was not asked."""
MANY = 40
"""Observed values from which on they are an outline and not ticks."""


def draw_feature(panel: FeaturePanel, salt: str) -> str:
    """Density of the ensemble with the observations as ticks, and the PIT histogram beside it."""
    ensemble, observed, pit = (_finite(getattr(panel, key)) for key in ("ensemble", "observed", "pit"))
    with drawing(4.6, 2.1, salt=salt) as figure:
        left, *others = figure.subplots(1, 2, width_ratios=(2.2, 1.0)) if len(pit) else [figure.subplots()]
        _draw_values(left, ensemble, observed)
        density = len(ensemble) > FEW or len(observed) > MANY
        tidy(left, label(panel.name, panel.unit), "density" if density else "")
        if _counts(np.concatenate([ensemble, observed])):
            left.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        left.set_yticks([])
        left.spines["left"].set_visible(density)
        for right in others:
            _draw_pit(right, pit)
        return to_svg(
            figure,
            f"{label(panel.name, panel.unit)}: {len(observed)} observed values against {len(ensemble)} of the "
            f"ensemble, and their probability integral transform. {panel.verdict}",
        )


def _draw_values(axes: Axes, ensemble: NDArray[np.float64], observed: NDArray[np.float64]) -> None:
    both = np.concatenate([ensemble, observed])
    if not len(both):
        axes.text(0.5, 0.5, "undefined", ha="center", va="center", transform=axes.transAxes, color=MUTED)
        axes.set_xticks([])
        return
    low, high = np.quantile(both, [0.002, 0.998]) if len(both) > 50 else (both.min(), both.max())
    low, high = min(low, observed.min(initial=low)), max(high, observed.max(initial=high))
    pad = 0.06 * (high - low) or 0.5
    bins = np.linspace(low - pad, high + pad, 31).tolist()
    if high - low < 40 and _counts(both):  # one bar each
        room = 2 if high == low else 0  # a constant would fill the panel
        bins = (np.arange(low - room, high + room + 2) - 0.5).tolist()
    if 0 < len(ensemble) <= FEW:
        _ticks(axes, ensemble, 0.4, ms=26, mew=2.2, color=ENSEMBLE)
    elif len(ensemble):
        axes.hist(ensemble, bins=bins, density=True, color=ENSEMBLE, alpha=0.35, histtype="stepfilled")
    if len(observed) > MANY:
        axes.hist(observed, bins=bins, density=True, color=EXPERIMENT, histtype="step", lw=1.2)
    else:
        _ticks(axes, observed, 0.06, ms=13, mew=1.3, color=EXPERIMENT)
    axes.set_xlim(bins[0], bins[-1])


def _counts(values: NDArray[np.float64]) -> bool:
    """Whether all are whole numbers."""
    return len(values) > 0 and np.array_equal(values, np.round(values))


def _ticks(axes: Axes, values: NDArray[np.float64], height: float, **look: Any) -> None:
    """A vertical tick per value, all at one height of the panel (0 to 1)."""
    axes.plot(values, np.full(len(values), height), "|", transform=axes.get_xaxis_transform(), **look)


def _draw_pit(axes: Axes, pit: NDArray[np.float64]) -> None:
    n = 10 if len(pit) >= 40 else 5
    if len(pit):
        axes.hist(pit, bins=[k / n for k in range(n + 1)], color=EXPERIMENT, alpha=0.55, rwidth=0.9)
        axes.axhline(len(pit) / n, color=MUTED, lw=1, ls=(0, (3, 2)))
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1], ["0", "½", "1"])
    axes.locator_params(axis="y", nbins=3, integer=True)
    axes.set_xlabel(f"PIT (n = {len(pit)})")
    axes.set_ylabel("count")


def draw_coverage(panel: CoverageCurve, salt: str) -> str:
    """Observed against nominal coverage, with the simultaneous band of a calibrated ensemble."""
    nominal, observed = np.asarray(panel.nominal), np.asarray(panel.observed)
    with drawing(4.2, 2.6, salt=salt) as figure:
        axes = figure.add_subplot()
        axes.fill_between(nominal, np.asarray(panel.low), np.asarray(panel.high), color=RULE, alpha=0.8, lw=0)
        axes.plot([0, 1], [0, 1], color=MUTED, lw=0.8, ls=(0, (3, 2)))
        axes.step(nominal, observed, where="mid", color=ENSEMBLE, lw=1.8)
        axes.set(xlim=(0, 1), ylim=(0, 1))
        tidy(axes, "nominal coverage", "observed coverage", panel.title)
        return to_svg(figure, f"Coverage curve, {panel.title}, n = {panel.n}, with the {100 * panel.band:.0f} % band.")


def draw_fi(panel: FiPanel, salt: str) -> str:
    """Response against current with the ensemble's bands and the recorded points; bars where currents lie far apart."""
    current, points = np.unique(panel.current_pa), np.asarray(panel.observed)
    single = np.unique(np.concatenate([current, points[:, 0]]))
    with drawing(4.2, 2.6, salt=salt) as figure:
        axes = figure.add_subplot()
        joined = len(current) > 1 and np.diff(current).max() <= FAR
        (_draw_bands if joined else _draw_bars)(axes, panel)
        if len(points):
            axes.plot(points[:, 0], points[:, 1], "o", ms=4, color=EXPERIMENT, zorder=4)
        tidy(axes, panel.xlabel, panel.ylabel, panel.title)
        if panel.log:
            axes.set_yscale("log")
            scale(axes.yaxis, axes.get_ylim())
        if len(single) == 1:
            axes.set(xlim=(single[0] - 1, single[0] + 1), xticks=single)
        return to_svg(figure, f"{panel.ylabel} against {panel.xlabel}: {_result(panel)}.")


def _result(panel: FiPanel) -> str:
    """What a curve shows, in words: how the median goes, and how many recorded points lie in the widest band."""
    current, median = np.unique(panel.current_pa), _by_current(panel, panel.median)
    ends = f"{number(float(median[0]))} at {current[0]:.0f}"
    if len(current) > 1:
        ends += f" to {number(float(median[-1]))} at {current[-1]:.0f}"
    told = f"median of {panel.n_members or 'the'} {panel.members} {with_minus(ends)}"
    points = np.asarray(panel.observed)
    known = points[np.isin(points[:, 0], current)]
    if not len(known) or not panel.bands:
        return told
    at, widest = np.searchsorted(current, known[:, 0]), panel.bands[max(panel.bands)]
    low, high = (_by_current(panel, end)[at] for end in widest)
    inside = int(((known[:, 1] >= low) & (known[:, 1] <= high)).sum())
    return f"{told}; {inside} of {len(known)} recorded points in the {100 * max(panel.bands):.0f} % band"


def _draw_bands(axes: Axes, panel: FiPanel) -> None:
    """Median and bands over currents near each other."""
    current = np.unique(panel.current_pa)
    for probability in sorted(panel.bands, reverse=True):
        low, high = (_by_current(panel, end) for end in panel.bands[probability])
        axes.fill_between(current, low, high, color=ENSEMBLE, alpha=0.22, lw=0)
    axes.plot(current, _by_current(panel, panel.median), color=ENSEMBLE)


def _draw_bars(axes: Axes, panel: FiPanel) -> None:
    """Median and intervals at each current: the narrower the interval the thicker."""
    current = np.unique(panel.current_pa)
    for k, probability in enumerate(sorted(panel.bands, reverse=True)):
        low, high = (_by_current(panel, end) for end in panel.bands[probability])
        axes.vlines(current, low, high, color=ENSEMBLE, alpha=0.45, lw=2.0 + 4.0 * k)
    axes.plot(current, _by_current(panel, panel.median), "_", color=ENSEMBLE, ms=10, mew=2.0)


def _by_current(panel: FiPanel, values: ArrayLike) -> NDArray[np.float64]:
    """Mean over the sweeps of each current, which are alike but for the chance of their draws."""
    _, at, n = np.unique(panel.current_pa, return_inverse=True, return_counts=True)
    return np.bincount(at, weights=np.asarray(values, dtype=float)) / n


def _finite(values: object) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=float)
    return array[np.isfinite(array)]
