"""From a file's sweeps to recordings: check, group, find the pulses, cut, and say what was done.

A recording has one time grid, so sweeps are grouped by family, length and sampling rate. The group with the most
steps of 100 ms or more comes first, then the largest. What was chosen, left out or assumed stands in
``provenance["remarks"]``; which sweep came from where in ``provenance["sweeps"]``.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np
import torch

from noble_prob.errors import listed, require
from noble_prob.readers.checks import check_order, check_sweep, check_time, check_units, why_unusable
from noble_prob.readers.cut import Piece, PulseChoice, crowded, cut, require_choice
from noble_prob.readers.damage import refuse, sort_out
from noble_prob.readers.provenance import name_and_hash, versions
from noble_prob.readers.pulses import Pulse, find_pulses
from noble_prob.readers.slots import slots, told, usual
from noble_prob.readers.sweeps import RawFile, RawSweep
from noble_prob.recording import Protocol, Recording
from noble_prob.recording.step import LEAST_REST_MS, SETTLING_MS, SHORTEST_STEP_MS

_PREPULSE_PA, _HELD_ALIKE_PA, _END_MS = 2.0, 5.0, 2.0


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Sweeps that share a grid, and their pulses."""

    sweeps: list[RawSweep]
    pulses: list[tuple[Pulse, ...]]

    @property
    def rank(self) -> tuple[int, int, int]:
        """Long steps, sweeps, samples: the more the better."""
        long = sum(any(p.step.duration_ms >= SHORTEST_STEP_MS for p in row) for row in self.pulses)
        long += sum(s.step is not None and s.step.duration_ms >= SHORTEST_STEP_MS for s in self.sweeps if s.stated)
        return long, len(self.sweeps), len(self.sweeps[0].current_pa)

    def __str__(self) -> str:
        sweep = self.sweeps[0]
        name = f" {sweep.family!r}" if sweep.family else ""
        n = len(self.sweeps)
        return (
            f"{n} sweep{'s' * (n != 1)}{name} of {len(sweep.current_pa) * sweep.dt_ms:g} ms at {1 / sweep.dt_ms:g} kHz"
        )


def recordings(
    raw: RawFile, *, liquid_junction_potential_mv: float | None, pulse: PulseChoice | None, require_current: bool
) -> list[Recording]:
    """All recordings of a file, the most useful first.

    Args:
        raw: The file's sweeps.
        liquid_junction_potential_mv: Potential to subtract from the voltage (mV); nothing when None.
        pulse: Which pulse of each sweep, ``"all"``, or None for the usual one (:mod:`noble_prob.readers.slots`).
        require_current: Whether a file of zero current only is refused.

    Raises:
        UsageError: If a sweep can not be a current-clamp recording of a neuron in mV and pA.
    """
    potential = liquid_junction_potential_mv
    require(
        potential is None or (np.isfinite(potential) and abs(potential) <= 50),
        "liquid_junction_potential_mv",
        "a potential in mV within -50..50",
        potential,
        "give it in mV, with the sign of (bath - pipette)",
    )
    groups, left_out = _groups(raw)
    raw = replace(raw, remarks=(*raw.remarks, *left_out))
    require(
        not require_current or any(sweep.current_pa.any() for group in groups for sweep in group.sweeps),
        "current_pa",
        f"an injected current in {raw.name}",
        "zero in every sample",
        "export the command or current channel with the voltage (Python: `require_current=False` takes it)",
    )
    choices = [usual(group.pulses) if pulse is None else pulse for group in groups]
    return [_recording(raw, group, groups, potential, own) for group, own in zip(groups, choices, strict=True)]


