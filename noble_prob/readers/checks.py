"""Is this a current-clamp recording of a neuron in mV and pA? Refuse, in a sentence, what can not be one.

The limits are wide on purpose: they catch a wrong unit or a wrong file, not a bad cell (that is a finding's work).
A membrane lives between -200 and +200 mV, so values below 1 or above 500 in size are another unit, and a median beyond
-150 to 20 mV still holds the amplifier's gain. Currents of patch
clamp are 10 to a few 1000 pA, so volleys below 5 that move the voltage by 10 mV are nA, or A if smaller still. Spikes
last less than a millisecond, so fewer than two samples per ms can not time them.
"""

from __future__ import annotations

import numpy as np

from noble_prob.errors import require
from noble_prob.readers.sweeps import RawSweep
from noble_prob.recording import Recording
from noble_prob.recording.step import SHORTEST_STEP_MS

SLOWEST_HZ = 2000.0
_FASTEST_HZ = 2e6
_MICROSECONDS_HZ = 500.0
"""Rates below it are those of 500 kHz and less whose time is in microseconds: nobody samples so slowly."""
_SMALL = ((5e-3, "nA", "1000"), (5e-6, "µA", "1e6"), (5e-9, "mA", "1e9"), (0.0, "amperes", "1e12"))
"""Smallest strongest current that a response to some 5 to 5000 pA has in each unit, and the factor from it to pA."""
USUAL_MV = (-150.0, 20.0)
"""The median voltage of a recording lies between (mV): no membrane rests beyond."""
_LEVELS = 30
"""Different values that the commands of several sweeps have at most."""


def check_sweep(sweep: RawSweep, name: str) -> None:
    """Refuse a sweep whose numbers are not usable.

    Raises:
        UsageError: Mismatched lengths, a current with gaps, a voltage that is all NaN or infinite somewhere.
    """
    where = f"sweep {sweep.label!r} of {name}"
    n_v, n_i = sweep.voltage_mv.shape[-1], len(sweep.current_pa)
    require(
        n_v == n_i,
        "current_pa",
        f"as long as the voltage ({n_v} samples) in {where}",
        f"{n_i} samples",
        "give one current sample per voltage sample",
    )
    require(n_v >= 2, "voltage_mv", f"at least two samples long in {where}", n_v, "check that the file is complete")
    require(
        bool(np.isfinite(sweep.current_pa).all()),
        "current_pa",
        f"finite in {where}",
        "NaN or infinity",
        "drop the sweep or fill in the injected current",
    )
    finite = np.isfinite(sweep.voltage_mv)
    require(bool(finite.any()), "voltage_mv", f"a voltage in {where}", "only NaN", "drop this sweep from the file")
    require(
        not bool(np.isinf(sweep.voltage_mv).any()),
        "voltage_mv",
        f"finite or NaN (missing) in {where}",
        "infinity",
        "mark missing samples by NaN",
    )


def check_time(dt_ms: float, n: int, name: str) -> None:
    """Refuse sampling that can not show a spike, or a sweep that can not hold a step.

    Raises:
        UsageError: Below 2 kHz, beyond 2 MHz (time in another unit), or shorter than 100 ms.
    """
    rate = 1000.0 / dt_ms
    require(
        rate <= _FASTEST_HZ,
        "time_ms",
        f"in milliseconds in {name}",
        f"samples {dt_ms:g} apart",
        "multiply the time by 1000 if it is in seconds",
    )
    require(
        rate >= SLOWEST_HZ * (1 - 1e-6),
        "sampling rate",
        f"at least 2 kHz in {name}",
        f"{rate:g} Hz",
        "export the recording without decimation; spikes can not be timed at this rate"
        if rate >= _MICROSECONDS_HZ
        else "multiply the time by 0.001 if it is in microseconds; else export the recording without decimation",
    )
    require(
        n * dt_ms >= SHORTEST_STEP_MS * (1 - 1e-6),
        "sweep",
        f"at least {SHORTEST_STEP_MS:g} ms long in {name}",
        f"{n * dt_ms:g} ms ({n} samples)",
        "export whole sweeps, too short a step can not be compared",
    )


def why_unusable(sweeps: list[RawSweep]) -> str:
    """Why sweeps of one grid are left out where a file has others; empty if they are not.

    An aborted sweep or an unconnected electrode says nothing about the rest of a file; another unit does.

    Args:
        sweeps: Of one length and sampling interval, each with a voltage.
    """
    length = len(sweeps[0].current_pa) * sweeps[0].dt_ms
    if length < SHORTEST_STEP_MS * (1 - 1e-6):
        return f"shorter than {SHORTEST_STEP_MS:g} ms"
    flat = all(np.nanmax(s.voltage_mv) == np.nanmin(s.voltage_mv) == np.nanmin(sweeps[0].voltage_mv) for s in sweeps)
    return "of a voltage that never changes" if flat else ""


def check_units(sweeps: list[RawSweep], name: str) -> None:
    """Refuse values that only another unit, or another kind of file, explains.

    Raises:
        UsageError: Volts or microvolts as mV, a voltage that never changes or no membrane has, nA and others as pA.
    """
    voltage = np.stack([s.voltage_mv for s in sweeps])
    spread = float(np.nanmax(voltage) - np.nanmin(voltage))
    _check_voltage(voltage, name)
    _check_current(_farthest(np.concatenate([s.current_pa for s in sweeps])), spread, name)


