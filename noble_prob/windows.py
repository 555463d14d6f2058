"""The common window: a recorded sweep on the grid on which a decoder answers.

A decoder is trained on steps of one length (400 ms) that begin at one time (12 ms) of one grid. A laboratory's step
begins elsewhere and lasts longer or shorter. A neuron does not know the future: until the step ends, its response to a
500 ms step is its response to a 400 ms step. So each sweep is cut such that its step begins at the grid's onset, and is
compared up to the end of the shorter of the two steps, its *common window*:

    recorded step of D ms, trained step of T ms:  comparable on [0, onset + min(D, T))

What exists after that is kept, what is missing on either side is masked (NaN).

Limits: causality needs the same history; a pulse that departs from a prepulse has another one (see
``provenance["sweeps"]``). A step shorter than 100 ms says too little about firing and is refused.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.errors import UsageError, require
from noble_prob.recording import Protocol, Recording, Step
from noble_prob.recording.step import SHORTEST_STEP_MS
from noble_prob.resample import hold, ratio, resample_voltage

TRAINED_STEP_MS = 400.0


def to_grid(
    recording: Recording,
    *,
    dt_ms: float = 0.0625,
    onset_ms: float = 12.0,
    total_ms: float = 512.0,
    trained_ms: float = TRAINED_STEP_MS,
) -> Recording:
    """Put every sweep on a decoder's grid, its step at a common onset.

    Args:
        recording: Sweeps of one step each, with or without leading axes.
        dt_ms: Sampling interval of the grid (ms).
        onset_ms: Where every step begins on the grid (ms).
        total_ms: Length of the grid (ms).
        trained_ms: Length of the step that the decoder was trained on (ms): ends the common window of longer steps.

    Returns:
        Sweeps of shape ``(*batch, sweep, total_ms / dt_ms)``. Voltage is NaN where the recording has no sample; current
        is continued there as the step says. Steps keep their true length, even beyond the grid.
        ``provenance["window"]`` tells how, ``provenance["sweeps"]`` per sweep where the grid begins in the old time
        (``grid_from_ms``) and where the common window ends (``common_until_ms``).

    Raises:
        UsageError: If a sweep is no single step, a step is shorter than 100 ms, or the grid can not hold the onset.

    Example:
        >>> from noble_prob.recording import Protocol, Recording
        >>> protocol = Protocol.step_family([50.0], onset_ms=100.0, duration_ms=500.0, total_ms=700.0, dt_ms=0.05)
        >>> recording = Recording(protocol=protocol, voltage_mv=torch.full((1, 14000), -70.0))
        >>> to_grid(recording).steps[0].onset_ms, tuple(to_grid(recording).voltage_mv.shape)
        (12.0, (1, 8192))
    """
    n, onset = round(total_ms / dt_ms), round(onset_ms / dt_ms)
    require(
        0 <= onset < n,
        "onset_ms",
        f"within the grid of {total_ms:g} ms",
        onset_ms,
        "move the onset or lengthen the grid",
    )
    steps = _steps(recording)
    fraction = ratio(recording.dt_ms, dt_ms)
    cuts = [_cut(recording, i, fraction, onset, n) for i in range(recording.n_sweeps)]
    new = tuple(replace(step, onset_ms=onset * dt_ms) for step in steps)
    protocol = Protocol(
        time_ms=torch.arange(n, dtype=torch.float64) * dt_ms,
        current_pa=torch.stack([current for _, current in cuts]),
        steps=new,
    )
    voltage = torch.stack([voltage for voltage, _ in cuts], dim=-2)
    provenance = _provenance(recording, protocol, int(torch.isnan(voltage).sum()), trained_ms)
    return Recording(protocol=protocol, voltage_mv=voltage, axes=recording.axes, provenance=provenance)


def _provenance(recording: Recording, grid: Protocol, missing: int, trained_ms: float) -> dict[str, object]:
    """The recording's provenance with how its sweeps came onto the grid."""
    pairs = zip(_origins(recording), _steps(recording), grid.steps, strict=True)
    return {
        **recording.provenance,
        "window": {
            "dt_ms": grid.dt_ms,
            "from_dt_ms": recording.dt_ms,
            "missing_samples": missing,
            "how": "each sweep is shifted to the common onset; the response to a longer step is the same up to "
            f"{trained_ms:g} ms because it does not depend on what follows; absent samples are NaN",
        },
        "sweeps": [
            {
                **origin,
                "grid_from_ms": round(old.onset_ms - new.onset_ms, 6),
                "common_until_ms": _until(new, trained_ms),
            }
            for origin, old, new in pairs
            if new is not None
        ],
    }


