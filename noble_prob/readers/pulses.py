"""The pulses of a sweep family: which levels are the stimulus, and which are not.

One sweep alone can not tell a test pulse from a prepulse, or show where a pulse of 0 pA begins. The family can:
sweeps of one protocol share their timing, and the level that *varies* over the sweeps is the stimulus. So:

1. levels are fitted to every sweep (:mod:`noble_prob.readers.levels`) and their edges pooled;
2. a stretch whose level varies between sweeps is a test stretch; if none varies (repeats, a single sweep) every stretch
   away from the holding current is one;
3. a *slot* is a test stretch that a majority shares; each sweep gets one pulse per slot, of 0 pA if it is silent there;
4. a constant level that stays away from holding is a prepulse or a test pulse of the amplifier: it is no pulse, but a
   pulse that departs from it remembers it (``from_pa``).

Pulses below 50 ms are left out where a pulse of 100 ms or more exists. The holding current is the level that a sweep
begins with.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from noble_prob.readers.levels import Levels, fit_levels
from noble_prob.recording import Step
from noble_prob.recording.step import SHORTEST_STEP_MS

_SAME_EDGE_MS, _MARGIN_MS, _BRIEF_MS, _SMALLEST_PA = 4.0, 1.5, 50.0, 1.0
Run = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Pulse:
    """One pulse of one sweep.

    Attributes:
        slot: Which of the family's pulses it is; it keeps its number in a sweep that lacks an earlier one.
        start: First sample of the pulse.
        stop: First sample after it.
        step: The same in ms and pA, from the start of the sweep.
        from_pa: Level that it departs from (pA); differs from ``step.holding_pa`` after a prepulse.
        free_from: First sample after the previous pulse: how far back the sweep may be cut.
        free_to: First sample of whatever follows (prepulse of the next pulse, next pulse, end).
    """

    slot: int
    start: int
    stop: int
    step: Step
    from_pa: float
    free_from: int
    free_to: int


@dataclass(frozen=True, kw_only=True)
class _Table:
    """Levels of every sweep on the edges that the family shares."""

    bounds: tuple[int, ...]
    level: NDArray[np.float64]
    error: NDArray[np.float64]
    dt_ms: float

    @property
    def holding(self) -> NDArray[np.float64]:
        return self.level[:, 0]

    def away(self) -> NDArray[np.bool_]:
        """Where a sweep is off its holding current, shape ``(sweep, stretch)``."""
        return np.abs(self.level - self.holding[:, None]) > self.tolerance()

    def tolerance(self) -> NDArray[np.float64]:
        reach = np.abs(self.level - self.holding[:, None]).max(axis=1, keepdims=True)
        return np.maximum(np.maximum(_SMALLEST_PA, 0.02 * reach), 5 * self.error)


def find_pulses(current_pa: NDArray[np.float64], dt_ms: float) -> list[tuple[Pulse, ...]]:
    """Find the pulses of every sweep of a family.

    Args:
        current_pa: Command or recorded current (pA), shape ``(sweep, time)``.
        dt_ms: Sampling interval (ms).

    Returns:
        One tuple of pulses per sweep, in time order; empty where the sweep is not made of levels.
    """
    fits = [fit_levels(row, dt_ms) for row in current_pa]
    known = [i for i, fit in enumerate(fits) if fit.piecewise]
    edges = _shared_edges([fits[i] for i in known], dt_ms)
    found: list[tuple[Pulse, ...]] = [()] * len(fits)
    if not known or not edges:
        return found
    own = int(np.median([len(fits[i].edges) for i in known]))
    groups = [known] if len(edges) <= 3 * max(own, 2) else [[i] for i in known]
    for group in groups:
        if shared := _shared_edges([fits[i] for i in group], dt_ms):
            table = _table([fits[i] for i in group], shared, dt_ms)
            for i, pulses in zip(group, _pulses_of_table(table), strict=True):
                found[i] = pulses
    return found


def _shared_edges(fits: list[Levels], dt_ms: float) -> list[int]:
    """Cluster edges of different sweeps; keep those that repeat or are large in their sweep.

    Edges of commands without noise are the same or not; edges in noise may be 4 ms apart where a spike covers one.
    """
    every = sorted((edge, i) for i, fit in enumerate(fits) for edge in fit.edges)
    reach = _SAME_EDGE_MS / dt_ms if any(fit.noise_pa > 0 for fit in fits) else 1
    clusters: list[list[tuple[int, int]]] = []
    for edge, i in every:
        near = bool(clusters) and edge - clusters[-1][-1][0] <= reach and edge - clusters[-1][0][0] <= 2 * reach
        if near and i not in {other for _, other in clusters[-1]}:
            clusters[-1].append((edge, i))
        else:
            clusters.append([(edge, i)])
    needed = max(1, int(np.ceil(0.15 * len(fits))))
    kept = [c for c in clusters if len(c) >= needed or any(_is_large(fits[i], edge) for edge, i in c)]
    return [int(np.median([edge for edge, _ in c])) for c in kept]


def _is_large(fit: Levels, edge: int) -> bool:
    """Whether an edge is at least 30 % of the largest jump of its sweep."""
    bounds = [0, *fit.edges, len(fit.smooth_pa)]
    jumps = np.abs(np.diff([fit.mean(a, b) for a, b in pairwise(bounds)]))
    return bool(jumps[fit.edges.index(edge)] >= 0.3 * jumps.max())


def _table(fits: list[Levels], edges: list[int], dt_ms: float) -> _Table:
    bounds = (0, *edges, len(fits[0].smooth_pa))
    margin, size = round(_MARGIN_MS / dt_ms), np.diff(bounds)
    pairs = list(pairwise(bounds))
    level = np.array([[fit.mean(a, b, margin) for a, b in pairs] for fit in fits])
    error = np.array([fit.noise_pa * np.sqrt(1 / size + 1 / size[0]) for fit in fits])
    return _Table(bounds=bounds, level=level, error=error, dt_ms=dt_ms)


def _pulses_of_table(table: _Table) -> list[tuple[Pulse, ...]]:
    away = table.away()
    above = table.level - table.holding[:, None]
    varies = np.ptp(above, axis=0) > 2 * table.tolerance().max(axis=0)
    test = _with_extensions(table, varies, away) if varies.any() else away.any(axis=0)
    runs = [_runs(table, i, test & away[i]) for i in range(len(above))]
    slots = _slots(runs, table)
    return [
        tuple(p for k in range(len(slots)) if (p := _pulse(table, i, k, slots[k], own, test)) is not None)
        for i, own in enumerate(runs)
    ]


def _with_extensions(table: _Table, varies: NDArray[np.bool_], away: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Varying stretches, and constant ones of which they are a mere continuation.

    Steps of one height and several lengths share a constant first part: the part that varies is then either at the
    height of its neighbour or silent. A prepulse is different: what follows it takes other values too.
    """
    test, above, tolerance = varies.copy(), table.level - table.holding[:, None], 2 * table.tolerance()
    for _ in range(len(test)):
        for j in np.flatnonzero(~test & away.any(axis=0)):
            for k in (j - 1, j + 1):
                if 0 <= k < len(test) and test[k]:
                    same = np.abs(above[:, k] - above[:, j]) <= tolerance[:, k]
                    test[j] |= bool((same | ~away[:, k]).all() and away[:, j].all() and same.any())
    return test


