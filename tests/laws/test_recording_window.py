"""The common window: shifted, never stretched; what exists is kept, what is missing is masked."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from noble_prob.errors import UsageError
from noble_prob.recording import Protocol, Recording
from noble_prob.resample import resample
from noble_prob.windows import common_until_ms, to_grid


def smooth(time_ms):
    return -60 + 8 * np.sin(2 * np.pi * time_ms / 37) + 3 * np.cos(2 * np.pi * time_ms / 11)


def recording_of(onset_ms, duration_ms, total_ms, dt_ms, amplitudes=(30.0, 80.0)):
    protocol = Protocol.step_family(
        amplitudes, onset_ms=onset_ms, duration_ms=duration_ms, total_ms=total_ms, dt_ms=dt_ms
    )
    since = protocol.time_ms.numpy() - onset_ms
    return Recording(
        protocol=protocol,
        voltage_mv=torch.from_numpy(np.stack([smooth(since + 5 * i) for i in range(len(amplitudes))])),
    )


@settings(max_examples=40, deadline=None)
@given(
    samples=st.integers(0, 3000),
    duration=st.integers(100, 1500),
    rest=st.integers(0, 300),
    dt=st.sampled_from([0.05, 0.1, 0.25, 0.0625, 0.02, 1 / 30]),
)
def test_a_step_lands_on_the_onset_and_time_is_only_shifted(samples, duration, rest, dt):
    onset = samples * dt
    recording = recording_of(onset, duration, onset + duration + rest, dt)
    grid = to_grid(recording)
    assert tuple(grid.voltage_mv.shape) == (2, 8192)
    assert (grid.dt_ms, grid.time_ms[0].item()) == (0.0625, 0.0)
    since = grid.time_ms.numpy() - 12.0
    known = torch.isfinite(grid.voltage_mv[0]).numpy()
    edge = 40 * max(dt, 0.0625)
    inner = (since > -onset + edge) & (since < duration + rest - edge)
    for i in range(2):
        assert np.abs(grid.voltage_mv[i].numpy() - smooth(since + 5 * i))[inner & known].max(initial=0) < 0.02
    exists = (since >= -onset + 2 * dt) & (since < duration + rest - 2 * dt)
    assert known[exists].all()
    assert not known[(since < -onset - dt) | (since > duration + rest + dt)].any()
    on = grid.current_pa[1] > 0
    assert not on[:192].any()
    assert on[192]
    assert on.sum() * 0.0625 == pytest.approx(min(duration, 500), abs=0.07 + dt) or rest == 0


@pytest.mark.parametrize(
    ("duration", "until"), [(100.0, 112.0), (250.0, 262.0), (400.0, 412.0), (500.0, 412.0), (2000.0, 412.0)]
)
def test_the_window_ends_with_the_shorter_step(duration, until):
    grid = to_grid(recording_of(50.0, duration, 50.0 + duration + 200.0, 0.1))
    assert common_until_ms(grid).tolist() == [until, until]
    assert [sweep["common_until_ms"] for sweep in grid.provenance["sweeps"]] == [until, until]
    assert grid.select([1]).provenance["sweeps"] == [grid.provenance["sweeps"][1]]
    assert torch.isfinite(grid.voltage_mv[:, grid.time_ms < until - 1e-9]).all()
    assert grid.steps[0].duration_ms == pytest.approx(duration)


def test_missing_samples_are_masked_and_counted():
    grid = to_grid(recording_of(5.0, 150.0, 200.0, 0.05))
    missing = torch.isnan(grid.voltage_mv)
    assert missing[:, : round(7 / 0.0625)].all()
    assert missing[:, round(207 / 0.0625) + 1 :].all()
    assert not missing[:, 113:3311].any()
    assert grid.provenance["window"]["missing_samples"] == int(missing.sum())
    assert torch.isfinite(grid.current_pa).all()


def test_a_grid_is_a_fixed_point():
    grid = to_grid(recording_of(50.0, 300.0, 700.0, 0.1))
    again = to_grid(grid)
    assert torch.equal(again.voltage_mv, grid.voltage_mv)
    assert torch.equal(again.current_pa, grid.current_pa)
    assert again.steps == grid.steps


@pytest.mark.parametrize("first_ms", [-50.0, 30.0, 1000.0])
def test_a_time_axis_may_begin_anywhere(first_ms):
    recording = recording_of(50.0, 300.0, 700.0, 0.1)
    steps = tuple(replace(step, onset_ms=step.onset_ms + first_ms) for step in recording.steps)
    protocol = replace(recording.protocol, time_ms=recording.time_ms + first_ms, steps=steps)
    shifted = replace(recording, protocol=protocol)
    grid, plain = to_grid(shifted), to_grid(recording)
    assert torch.equal(grid.voltage_mv, plain.voltage_mv)
    assert torch.equal(grid.current_pa, plain.current_pa)
    assert grid.provenance["sweeps"][0]["grid_from_ms"] == pytest.approx(38.0 + first_ms)
    coarse = resample(shifted, dt_ms=0.25)
    assert coarse.time_ms[0] == first_ms
    assert float(coarse.time_ms[coarse.current_pa[0] > 0][0]) == pytest.approx(steps[0].onset_ms, abs=0.25)


def test_leading_axes_are_kept():
    recording = recording_of(50.0, 300.0, 700.0, 0.1)
    ensemble = Recording(
        protocol=recording.protocol, voltage_mv=torch.stack([recording.voltage_mv] * 3), axes=("trial",)
    )
    grid = to_grid(ensemble)
    assert grid.axes == ("trial",)
    assert torch.equal(grid.voltage_mv[2], to_grid(recording).voltage_mv)


def test_short_steps_and_waveforms_are_refused():
    with pytest.raises(UsageError, match="100 ms"):
        to_grid(recording_of(50.0, 80.0, 300.0, 0.1))
    recording = recording_of(50.0, 200.0, 300.0, 0.1)
    protocol = Protocol(time_ms=recording.time_ms, current_pa=recording.current_pa, steps=(None, recording.steps[1]))
    with pytest.raises(UsageError, match=r"select\(\[1\]\)"):
        to_grid(Recording(protocol=protocol, voltage_mv=recording.voltage_mv))
    with pytest.raises(UsageError, match="onset_ms"):
        to_grid(recording, onset_ms=600.0)
