"""Resampling keeps what the first rate held: band-limited signals, spike times, held currents, gaps; no folding."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from noble_prob.errors import UsageError
from noble_prob.recording import Protocol, Recording
from noble_prob.resample import hold, ratio, resample, resample_voltage

INTERVALS = st.sampled_from([0.02, 0.025, 0.04, 0.05, 0.06, 0.0625, 0.1, 0.2, 0.25, 1 / 30, 1 / 44.1])


def of(rate_from, rate_to):
    return ratio(rate_from, rate_to)


def spike_train(time_ms, at_ms):
    """Spikes of 1 ms width on a slow depolarisation: what a membrane filter lets through."""
    spikes = sum(90 * np.exp(-0.5 * ((time_ms - t) / 0.42) ** 2) for t in at_ms)
    return -65 + spikes + 5 * np.sin(2 * np.pi * time_ms / 80)


def peak_times(voltage, dt, level=0.0):
    """Peaks above a level, by the parabola through three samples (ms)."""
    k = np.flatnonzero((voltage[1:-1] > level) & (voltage[1:-1] >= voltage[:-2]) & (voltage[1:-1] > voltage[2:])) + 1
    a, b, c = voltage[k - 1], voltage[k], voltage[k + 1]
    return (k + 0.5 * (a - c) / (a - 2 * b + c)) * dt


@settings(max_examples=40, deadline=None)
@given(dt_from=INTERVALS, dt_to=INTERVALS, share=st.floats(0.05, 0.8), phase=st.floats(0, 6.28))
def test_a_band_limited_signal_is_preserved(dt_from, dt_to, share, phase):
    frequency = share * 0.5 / max(dt_from, dt_to)
    fraction = of(dt_from, dt_to)
    time = np.arange(round(300 / dt_from)) * dt_from
    out = resample_voltage(torch.from_numpy(-60 + 10 * np.sin(2 * np.pi * frequency * time + phase)), fraction).numpy()
    grid = np.arange(len(out)) * dt_to
    true = -60 + 10 * np.sin(2 * np.pi * frequency * grid + phase)
    inner = (grid > 20) & (grid < 280)
    assert np.abs(out - true)[inner].max() < 0.01


@settings(max_examples=15, deadline=None)
@given(share=st.floats(1.02, 1.9))
def test_what_the_new_rate_can_not_hold_is_removed_not_folded(share):
    """20 kHz to 4 kHz: a tone above 2 kHz must not come back as a slower one."""
    time = np.arange(10_000) * 0.05
    tone = torch.from_numpy(10 * np.sin(2 * np.pi * share * 2.0 * time))
    inner = resample_voltage(tone, of(0.05, 0.25))[100:-100]
    assert inner.abs().max() < 0.01


@pytest.mark.parametrize(
    ("dt_from", "dt_to", "error_ms"),
    [(0.05, 0.0625, 0.004), (0.1, 0.0625, 0.004), (0.25, 0.0625, 0.02), (0.02, 0.0625, 0.004), (0.0625, 0.02, 0.004)],
)
def test_spike_times_are_preserved(dt_from, dt_to, error_ms):
    rng = np.random.default_rng(1)
    at = np.cumsum(rng.uniform(6, 20, size=30))
    time = np.arange(round((at[-1] + 30) / dt_from)) * dt_from
    out = resample_voltage(torch.from_numpy(spike_train(time, at)), of(dt_from, dt_to)).numpy()
    found = peak_times(out, dt_to)
    true = peak_times(spike_train(np.arange(0, at[-1] + 30, 0.001), at), 0.001)
    assert len(found) == len(at)
    assert np.abs(found - true).max() < error_ms


@settings(max_examples=40, deadline=None)
@given(dt_from=INTERVALS, dt_to=INTERVALS, edge=st.integers(1, 900), seed=st.integers(0, 99))
def test_a_held_current_takes_no_new_value(dt_from, dt_to, edge, seed):
    current = torch.zeros(1000, dtype=torch.float64)
    current[edge:] = 120.0
    out = hold(current, of(dt_from, dt_to))
    assert set(out.tolist()) <= {0.0, 120.0}
    assert torch.all(torch.diff(out) >= 0)
    begins = int((out == 0).sum()) * dt_to
    assert edge * dt_from - 1e-6 <= begins < edge * dt_from + dt_to


@settings(max_examples=20, deadline=None)
@given(dt_to=INTERVALS, start=st.integers(0, 800), length=st.integers(1, 150))
def test_gaps_stay_gaps_and_do_not_spread(dt_to, start, length):
    voltage = torch.linspace(-70, -60, 1000, dtype=torch.float64).clone()
    voltage[start : start + length] = float("nan")
    out = resample_voltage(voltage, of(0.05, dt_to))
    time = torch.arange(len(out)) * dt_to
    inside = (time >= start * 0.05 + 1e-6) & (time < (start + length) * 0.05 - 1e-6)
    assert torch.isnan(out[inside]).all()
    away = (time < start * 0.05 - 1e-6) | (time > (start + length) * 0.05 + 1e-6)
    assert torch.isfinite(out[away]).all()


def test_resample_keeps_steps_axes_and_says_so():
    protocol = Protocol.step_family([50.0, 90.0], dt_ms=0.05, total_ms=500.0)
    recording = Recording(
        protocol=protocol,
        voltage_mv=torch.randn(4, 2, 10_000, generator=torch.Generator().manual_seed(0)),
        axes=("draw",),
    )
    out = resample(recording, dt_ms=0.0625)
    assert tuple(out.voltage_mv.shape) == (4, 2, 8000)
    assert out.voltage_mv.dtype == recording.voltage_mv.dtype
    assert (out.steps, out.axes) == (recording.steps, ("draw",))
    assert out.provenance["resampled"] == {"from_dt_ms": 0.05, "to_dt_ms": 0.0625}
    assert resample(recording, dt_ms=0.05) is recording


def test_ratio_is_exact_or_refused():
    assert of(0.05, 0.0625) == Fraction(4, 5)
    assert of(0.25, 0.0625) == 4
    assert float(of(0.05, 0.05 * np.e)) == pytest.approx(1 / np.e, rel=1e-6)
    for bad in (float("nan"), 0.0, -1.0, 62.5):
        with pytest.raises(UsageError):
            of(0.05, bad)