def common_until_ms(recording: Recording, *, trained_ms: float = TRAINED_STEP_MS) -> Float[Tensor, " sweep"]:
    """End of each sweep's common window (ms): the end of its step, or of the trained one if that is shorter.

    Args:
        recording: Sweeps of one step each.
        trained_ms: Length of the step that the decoder was trained on (ms).

    Raises:
        UsageError: If a sweep is no single step of at least 100 ms.
    """
    return torch.tensor([_until(step, trained_ms) for step in _steps(recording)], dtype=torch.float64)


def _origins(recording: Recording) -> list[dict[str, object]]:
    """What is known of each sweep's origin; empty where nothing is."""
    known = recording.provenance.get("sweeps", ())
    return [dict(item) for item in known] if len(known) == recording.n_sweeps else [{} for _ in recording.steps]


def _until(step: Step, trained_ms: float) -> float:
    return step.onset_ms + min(step.duration_ms, trained_ms)


def _steps(recording: Recording) -> list[Step]:
    """The step of each sweep, refused where there is none or it is too short."""
    steps = [step for step in recording.steps if step is not None]
    if len(steps) < recording.n_sweeps:
        good = [i for i, step in enumerate(recording.steps) if step is not None]
        remedy = f"keep the step sweeps by recording.select({good})" if good else "choose a recording of current steps"
        raise UsageError(
            "steps", "one step per sweep", f"{recording.n_sweeps - len(good)} sweeps that are no step", remedy
        )
    shortest = min(step.duration_ms for step in steps)
    require(
        shortest >= SHORTEST_STEP_MS - 1e-6,
        "step",
        f"at least {SHORTEST_STEP_MS:g} ms long",
        f"a step of {shortest:g} ms",
        "choose sweeps with longer steps; so short a pulse says too little about firing",
    )
    return steps


def _cut(recording: Recording, sweep: int, fraction: Fraction, onset: int, n: int) -> tuple[Tensor, Tensor]:
    """Voltage and current of one sweep on the grid.

    The sweep is preceded by missing samples such that its step begins a multiple of the denominator after its start:
    then the step's first sample is on the resampled grid.
    """
    step = recording.steps[sweep]
    assert step is not None
    first = round((step.onset_ms - float(recording.time_ms[0])) / recording.dt_ms)
    pad = -first % fraction.denominator
    at = (first + pad) // fraction.denominator * fraction.numerator
    voltage = resample_voltage(_prepend(recording.voltage_mv[..., sweep, :], pad, float("nan")), fraction)
    current = hold(_prepend(recording.current_pa[sweep], pad, float("nan")), fraction)
    since = torch.arange(n) - onset
    index = since + at
    inside = (index >= 0) & (index < voltage.shape[-1])
    index = index.clamp(0, voltage.shape[-1] - 1)
    gathered, mask = voltage[..., index.to(voltage.device)], inside.to(voltage.device)
    on = (since >= 0) & (since * recording.dt_ms * float(1 / fraction) < step.duration_ms - 1e-9)
    ideal = step.holding_pa + step.amplitude_pa * on.to(current.dtype)
    known = inside & torch.isfinite(current[index])
    return torch.where(mask, gathered, torch.full_like(gathered, float("nan"))), torch.where(
        known, current[index], ideal
    )


def _prepend(x: Tensor, n: int, value: float) -> Tensor:
    """``n`` samples of ``value`` before the first sample of the last axis."""
    return torch.cat([x.new_full((*x.shape[:-1], n), value), x], dim=-1) if n else x
