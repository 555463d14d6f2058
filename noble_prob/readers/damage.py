"""Sweeps whose voltage no membrane has: railed, disconnected, or of an electrode that had come off.

They are left out where a file has others. The limits leave every sweep alone that a neuron may give: a spike's artefact
is brief, a quiet simulated neuron may stand still at rest, and a file may be off by the same offset throughout.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from noble_prob.errors import listed, require
from noble_prob.readers.sweeps import RawSweep

FARTHEST_MV = 150.0
"""No membrane is farther from 0 (mV); electrode artefacts are, for less than ``BRIEF_MS``."""
BRIEF_MS = 1.0
RAIL_MS = 10.0
"""An extreme voltage that stands still for so long beyond ``RAIL_MV`` is the end of a converter's range (ms)."""
RAIL_MV = (-120.0, 20.0)
LOST_MV = -30.0
"""A neuron does not begin and end its sweep above it (mV)."""
_END_MS = 20.0


def sort_out(sweeps: list[RawSweep]) -> tuple[list[RawSweep], list[str], list[str]]:
    """Tell sweeps of a membrane from others.

    Args:
        sweeps: Of one length and sampling interval, of one neuron recorded once or several times.

    Returns:
        The good ones; per other sweep its label and why; and remarks on the good ones.
    """
    whys = [_why_damaged(sweep) for sweep in sweeps]
    ends = np.array([_ends_mv(sweep) for sweep in sweeps])
    alive = [k for k, why in enumerate(whys) if not why]
    lost = [k for k in alive if ends[k] > LOST_MV]
    remarks = []
    if lost and len(lost) < len(alive):
        for k in lost:
            whys[k] = f"begins and ends at {ends[k]:.0f} mV or more, unlike others"
    elif lost:
        lowest = f"{LOST_MV:g} mV (the lowest at {ends[alive].min():.0f} mV)"
        remarks.append(
            f"All sweeps begin and end above {lowest}, where no neuron rests: look for an amplifier's offset."
        )
    others = [f"{sweep.label!r} ({why})" for sweep, why in zip(sweeps, whys, strict=True) if why]
    return [sweep for sweep, why in zip(sweeps, whys, strict=True) if not why], others, remarks


def refuse(others: list[str], name: str) -> None:
    """Refuse a file without a sweep of a membrane.

    Args:
        others: Its sweeps and what is wrong with them.
        name: What to call it.

    Raises:
        UsageError: Always.
    """
    require(
        False,
        "voltage_mv",
        f"a membrane's voltage in some sweep of {name}",
        f"sweep {listed(others, 3)}",
        "check electrode and gain, and choose a file recorded from a neuron",
    )


def _why_damaged(sweep: RawSweep) -> str:
    """What is wrong with the voltage of a sweep, or of one of its repeats; empty if nothing is."""
    rows = sweep.voltage_mv.reshape(-1, sweep.voltage_mv.shape[-1])
    return next((why for row in rows if (why := _why_row(row, sweep))), "")


def _why_row(voltage_mv: NDArray[np.float64], sweep: RawSweep) -> str:
    known = voltage_mv[np.isfinite(voltage_mv)]
    if not len(known):
        return ""
    low, high = float(known.min()), float(known.max())
    if low == high:
        rests = RAIL_MV[0] <= low <= LOST_MV and np.ptp(sweep.current_pa) == 0
        return "" if rests else f"constant at {low:g} mV"
    beyond = int((np.abs(known) > FARTHEST_MV).sum()) * sweep.dt_ms
    if beyond > BRIEF_MS:
        return f"beyond {FARTHEST_MV:g} mV in size for {beyond:.0f} ms"
    for value, strange in ((low, low < RAIL_MV[0]), (high, high > RAIL_MV[1])):
        if strange and _longest(voltage_mv == value) * sweep.dt_ms >= RAIL_MS:
            return f"stands at {value:g} mV for {_longest(voltage_mv == value) * sweep.dt_ms:.0f} ms"
    return ""


def _longest(holds: NDArray[np.bool_]) -> int:
    """Most samples in a row for which something holds."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], holds, [False]]).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def _ends_mv(sweep: RawSweep) -> float:
    """The lower one of the voltages at which a sweep begins and ends (mV); of repeats, that of the highest."""
    n = max(1, round(_END_MS / sweep.dt_ms))
    rows = sweep.voltage_mv.reshape(-1, sweep.voltage_mv.shape[-1])
    known = [row[np.isfinite(row)] for row in rows]
    return max((min(np.median(row[:n]), np.median(row[-n:])) for row in known if len(row)), default=-np.inf)
