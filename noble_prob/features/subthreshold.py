"""Features of the membrane below threshold: rest, deflection, sag, resistance, time constants.

The baseline is the mean of at most 100 ms at rest before the step; the steady state is the mean of the step's last
tenth; the sag is the distance of the steady state above the lowest voltage of a hyperpolarising step (mostly the
current Ih). Smoothing is left out on purpose: on a noisy recording ``sag_mv`` holds the depth of the noise's minimum,
as eFEL's does.
"""

from __future__ import annotations

import torch
from torch import Tensor

from noble_prob.features.fits import exponential_time_constant, log_linear_time_constant
from noble_prob.features.registry import HYPERPOLARISED, SILENCE, Needs, feature
from noble_prob.features.sweeps import Sweeps

SMALLEST_DEFLECTION_MV = 1.0
"""Below it a response is taken for noise and no time constant is fitted (mV)."""
CHARGED = 0.95
"""Share of the largest deflection at which the fit of the onset ends."""
FIT_SAMPLES = 250
"""Samples of the onset in the fit: longer windows are thinned to between this many and twice as many. Fewer end earlier
on average and give shorter time constants; with these the latents of the shipped decoders come back without bias."""


@feature("mV", defined_when="there are samples before the step and none is above threshold", efel_name="voltage_base")
def resting_voltage_mv(s: Sweeps) -> Tensor:
    """Mean of the samples that exist before the step, over at most 100 ms."""
    return s.baseline_mv


@feature(
    "mV",
    defined_when="no spike during the step",
    needs=SILENCE,
    efel_name="steady_state_voltage_stimend",
    whole_step=True,
)
def steady_state_voltage_mv(s: Sweeps) -> Tensor:
    """Mean voltage of the last tenth of the step."""
    return s.where(s.silent, s.steady_mv)


@feature(
    "mV", defined_when="the end of the step was recorded", efel_name="steady_state_voltage_stimend", whole_step=True
)
def late_voltage_mv(s: Sweeps) -> Tensor:
    """Mean voltage of the last tenth of the step, spikes included."""
    return s.steady_mv


@feature(
    "mV",
    defined_when="no spike during the step, and a baseline",
    needs=SILENCE,
    efel_name="voltage_deflection_vb_ssse",
    whole_step=True,
)
def voltage_deflection_mv(s: Sweeps) -> Tensor:
    """Steady state minus resting voltage."""
    return s.where(s.silent, s.steady_mv - s.baseline_mv)


@feature(
    "mV",
    defined_when="a negative current without spikes",
    needs=HYPERPOLARISED,
    efel_name="sag_amplitude",
    whole_step=True,
)
def sag_mv(s: Sweeps) -> Tensor:
    """Steady state minus the lowest voltage of the step."""
    return s.where(s.hyperpolarised & (s.steady_mv <= s.baseline_mv), s.steady_mv - s.minimum_mv)


@feature(
    "",
    defined_when="sag_mv is, and the voltage falls below the baseline",
    needs=HYPERPOLARISED,
    efel_name="sag_ratio1",
    whole_step=True,
)
def sag_ratio(s: Sweeps) -> Tensor:
    """Sag over the largest deflection: 0 without sag, 1 if the voltage returns to rest."""
    depth = s.baseline_mv - s.minimum_mv
    return s.where(depth > 0, sag_mv(s) / depth)


@feature(
    "MOhm",
    defined_when="a non-zero current without spikes, and a baseline",
    needs=Needs(silence=True, current="not zero"),
    efel_name="ohmic_input_resistance_vb_ssse",
    whole_step=True,
)
def input_resistance_mohm(s: Sweeps) -> Tensor:
    """Voltage deflection over the step's current."""
    return s.where(s.amplitude_pa != 0, 1000.0 * voltage_deflection_mv(s) / s.amplitude_pa.to(s.nan))


@feature(
    "ms",
    defined_when="a negative current without spikes that moves the voltage by 1 mV or more",
    needs=HYPERPOLARISED,
    efel_name="time_constant (3 to 7 % apart)",
    whole_step=True,
)
def membrane_time_constant_ms(s: Sweeps) -> Tensor:
    """Time constant of one exponential fitted from the onset to 95 % of the largest deflection."""
    out, rows = (
        s.nan.clone(),
        (s.hyperpolarised & (s.baseline_mv - s.minimum_mv >= SMALLEST_DEFLECTION_MV)).nonzero()[:, 0],
    )
    if not len(rows):
        return out
    first, last = s.sample(s.onset_ms), s.sample(s.stop_ms)
    v = s.voltage_mv[rows, first:last]
    level = s.baseline_mv[rows] - CHARGED * (s.baseline_mv - s.minimum_mv)[rows]
    end = (v <= level[:, None]).to(torch.uint8).argmax(1)
    stride = ((end + 1) // FIT_SAMPLES).clamp(min=1)  # every trace its own, whatever else is measured with it
    index = torch.arange(int((end // stride).max()) + 1, device=v.device) * stride[:, None]
    used = index <= end[:, None]
    index = index.clamp(max=v.shape[1] - 1)
    time = s.time_ms[first:last].to(v.device)[index]
    out[rows] = exponential_time_constant(time, v.gather(1, index), used)
    return out


@feature(
    "ms",
    defined_when="no spike during the step and 10 ms after, on one side of the baseline there",
    needs=SILENCE,
    efel_name="decay_time_constant_after_stim",
    whole_step=True,
)
def decay_time_constant_after_stim_ms(s: Sweeps) -> Tensor:
    """Time constant of the return to the baseline, from the log of the distance 1 to 10 ms after the step."""
    start, stop = s.step_end_ms + 1.0, s.step_end_ms + 10.0
    if s.stop_ms < s.step_end_ms - 1e-6 or s.sample(stop) >= len(s.time_ms):
        return s.nan
    v = s.between(start, stop)
    t = s.time_ms[s.sample(start) : s.sample(stop)].to(v.device)
    moved = (s.between(s.step_end_ms, stop)[:, :1].squeeze(1) - s.baseline_mv).abs() >= SMALLEST_DEFLECTION_MV
    quiet = s.silent & (v.amax(-1) <= s.threshold_mv) & moved
    return s.where(quiet, log_linear_time_constant(t, v, s.baseline_mv))


@feature("mV", defined_when="something was recorded after the step", efel_name="steady_state_voltage", whole_step=True)
def voltage_after_step_mv(s: Sweeps) -> Tensor:
    """Mean voltage from the end of the step to the end of the recording."""
    after = s.voltage_mv[:, s.sample(s.step_end_ms) + 1 :]
    return after.mean(-1) if after.shape[1] and s.stop_ms >= s.step_end_ms - 1e-6 else s.nan
