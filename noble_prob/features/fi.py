"""The f-I curve of a neuron: how its rate grows with the current, across the sweeps of one recording.

With ``r(I)`` the inverse of the mean interval (the plain rate where a sweep has one spike):

rheobase_pa
    the smallest current that gives a spike: exact to the spacing of the currents, and only for these durations.
    Undefined where no step at or below it is silent, for then it is only an upper bound; a neuron that fires at 0 pA or
    below has its lowest such step;
fi_slope_hz_per_na
    slope of the least-squares line through ``(I, r)`` of the sweeps with two spikes or more, from the lowest step with
    a spike to 100 pA above it: a local slope, since f-I curves bend;
fi_intercept_pa
    the current at which the line through ``(I, r ** 1.5)``, from the lowest step with a spike to 200 pA above it,
    crosses zero: a threshold current that does not snap to the currents used. Near threshold ``r ~ (I - I0) ** (1 /
    p)`` with p = 2 for a saddle-node on a circle (Ermentrout 1996) and p = 1 far above it; 1.5 describes the two
    together.

The published table of the PVALB models calls two columns ``slope`` and ``intercept`` without a definition. Over its 60
models, simulated at 24 currents, ``fi_intercept_pa`` equals the published intercept within 0.8 pA (mean absolute
difference; correlation 0.87), and the published slope is 1.86 times ``fi_slope_hz_per_na`` (standard deviation 0.04,
correlation 0.81). The slope that the same source gives for the recorded cell, 381 Hz/nA, is close to
``fi_slope_hz_per_na`` of its models (mean 423, SD 17): the published slopes of models and of cells are not on one
scale, these are.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from noble_prob.errors import require
from noble_prob.features.measure import measure, require_recording
from noble_prob.recording import Recording

SLOPE_RANGE_PA = 100.0
"""Currents above the lowest step with a spike that the slope is fitted to (pA)."""
INTERCEPT_RANGE_PA = 200.0
"""Currents above the lowest step with a spike that the intercept is fitted to (pA)."""
INTERCEPT_POWER = 1.5
"""Power of the rate that is taken to be linear in the current."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class FICurve:
    """Rate against current, and what it is summed up by; equal to itself only.

    Attributes:
        current_pa: Step amplitudes in increasing order (pA), shape ``(step,)``.
        rate_hz: Inverse mean interval, or count over duration below two spikes (Hz), shape ``(*batch, step)``.
        names: ``rheobase_pa``, ``fi_slope_hz_per_na``, ``fi_intercept_pa``.
        units: ``pA``, ``Hz/nA``, ``pA``.
        value: Their values, NaN where undefined, shape ``(*batch, 3)``.
        mask: Whether they are defined, shape ``(*batch, 3)``.
        axes: Names of the batch axes.
    """

    current_pa: Float[Tensor, " step"]
    rate_hz: Float[Tensor, "*batch step"]
    names: tuple[str, ...]
    units: tuple[str, ...]
    value: Float[Tensor, "*batch 3"]
    mask: Bool[Tensor, "*batch 3"]
    axes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """One line for people."""
        batch = "".join(f"{name} {n}, " for name, n in zip(self.axes, self.rate_hz.shape, strict=False))
        low, high = (f"{float(edge):.4g}" for edge in (self.current_pa.min(), self.current_pa.max()))
        return (
            f"FICurve({batch}{len(self.current_pa)} steps of {low} to {high} pA; "
            f"{int(self.mask.sum())} of {self.mask.numel()} values defined)"
        )

    def __getitem__(self, name: str) -> tuple[Tensor, Tensor]:
        """Value and mask of one quantity, each of shape ``(*batch,)``."""
        require(name in self.names, "name", f"among {', '.join(self.names)}", name, "pick one of them")
        k = self.names.index(name)
        return self.value[..., k], self.mask[..., k]


def fi_curve(recording: Recording, *, threshold_mv: float = -20.0, window_ms: float | None = None) -> FICurve:
    """Rate against current over the sweeps of a recording that are steps.

    Args:
        recording: One neuron or an ensemble; sweeps without a step are left out.
        threshold_mv: Voltage that a spike exceeds (mV).
        window_ms: Look at the first so many ms of each step only (ms); None for the whole step.

    Returns:
        The curve and its three summaries. The rheobase needs a silent step at or below it, or 0 pA or less; the slope
        two sweeps with two spikes or more in its range, the intercept three sweeps with spikes.

    Raises:
        UsageError: If this is no recording, no sweep is a step, or an argument is none that ``measure`` takes.
    """
    require_recording(recording)
    part = _by_current(recording)
    found = measure(
        part, names=("spike_count", "mean_rate_hz", "mean_isi_ms"), threshold_mv=threshold_mv, window_ms=window_ms
    )
    count, rate, isi = (found[name][0].to(torch.float64) for name in found.names)
    current = part.protocol.amplitudes_pa.to(rate.device)
    rate = torch.where(count >= 2, 1000.0 / isi, rate)
    lowest = torch.where(count >= 1, current, torch.inf).amin(-1)
    above = current - lowest[..., None]
    bounded = (lowest <= 0) | ((count == 0) & (above <= 0)).any(-1)
    slope, _, n_slope = _line(current, rate, (count >= 2) & (above <= SLOPE_RANGE_PA))
    gain, zero, n_zero = _line(current, rate**INTERCEPT_POWER, (count >= 1) & (above <= INTERCEPT_RANGE_PA))
    value = torch.stack(
        [
            torch.where(torch.isfinite(lowest) & bounded, lowest, torch.nan),
            torch.where(n_slope >= 2, 1000.0 * slope, torch.nan),
            torch.where((n_zero >= 3) & (gain > 0), zero, torch.nan),
        ],
        -1,
    )
    return FICurve(
        current_pa=current,
        rate_hz=rate,
        names=("rheobase_pa", "fi_slope_hz_per_na", "fi_intercept_pa"),
        units=("pA", "Hz/nA", "pA"),
        value=value,
        mask=torch.isfinite(value),
        axes=recording.axes,
    )


def _by_current(recording: Recording) -> Recording:
    """The sweeps that are steps, by their current; a recording without any is refused."""
    steps = [k for k, step in enumerate(recording.steps) if step is not None]
    require(len(steps) > 0, "recording", "a recording with step sweeps", "none", "pass step responses")
    order = sorted(steps, key=lambda k: recording.steps[k].amplitude_pa)  # type: ignore[union-attr]
    return recording.select(order)


def _line(x: Tensor, y: Tensor, used: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Slope, zero crossing and number of distinct points of the least-squares line through the used points."""
    w = used.to(y.dtype)
    n = w.sum(-1)
    mx = (w * x).sum(-1) / n
    my = torch.where(used, y, 0.0).sum(-1) / n
    dx, dy = (x - mx[..., None]) * w, torch.where(used, y - my[..., None], 0.0)
    sxx = (dx * dx).sum(-1)
    slope = (dx * dy).sum(-1) / sxx
    return slope, mx - my / slope, torch.where(sxx > 0, n, 0.0)