def check_order(sweeps: list[RawSweep], name: str) -> None:
    """Refuse a current that is a membrane's voltage where the voltage is a command of a few levels.

    Args:
        sweeps: Of one length, each with a voltage.
        name: What to call them.

    Raises:
        UsageError: If the two are swapped beyond doubt: no electrode gives a voltage that stands still between jumps,
            while the current wanders about a resting potential.
    """
    current_pa, voltage_mv = (np.stack([getattr(s, kind) for s in sweeps]) for kind in ("current_pa", "voltage_mv"))
    still = _moving(voltage_mv) < 0.01 and _moving(current_pa) > 0.5
    if still and -100 < np.median(current_pa) < -30 and np.abs(current_pa).max() < 200:
        levels = len(np.unique(voltage_mv))
        require(
            not 1 < levels <= _LEVELS,
            "current_pa",
            f"the injected current in {name}",
            f"what looks like a membrane's voltage, and a voltage of {levels} levels",
            "swap the two",
        )


def _moving(values: np.ndarray) -> float:
    """Share of samples that differ from the one before."""
    return float((np.diff(values) != 0).mean())


def check_recording(recording: Recording, name: str) -> None:
    """Refuse a recording made in memory in units that no file would be read in; gaps (NaN) are no matter.

    Args:
        recording: With or without leading axes.
        name: What to call it.

    Raises:
        UsageError: As :func:`check_time` and :func:`check_units`, or if a voltage is infinite.
    """
    check_time(recording.dt_ms, len(recording.time_ms), name)
    voltage = recording.voltage_mv.detach().cpu().double().numpy()
    require(
        not bool(np.isinf(voltage).any()),
        "voltage_mv",
        f"finite or NaN (missing) in {name}",
        "infinity",
        "mark missing samples by NaN",
    )
    current = recording.current_pa.detach().cpu().double().numpy()
    if np.isfinite(voltage).any() and np.isfinite(current).any():
        _check_voltage(voltage, name)
        _check_current(_farthest(current), float(np.nanmax(voltage) - np.nanmin(voltage)), name)


def _farthest(values: np.ndarray) -> float:
    """The value farthest from 0, with its sign."""
    return float(values.flat[int(np.nanargmax(np.abs(values)))])


def _check_voltage(voltage_mv: np.ndarray, name: str) -> None:
    largest, usual = _farthest(voltage_mv), float(np.nanmedian(voltage_mv))
    require(
        bool(np.nanmax(voltage_mv) > np.nanmin(voltage_mv)),
        "voltage_mv",
        f"a voltage that varies in {name}",
        f"{largest:g} mV throughout",
        "check which channel is connected, and pass it as `channel`",
    )
    _check_size(largest, name)
    low, high = USUAL_MV
    require(
        low <= usual <= high,
        "voltage_mv",
        f"about a resting potential, with a median of {low:g} to {high:g} mV, in {name}",
        f"a median of {usual:.0f} mV",
        "divide the voltage by the amplifier's gain if it still holds it, and check its sign",
    )


def _check_size(largest: float, name: str) -> None:
    """Refuse a largest voltage that is one in volts, or that no membrane has in mV."""
    require(
        abs(largest) >= 1,
        "voltage_mv",
        f"in mV in {name}",
        f"values up to {largest:.3g}, which look like volts",
        "multiply the voltage by 1000",
    )
    require(
        abs(largest) <= 500,
        "voltage_mv",
        f"in mV, within -500..500, in {name}",
        f"values up to {largest:.4g}",
        "convert the voltage to mV (from microvolts divide it by 1000), or divide it by the amplifier's gain; no "
        "membrane has this voltage",
    )


def _check_current(strongest: float, spread: float, name: str) -> None:
    require(
        abs(strongest) <= 1e5,
        "current_pa",
        f"in pA, below 100000, in {name}",
        f"values up to {strongest:.4g}",
        "convert the current to pA; no electrode passes this much",
    )
    unit, factor = next(((unit, factor) for least, unit, factor in _SMALL if abs(strongest) >= least), _SMALL[-1][1:])
    require(
        strongest == 0 or abs(strongest) >= 5 or spread <= 10,
        "current_pa",
        f"in pA in {name}",
        f"values up to {strongest:.3g} with {spread:.0f} mV of response, which look like {unit}",
        f"multiply the current by {factor}",
    )


def regular_interval(time_ms: np.ndarray, name: str) -> float:
    """Sampling interval of a regular time axis (ms).

    Raises:
        UsageError: If times are missing, step back, repeat, or are irregular by more than 5 % of the interval.
    """
    require(
        len(time_ms) >= 2, "time_ms", f"at least two samples in {name}", len(time_ms), "check that the file is complete"
    )
    require(
        bool(np.isfinite(time_ms).all()), "time_ms", f"finite in {name}", "NaN or infinity", "fill in the sample times"
    )
    step = np.diff(time_ms)
    require(
        bool((step > 0).all()),
        "time_ms",
        f"increasing within a sweep in {name}",
        f"a step of {step.min():g} ms after sample {int(np.argmin(step))}",
        "sort the samples, and number sweeps in a column `sweep`",
    )
    dt = float((time_ms[-1] - time_ms[0]) / (len(time_ms) - 1))
    ragged = float(np.abs(step - dt).max() / dt)
    require(
        ragged < 0.05,
        "time_ms",
        f"regularly sampled in {name}",
        f"intervals that differ by {100 * ragged:.0f} %",
        "resample the recording to a regular grid",
    )
    return round(dt, 9) if abs(dt - round(dt, 9)) < 1e-11 else dt
