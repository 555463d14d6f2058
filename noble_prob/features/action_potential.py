"""Features of the spikes' shape; the geometry is in :mod:`noble_prob.features.shape`."""

from __future__ import annotations

from torch import Tensor

from noble_prob.features.registry import ONE_SPIKE, feature
from noble_prob.features.sweeps import Sweeps

TROUGH = "one spike or more with a trough before the step's end"


@feature("mV", defined_when="one spike or more", needs=ONE_SPIKE, efel_name="AP1_peak", needs_step=False)
def ap1_peak_mv(s: Sweeps) -> Tensor:
    """Voltage at the first peak."""
    return s.where(s.complete, s.spikes.peak_mv[:, 0])


@feature(
    "mV",
    defined_when="one spike or more whose begin is found",
    needs=ONE_SPIKE,
    efel_name="AP1_begin_voltage",
    needs_step=False,
)
def ap1_begin_mv(s: Sweeps) -> Tensor:
    """Voltage at which dV/dt rises through 10 mV/ms before the first peak: the spike's threshold."""
    return s.where(s.complete, s.shapes.begin_mv[:, 0])


@feature(
    "mV", defined_when="one spike or more whose begin is found", needs=ONE_SPIKE, efel_name="AP1_amp", needs_step=False
)
def ap1_amplitude_mv(s: Sweeps) -> Tensor:
    """First peak minus the voltage at which that spike begins."""
    return ap1_peak_mv(s) - ap1_begin_mv(s)


@feature(
    "mV",
    defined_when="one spike or more whose begin is found",
    needs=ONE_SPIKE,
    efel_name="mean_AP_amplitude",
    needs_step=False,
    whole_step=True,
)
def mean_ap_amplitude_mv(s: Sweeps) -> Tensor:
    """Mean over spikes of peak minus begin."""
    return s.where(s.complete, (s.spikes.peak_mv - s.shapes.begin_mv).nanmean(-1))


@feature("ms", defined_when=TROUGH, needs=ONE_SPIKE, efel_name="AP1_width", needs_step=False)
def ap1_width_ms(s: Sweeps) -> Tensor:
    """Width of the first spike half-way between its peak and the trough after it."""
    return s.where(s.complete, s.shapes.half_width_ms[:, 0])


@feature("mV", defined_when=TROUGH, needs=ONE_SPIKE, efel_name="first of min_AHP_values", needs_step=False)
def ap1_trough_mv(s: Sweeps) -> Tensor:
    """Voltage of the first lasting minimum after the first spike."""
    return s.where(s.complete, s.shapes.trough_mv[:, 0])


@feature(
    "mV", defined_when=TROUGH, needs=ONE_SPIKE, efel_name="mean of AHP_depth_abs", needs_step=False, whole_step=True
)
def ahp_depth_abs_mv(s: Sweeps) -> Tensor:
    """Mean over spikes of the trough's voltage."""
    return s.where(s.complete, s.shapes.trough_mv.nanmean(-1))


@feature(
    "mV", defined_when=TROUGH + ", and a baseline", needs=ONE_SPIKE, efel_name="mean of AHP_depth", whole_step=True
)
def ahp_depth_mv(s: Sweeps) -> Tensor:
    """Mean over spikes of the trough's voltage minus the resting voltage."""
    return ahp_depth_abs_mv(s) - s.baseline_mv


@feature(
    "ms",
    defined_when=TROUGH,
    needs=ONE_SPIKE,
    efel_name="mean of AHP_time_from_peak",
    needs_step=False,
    whole_step=True,
)
def ahp_time_ms(s: Sweeps) -> Tensor:
    """Mean over spikes of the time from the peak to the trough."""
    return s.where(s.complete, s.shapes.trough_ms.nanmean(-1))
