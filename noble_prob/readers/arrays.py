"""Arrays in memory become a recording as the arrays of a file do: the same checks, the same search for steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noble_prob.errors import UsageError, require
from noble_prob.readers.assemble import recordings
from noble_prob.readers.checks import regular_interval
from noble_prob.readers.sweeps import RawFile, RawSweep
from noble_prob.recording import Recording, Step
from noble_prob.recording.numbers import numbers

_NAME = "these arrays"


def from_arrays(time_ms: Any, current_pa: Any, voltage_mv: Any, *, axes: Sequence[str] = ()) -> Recording:
    """Make a recording of arrays; its steps are found in the current as in that of a file.

    Args:
        time_ms: Sample times (ms), regular, shape ``(time,)``: a NumPy array, a list or a tensor, as all of these.
        current_pa: Injected current (pA), shape ``(sweep, time)``, or ``(time,)`` for one sweep.
        voltage_mv: Membrane voltage (mV), shape ``(*batch, sweep, time)``, or ``(*batch, time)`` for one sweep; NaN
            marks missing samples.
        axes: Names of the leading axes of the voltage: ``draw``, ``neuron`` or ``trial``.

    Returns:
        The recording in double precision, time from its first sample. Of several pulses one is kept, as
        :func:`noble_prob.readers.read` chooses it; a sweep without a pulse has the step None;
        ``provenance["remarks"]`` says so.

    Raises:
        UsageError: If the arrays do not fit each other, hold no numbers, are not in ms, pA and mV, or current and
            voltage are swapped.

    Example:
        >>> time = np.arange(0.0, 600.0, 0.05)
        >>> current = np.where((time >= 100) & (time < 500), 80.0, 0.0)
        >>> from_arrays(time, current, -70 + 0.1 * current).steps[0]
        Step(onset_ms=100.0, duration_ms=400.0, amplitude_pa=80.0, holding_pa=0.0)
    """
    given = {"time_ms": time_ms, "current_pa": current_pa, "voltage_mv": voltage_mv}
    time, current, voltage = (numbers(x, name).detach().cpu().double().numpy() for name, x in given.items())
    words = isinstance(axes, Sequence) and all(isinstance(name, str) for name in axes)
    require(words, "axes", "names of the leading axes of the voltage", repr(axes), "leave it out for one neuron")
    names = (axes,) if isinstance(axes, str) else tuple(axes)
    sweeps = sweeps_of(time, current, voltage, names, _NAME)
    raw = RawFile(name=_NAME, format="arrays", files=(), sweeps=sweeps, axes=names)
    return recordings(raw, liquid_junction_potential_mv=None, pulse=None, require_current=False)[0]


def sweeps_of(
    time: NDArray[np.float64],
    current: NDArray[np.float64],
    voltage: NDArray[np.float64],
    axes: tuple[str, ...],
    name: str,
    *,
    steps: Sequence[Step | None] | None = None,
) -> tuple[RawSweep, ...]:
    """Sweeps of arrays that fit each other.

    Args:
        time: Sample times (ms), shape ``(time,)``.
        current: Injected current (pA), shape ``(sweep, time)``; one sweep may leave its axis out, here and below.
        voltage: Voltage (mV), shape ``(*batch, sweep, time)``.
        axes: Names of the batch axes.
        name: Where the arrays are from.
        steps: The pulse of each sweep, from the first sample, where it is known.

    Raises:
        UsageError: If shapes do not fit, or the time is not regular.
    """
    _require_axes(time, current, voltage, name)
    if current.ndim == 1 and voltage.ndim == 1 + len(axes):
        current, voltage = current[None], voltage[..., None, :]
    _require_shapes(time, current, voltage, axes, name)
    dt = regular_interval(time, name)
    return tuple(
        RawSweep(
            label=str(i),
            voltage_mv=voltage[..., i, :],
            current_pa=current[i],
            dt_ms=dt,
            step=steps[i] if steps else None,
            stated=steps is not None,
        )
        for i in range(len(current))
    )


def _require_axes(
    time: NDArray[np.float64], current: NDArray[np.float64], voltage: NDArray[np.float64], name: str
) -> None:
    require(
        time.ndim == 1, "time_ms", f"one axis of samples in {name}", time.shape, "store the sample times of one sweep"
    )
    for parameter, values in (("current_pa", current), ("voltage_mv", voltage)):
        if values.ndim == 0:
            raise UsageError(
                parameter,
                f"of shape (sweep, time) with {len(time)} samples in {name}",
                f"the single number {float(values):g}",
                "give the value at every sample",
            )


def _require_shapes(
    time: NDArray[np.float64],
    current: NDArray[np.float64],
    voltage: NDArray[np.float64],
    axes: tuple[str, ...],
    name: str,
) -> None:
    require(
        len(current) > 0, "current_pa", f"at least one sweep in {name}", f"shape {current.shape}", "give one or more"
    )
    wanted = (current.shape[0] if current.ndim == 2 else 1, len(time))
    require(
        current.shape == wanted,
        "current_pa",
        f"of shape (sweep, time) with {len(time)} samples in {name}",
        current.shape,
        "give one row per sweep, as long as `time_ms`",
    )
    require(
        voltage.shape[-2:] == wanted and voltage.ndim == 2 + len(axes),
        "voltage_mv",
        f"of shape ({', '.join((*axes, 'sweep', 'time'))}) = (..., {wanted[0]}, {wanted[1]}) in {name}",
        voltage.shape,
        "give one voltage per current sample, and name leading axes in `axes`",
    )
