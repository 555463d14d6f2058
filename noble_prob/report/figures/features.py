"""Feature panels: experiment, ensemble and PIT of one feature side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from noble_prob.report.panels import CoverageCurve, FeaturePanel, FiPanel
from noble_prob.report.plain import label
from noble_prob.report.svg import ENSEMBLE, EXPERIMENT, MUTED, RULE, drawing, tidy, to_svg

FEW = 12
"""Values of an ensemble up to which each is a tick of its own: a histogram of four values shows bins, not values."""
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
        left.set_yticks([])
        left.spines["left"].set_visible(density)
        for right in others:
            _draw_pit(right, pit)
        return to_svg(
            figure,
            f"{panel.name}: {len(observed)} observed values against {len(ensemble)} of the ensemble, "
            f"and their probability integral transform. {panel.verdict}",
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
    if high - low < 40 and np.array_equal(both, np.round(both)):  # counts: one bar each
        bins = (np.arange(low, high + 2) - 0.5).tolist()
    if 0 < len(ensemble) <= FEW:
        _ticks(axes, ensemble, 0.4, ms=26, mew=2.2, color=ENSEMBLE)
    elif len(ensemble):
        axes.hist(ensemble, bins=bins, density=True, color=ENSEMBLE, alpha=0.35, histtype="stepfilled")
    if len(observed) > MANY:
        axes.hist(observed, bins=bins, density=True, color=EXPERIMENT, histtype="step", lw=1.2)
    else:
        _ticks(axes, observed, 0.06, ms=13, mew=1.3, color=EXPERIMENT)
    axes.set_xlim(bins[0], bins[-1])


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
    """Response against current with the bands of the ensemble and the recorded points; bars at a single current."""
    current, points = np.asarray(panel.current_pa), np.asarray(panel.observed)
    single = np.unique(np.concatenate([current, points[:, 0]]))
    with drawing(4.2, 2.6, salt=salt) as figure:
        axes = figure.add_subplot()
        if len(np.unique(current)) == 1:
            _draw_bars(axes, panel)
        else:
            _draw_bands(axes, panel)
        if len(points):
            axes.plot(points[:, 0], points[:, 1], "o", ms=4, color=EXPERIMENT)
        tidy(axes, panel.xlabel, panel.ylabel, panel.title)
        if len(single) == 1:
            axes.set(xlim=(single[0] - 1, single[0] + 1), xticks=single)
        return to_svg(
            figure, f"{panel.ylabel} against {panel.xlabel}, {panel.title}; {panel.n_members or 'some'} members."
        )


def _draw_bands(axes: Axes, panel: FiPanel) -> None:
    """Median and bands over several currents."""
    for probability in sorted(panel.bands, reverse=True):
        low, high = (_by_current(panel, end) for end in panel.bands[probability])
        axes.fill_between(np.unique(panel.current_pa), low, high, color=ENSEMBLE, alpha=0.22, lw=0)
    axes.plot(np.unique(panel.current_pa), _by_current(panel, panel.median), color=ENSEMBLE)


def _draw_bars(axes: Axes, panel: FiPanel) -> None:
    """Median and intervals at a single current, where a band has no width: the narrower the interval the thicker."""
    current = np.unique(panel.current_pa)
    for k, probability in enumerate(sorted(panel.bands, reverse=True)):
        low, high = (_by_current(panel, end) for end in panel.bands[probability])
        axes.vlines(current, low, high, color=ENSEMBLE, alpha=0.45, lw=2.0 + 4.0 * k)
    axes.plot(current, _by_current(panel, panel.median), "_", color=ENSEMBLE, ms=16, mew=2.0)


def _by_current(panel: FiPanel, values: ArrayLike) -> NDArray[np.float64]:
    """Mean over the sweeps of each current, which are alike but for the chance of their draws."""
    _, at, n = np.unique(panel.current_pa, return_inverse=True, return_counts=True)
    return np.bincount(at, weights=np.asarray(values, dtype=float)) / n


def _finite(values: object) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=float)
    return array[np.isfinite(array)]