def _groups(raw: RawFile) -> tuple[list[_Group], list[str]]:
    """Checked sweeps by family, length and rate, best first; and in sentences which were left out, or are doubtful."""
    by_grid: dict[tuple[str, int, float], list[RawSweep]] = defaultdict(list)
    for sweep in raw.sweeps:
        check_sweep(sweep, raw.name)
        by_grid[sweep.family, len(sweep.current_pa), round(sweep.dt_ms, 6)].append(sweep)
    every = list(by_grid.values())
    for sweeps in every:
        check_order(sweeps, raw.name)
    whys = [why_unusable(sweeps) for sweeps in every]
    if all(whys):
        whys = [""] * len(every)  # the checks refuse the file
    remarks = [
        f"Left out: {_Group(sweeps=sweeps, pulses=[])}, {why}." for sweeps, why in zip(every, whys, strict=True) if why
    ]
    every = [sweeps for sweeps, why in zip(every, whys, strict=True) if not why]
    for sweeps in every:
        check_time(sweeps[0].dt_ms, len(sweeps[0].current_pa), raw.name)
    usable, more = _of_membranes(every, raw)
    for sweeps in usable:
        check_units(sweeps, raw.name)
    groups = [_Group(sweeps=sweeps, pulses=_pulses(sweeps)) for sweeps in usable]
    return sorted(groups, key=lambda group: group.rank, reverse=True), remarks + more


def _of_membranes(every: list[list[RawSweep]], raw: RawFile) -> tuple[list[list[RawSweep]], list[str]]:
    """Groups without their damaged sweeps, and remarks; ensembles of drawn neurons stay as they are."""
    if not set(raw.axes) <= {"trial"}:
        return every, []
    kept = [sort_out(sweeps) for sweeps in every]
    others = [other for _, group, _ in kept for other in group]
    usable = [good for good, _, _ in kept if good]
    if not usable:
        for sweeps in every:
            check_units(sweeps, raw.name)
        refuse(others, raw.name)
    left_out = [f"Left out, since no membrane has such a voltage: sweep {listed(others, 6)}."] if others else []
    return usable, left_out + [remark for good, _, remarks in kept if good for remark in remarks]


def _pulses(sweeps: list[RawSweep]) -> list[tuple[Pulse, ...]]:
    if any(sweep.stated for sweep in sweeps):
        return [()] * len(sweeps)
    return find_pulses(np.stack([sweep.current_pa for sweep in sweeps]), sweeps[0].dt_ms)


def _recording(
    raw: RawFile, group: _Group, groups: list[_Group], potential: float | None, pulse: PulseChoice
) -> Recording:
    dt, pieces = group.sweeps[0].dt_ms, _pieces(group, pulse)
    voltage = np.stack([group.sweeps[p.sweep].voltage_mv[..., p.start : p.stop] for p in pieces], axis=-2)
    current = np.stack([group.sweeps[p.sweep].current_pa[p.start : p.stop] for p in pieces])
    protocol = Protocol(
        time_ms=torch.arange(current.shape[-1], dtype=torch.float64) * dt,
        current_pa=torch.from_numpy(current),
        steps=tuple(p.step for p in pieces),
    )
    provenance = {
        **name_and_hash(raw.name, raw.files),
        "format": raw.format,
        "sampling_rate_hz": 1000.0 / dt,
        "software": versions(raw.libraries),
        "liquid_junction_potential_mv": potential,
        "current": group.sweeps[0].source,
        "remarks": [*raw.remarks, *_of_potential(potential), *_remarks(group, groups, pieces, pulse)],
        "sweeps": [_origin(group, p) for p in pieces],
        **_pulses_of_file(group),
        **({"made_from": dict(raw.given)} if raw.given else {}),
    }
    return Recording(
        protocol=protocol,
        voltage_mv=torch.from_numpy(voltage - (potential or 0.0)),
        axes=raw.axes,
        provenance=provenance,
    )


def _pieces(group: _Group, pulse: PulseChoice) -> list[Piece]:
    """Every sweep as it is where its step is stated, else around the chosen pulse."""
    n, dt = len(group.sweeps[0].current_pa), group.sweeps[0].dt_ms
    if not any(s.stated for s in group.sweeps):
        return cut(group.pulses, n, dt, pulse)
    require_choice(pulse, 1)
    return [Piece(sweep=i, pulse=None, start=0, stop=n, step=s.step) for i, s in enumerate(group.sweeps)]


