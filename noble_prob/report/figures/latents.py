"""The posterior of every latent as an interval in units of its prior."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from noble_prob.findings.base import with_minus
from noble_prob.report.data import LatentRow
from noble_prob.report.svg import ENSEMBLE, PRIOR, RULE, TRUTH, drawing, to_svg


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
        axes.set_yticks(range(len(known)), [with_minus(row.words or row.name) for row in known])
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_ylim(len(known) - 0.5, -0.8)
        axes.set_xlabel("prior SDs from the prior mean")
        inside = [row.inside for row in known if row.inside is not None]
        truths = f" {sum(inside)} of {len(inside)} true values lie inside." if inside else ""
        return to_svg(
            figure, f"Posterior mean and 89 % interval of {len(known)} latents in prior standard deviations.{truths}"
        )


def _draw_interval(axes: Axes, y: int, row: LatentRow) -> None:
    def scaled(value: float) -> float:
        return (value - float(row.prior_mean or 0)) / float(row.prior_sd or 1)

    low, high = scaled(row.low), scaled(row.high)
    axes.plot([low, high], [y, y], color=ENSEMBLE, lw=1.6, solid_capstyle="butt")
    axes.vlines([low, high], y - 0.2, y + 0.2, color=ENSEMBLE, lw=0.9)
    axes.vlines(scaled(row.mean), y - 0.3, y + 0.3, color=ENSEMBLE, lw=1.8)
    if row.truth is not None:
        axes.plot(scaled(row.truth), y - 0.38, "v", color=TRUTH, ms=4.5, mec="none")
