"""Features of spike timing: how many, when, how regular.

Times are of the peaks, refined below the sampling interval, and counted from the step's onset (from the first sample
where there is no step). A count of zero is a measurement, not a missing value; the time of a spike that did not
happen is missing.
"""

from __future__ import annotations

import torch
from torch import Tensor

from noble_prob.features.registry import ONE_SPIKE, TWO_SPIKES, Needs, feature
from noble_prob.features.sweeps import Sweeps


def _isi(s: Sweeps) -> Tensor:
    """Inter-spike intervals (ms), NaN behind the last, shape ``(trace, spike - 1)``, at least one column."""
    isi = s.spikes.peak_ms.diff(dim=-1)
    return isi if isi.shape[1] else s.nan[:, None]


def _at(s: Sweeps, values: Tensor, k: Tensor) -> Tensor:
    """Column ``k`` of each trace, NaN where it is out of range."""
    inside = (k >= 0) & (k < values.shape[1]) & s.complete
    return s.where(inside, values.gather(1, k.clamp(0, values.shape[1] - 1)[:, None]).squeeze(1))


@feature(
    "", defined_when="the whole step was recorded", efel_name="Spikecount_stimint", needs_step=False, whole_step=True
)
def spike_count(s: Sweeps) -> Tensor:
    """Spikes whose peak lies within the step."""
    return s.where(s.complete, s.spikes.count)


@feature("Hz", defined_when="the whole step was recorded", needs_step=False, whole_step=True)
def mean_rate_hz(s: Sweeps) -> Tensor:
    """Spike count over the length of the step."""
    return spike_count(s) * 1000.0 / s.duration_ms


@feature("ms", defined_when="one spike or more", needs=ONE_SPIKE, efel_name="time_to_first_spike")
def first_spike_latency_ms(s: Sweeps) -> Tensor:
    """Time from the step's onset to the first peak."""
    return s.where(s.complete, s.spikes.peak_ms[:, 0] - s.onset_ms)


@feature("ms", defined_when="one spike or more", needs=ONE_SPIKE, efel_name="time_to_last_spike", whole_step=True)
def last_spike_ms(s: Sweeps) -> Tensor:
    """Time from the step's onset to the last peak."""
    return _at(s, s.spikes.peak_ms - s.onset_ms, s.spikes.count - 1)


@feature(
    "ms",
    defined_when="two spikes or more",
    needs=TWO_SPIKES,
    efel_name="mean of all_ISI_values",
    needs_step=False,
    whole_step=True,
)
def mean_isi_ms(s: Sweeps) -> Tensor:
    """Mean interval between peaks."""
    return s.where(s.complete, _isi(s).nanmean(-1))


@feature("ms", defined_when="two spikes or more", needs=TWO_SPIKES, efel_name="doublet_ISI", needs_step=False)
def first_isi_ms(s: Sweeps) -> Tensor:
    """First interval."""
    return s.where(s.complete, _isi(s)[:, 0])


@feature(
    "ms",
    defined_when="two spikes or more",
    needs=TWO_SPIKES,
    efel_name="last of all_ISI_values",
    needs_step=False,
    whole_step=True,
)
def last_isi_ms(s: Sweeps) -> Tensor:
    """Last interval."""
    return _at(s, _isi(s), s.spikes.count - 2)


def _mean_isi_until(s: Sweeps, until_ms: float) -> Tensor:
    """Mean interval from the first spike to a moment after the onset (ms): time over phase.

    The phase counts spikes and is linear between them, so that the value moves continuously when a spike passes the
    moment. The mean of all intervals where the train ends before it, the first one where that is longer.
    """
    peak, n = s.spikes.peak_ms - s.onset_ms, s.spikes.count
    j = (peak <= until_ms).sum(-1).clamp(min=1)
    last, following = _at(s, peak, j - 1), _at(s, peak, j)
    phase = (j - 1) + (until_ms - last) / (following - last)
    mean = (until_ms - peak[:, 0]) / phase
    first, whole = _isi(s)[:, 0], _isi(s).nanmean(-1)
    return s.where(s.complete & (n >= 2), torch.where(j >= n, whole, torch.where(j < 2, first, mean)))


@feature("ms", defined_when="two spikes or more", needs=TWO_SPIKES)
def mean_isi_to_100ms_ms(s: Sweeps) -> Tensor:
    """Mean interval from the first spike to 100 ms after the onset, the interval then under way counted in part."""
    return _mean_isi_until(s, 100.0)


@feature("ms", defined_when="two spikes or more", needs=TWO_SPIKES)
def mean_isi_to_150ms_ms(s: Sweeps) -> Tensor:
    """Mean interval from the first spike to 150 ms after the onset, the interval then under way counted in part."""
    return _mean_isi_until(s, 150.0)


@feature("ms", defined_when="two spikes or more", needs=TWO_SPIKES)
def mean_isi_to_200ms_ms(s: Sweeps) -> Tensor:
    """Mean interval from the first spike to 200 ms after the onset, the interval then under way counted in part."""
    return _mean_isi_until(s, 200.0)


@feature("ms", defined_when="two spikes or more", needs=TWO_SPIKES, whole_step=True)
def mean_isi_to_300ms_ms(s: Sweeps) -> Tensor:
    """Mean interval from the first spike to 300 ms after the onset, the interval then under way counted in part."""
    return _mean_isi_until(s, 300.0)


@feature(
    "",
    defined_when="three spikes or more",
    needs=Needs(spikes=3),
    efel_name="ISI_CV (ignore_first_ISI off)",
    needs_step=False,
    whole_step=True,
)
def isi_cv(s: Sweeps) -> Tensor:
    """Standard deviation of the intervals (n - 1) over their mean."""
    isi, n = _isi(s), s.spikes.count - 1
    mean = isi.nanmean(-1)
    variance = (isi - mean[:, None]).square().nansum(-1) / (n - 1).clamp(min=1)
    return s.where(s.complete & (n >= 2), variance.sqrt() / mean)


@feature(
    "",
    defined_when="four spikes or more, after dropping the first tenth (two at most)",
    needs=Needs(spikes=4),
    efel_name="adaptation_index",
    needs_step=False,
    whole_step=True,
)
def adaptation_index(s: Sweeps) -> Tensor:
    """Mean of (next - this) / (next + this) over neighbouring intervals: positive if the train slows down."""
    isi, n = _isi(s), s.spikes.count
    dropped = (0.1 * n + 0.5).floor().clamp(max=2)
    change = (isi[:, 1:] - isi[:, :-1]) / (isi[:, 1:] + isi[:, :-1])
    late = torch.arange(change.shape[1], device=change.device) >= dropped[:, None]
    mean = torch.where(late, change, torch.nan).nanmean(-1)
    return s.where(s.complete & (n - dropped >= 4), mean)