def _pulses_of_file(group: _Group) -> dict[str, object]:
    """The pulses of each sweep in plain values, where there are several to choose from."""
    every = slots(group.pulses)
    plain = [{"number": s.number, "amplitude_pa": list(s.amplitude_pa), "duration_ms": s.duration_ms} for s in every]
    return {"pulses": plain} if len(every) > 1 else {}


def _origin(group: _Group, piece: Piece) -> dict[str, object]:
    """Where one sweep of the recording comes from."""
    dt = group.sweeps[piece.sweep].dt_ms
    return {
        "label": group.sweeps[piece.sweep].label,
        "source_sweep": piece.sweep,
        "pulse": piece.pulse,
        "from_pa": piece.from_pa,
        "cut_ms": [round(piece.start * dt, 6), round(piece.stop * dt, 6)],
    }


def _of_potential(potential: float | None) -> list[str]:
    """Whether a junction potential has the sign with which files write the correction, so that the voltage rose."""
    if potential is None or potential >= 0:
        return []
    return [
        f"A junction potential of {potential:g} mV was subtracted, which raised the voltage by {-potential:g} mV. "
        f"Usually it is positive: {-potential:g} lowers the voltage."
    ]


def _of_beginnings(group: _Group) -> list[str]:
    """Whether sweeps begin at different currents and end at one, as where the beginning of steps is lacking."""
    own = [k for k, row in enumerate(group.pulses) if row]
    if not own:
        return []
    first = [group.pulses[k][0].step.holding_pa for k in own]
    last = [float(np.median(group.sweeps[k].current_pa[-round(_END_MS / group.sweeps[k].dt_ms) :])) for k in own]
    if np.ptp(first) < _HELD_ALIKE_PA or np.ptp(last) > 0.2 * np.ptp(first):
        return []
    return [
        f"Sweeps begin at {min(first):.0f} to {max(first):.0f} pA and all end at {np.mean(last):.0f} pA. If they begin "
        "inside their steps, what was read as steps is how these end: export the sweeps from before the onset, or "
        "state the steps (`steps` of an .npz file or of `from_arrays`)."
    ]


def _remarks(group: _Group, groups: list[_Group], pieces: list[Piece], pulse: PulseChoice) -> list[str]:
    """What a user should know about the choices that were made."""
    remarks = []
    if len(groups) > 1:
        others = "; ".join(str(g) for g in groups if g is not group)
        remarks.append(
            f"The file holds sweeps of {len(groups)} kinds; these are {group}; the others: {others} (see read_all)."
        )
    remarks += [*told(group.pulses, pulse), *_of_beginnings(group)]
    if pulse == "all" and (near := crowded(group.pulses, group.sweeps[0].dt_ms)):
        least = min(SETTLING_MS) + LEAST_REST_MS
        remarks.append(f"{near} pulses begin less than {least:g} ms after another: no neuron is at rest before them.")
    departing = {
        round(p.from_pa)
        for p in pieces
        if p.step and abs((p.from_pa or 0.0) - p.step.holding_pa) > _PREPULSE_PA and p.from_pa is not None
    }
    if departing:
        remarks.append(f"Pulses depart from a prepulse of {sorted(departing)} pA, not from rest.")
    waves = sum(p.step is None for p in pieces)
    if waves:
        remarks.append(f"{waves} of {len(pieces)} sweeps are no single step and are kept as waveforms (step None).")
    brief = [p.step.duration_ms for p in pieces if p.step and p.step.duration_ms < SHORTEST_STEP_MS]
    if brief:
        few = f"less than {SHORTEST_STEP_MS:g} ms (shortest: {min(brief):g} ms)"
        remarks.append(f"{len(brief)} sweeps have a pulse of {few}.")
    missing = sum(int(np.isnan(group.sweeps[p.sweep].voltage_mv[..., p.start : p.stop]).sum()) for p in pieces)
    if missing:
        remarks.append(f"{missing} voltage samples are missing (NaN).")
    return remarks
