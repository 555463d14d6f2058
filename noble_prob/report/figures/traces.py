"""Voltage overlays and rasters: what an electrophysiologist looks at first."""

from __future__ import annotations

import numpy as np

from noble_prob.report.panels import Overlay, Raster
from noble_prob.report.svg import ENSEMBLE, EXPERIMENT, MUTED, PALE, STIMULUS, drawing, thin, tidy, to_svg

FEW = 3
"""Repeats up to which recorded traces lie over the draws; more would cover them wholly."""


def draw_overlay(panel: Overlay, salt: str) -> str:
    """Recorded voltage over members of the ensemble."""
    time = np.asarray(panel.time_ms)
    members = np.asarray(panel.ensemble_mv)
    with drawing(4.6, 2.4, salt=salt) as figure:
        axes = figure.add_subplot()
        above = 3 if panel.observed_mv is not None and len(np.asarray(panel.observed_mv)) > FEW else 1
        for member in members:
            alpha = max(0.25, min(0.9, 3.0 / len(members)))
            axes.plot(*thin(time, member), color=ENSEMBLE, lw=0.7, alpha=alpha, zorder=above)
        fade = 1.0 if panel.observed_mv is None or len(np.asarray(panel.observed_mv)) < 2 else 0.45
        for trace in () if panel.observed_mv is None else np.asarray(panel.observed_mv):
            axes.plot(*thin(time, trace), color=EXPERIMENT, lw=0.9, alpha=fade, zorder=2)
        if panel.stimulus_ms:
            axes.plot(
                panel.stimulus_ms,
                [0.0, 0.0],
                transform=axes.get_xaxis_transform(),
                color=STIMULUS,
                lw=4,
                solid_capstyle="butt",
                clip_on=False,
            )
        axes.set_xlim(time[0], time[-1])
        tidy(axes, panel.xlabel, "voltage (mV)", panel.title)
        return to_svg(figure, _overlay_alt(panel))


def overlay_key(panel: Overlay) -> dict[str, str]:
    """Who is who, with n, by the colour's name in the page's style."""
    members = np.asarray(panel.ensemble_mv)
    total = f" of {panel.n_members}" if (panel.n_members or 0) > len(members) else ""
    drawn = f"{len(members)}{total} {panel.members}" if len(members) else ""
    seen = "" if panel.observed_mv is None else f"{len(np.asarray(panel.observed_mv))} recorded"
    return {colour: words for colour, words in (("experiment", seen), ("ensemble", drawn)) if words}


def overlay_caption(panel: Overlay) -> str:
    """The same in one line, with what else there is to say."""
    return ", ".join([*overlay_key(panel).values(), *([panel.note] if panel.note else [])])


def _overlay_alt(panel: Overlay) -> str:
    return f"Voltage in mV against {panel.xlabel}, {panel.title}: {overlay_caption(panel)}."


def draw_raster(panel: Raster, salt: str) -> str:
    """One row of ticks per repeat or member, groups one above the other."""
    rows = sum(len(trains) for trains in panel.groups.values())
    with drawing(9.4 if panel.wide else 4.6, min(4.5, 1.1 + 0.1 * rows), salt=salt) as figure:
        axes = figure.add_subplot()
        row, ticks = 0, []
        for (name, trains), colour in zip(panel.groups.items(), _colours(panel), strict=True):
            ticks.append((row + (len(trains) - 1) / 2, f"{name}\n({_rows(panel, name)})"))
            offsets = list(range(row, row + len(trains)))
            rows_ms = [np.asarray(t, dtype=float) for t in trains]
            axes.eventplot(rows_ms, lineoffsets=offsets, linelengths=0.8, linewidths=0.9, colors=colour)
            row += len(trains) + 1
        axes.set_yticks([y for y, _ in ticks], [label for _, label in ticks])
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set(xlim=panel.window_ms, ylim=(row - 1, -1))
        axes.set_xlabel(panel.xlabel)
        axes.set_title(panel.title)
        sizes = ", ".join(f"{name}, {_rows(panel, name)}" for name in panel.groups)
        return to_svg(figure, f"Spike raster, {panel.xlabel}, {panel.title}: {sizes}.")


def _rows(panel: Raster, name: str) -> str:
    """How many rows a group has: ``n = 4``, ``16 of 1200``."""
    n = len(panel.groups[name])
    whole = panel.total if name == list(panel.groups)[-1] else None
    return f"{n} of {whole}" if (whole or 0) > n else f"n = {n}"


def _colours(panel: Raster) -> list[str]:
    """What was recorded in the colour of experiments; where nothing was, a full and a pale tone of the ensemble's."""
    n = len(panel.groups)
    return ([EXPERIMENT, ENSEMBLE] if panel.recorded else [ENSEMBLE, PALE])[:n] + [MUTED] * (n - 2)