def _runs(table: _Table, sweep: int, active: NDArray[np.bool_]) -> list[Run]:
    """Neighbouring active stretches of one level, as (first, last + 1) stretch."""
    runs: list[Run] = []
    level, tolerance = table.level[sweep], table.tolerance()[sweep]
    for j in np.flatnonzero(active):
        if runs and runs[-1][1] == j and abs(level[j] - level[j - 1]) <= 2 * tolerance[j]:
            runs[-1] = (runs[-1][0], int(j) + 1)
        else:
            runs.append((int(j), int(j) + 1))
    return runs


def _slots(runs: list[list[Run]], table: _Table) -> list[Run]:
    """The runs that most sweeps share, without overlap, in time order; brief ones only if there is nothing longer."""

    def length_ms(run: Run) -> float:
        return (table.bounds[run[1]] - table.bounds[run[0]]) * table.dt_ms

    counted = Counter(run for sweep in runs for run in sweep)
    slots: list[Run] = []
    for run, _ in sorted(counted.items(), key=lambda item: (-item[1], -length_ms(item[0]))):
        if not any(_overlap(run, other) for other in slots):
            slots.append(run)
    if any(length_ms(run) >= SHORTEST_STEP_MS for run in slots):
        slots = [run for run in slots if length_ms(run) >= _BRIEF_MS]
    return sorted(slots)


def _overlap(a: Run, b: Run) -> bool:
    return a[0] < b[1] and b[0] < a[1]


def _pulse(table: _Table, sweep: int, k: int, slot: Run, runs: list[Run], test: NDArray[np.bool_]) -> Pulse | None:
    """The pulse of one sweep in one slot; 0 pA where it is silent, None where it does something else there."""
    own = [run for run in runs if _overlap(run, slot)]
    if len(own) > 1:
        return None
    first, last = own[0] if own else slot
    above = table.level[sweep] - table.holding[sweep]
    size = np.diff(table.bounds)[first:last]
    height = float(np.average(above[first:last], weights=size)) if own else 0.0
    start, stop = table.bounds[first], table.bounds[last]
    holding = float(table.holding[sweep])
    busy = table.away().any(axis=0)
    return Pulse(
        slot=k,
        start=start,
        stop=stop,
        step=Step(
            onset_ms=round(start * table.dt_ms, 9),
            duration_ms=round((stop - start) * table.dt_ms, 9),
            amplitude_pa=height,
            holding_pa=holding,
        ),
        from_pa=float(table.level[sweep, first - 1]) if table.away()[sweep, first - 1] else holding,
        free_from=table.bounds[_back(first, test)],
        free_to=table.bounds[_forward(last, busy)],
    )


def _back(first: int, test: NDArray[np.bool_]) -> int:
    """First stretch after the previous test stretch."""
    earlier = np.flatnonzero(test[:first])
    return int(earlier[-1]) + 1 if len(earlier) else 0


def _forward(last: int, busy: NDArray[np.bool_]) -> int:
    """First stretch at or after ``last`` in which any sweep leaves holding."""
    later = np.flatnonzero(busy[last:])
    return last + int(later[0]) if len(later) else len(busy)
