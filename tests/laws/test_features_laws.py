"""What must hold for features of any trace: symmetries of voltage and time, and trains whose spikes are known."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from noble_prob.calibration.replay import TRAIN, train_features
from noble_prob.errors import UsageError
from noble_prob.features import FEATURES, find_spikes, measure
from noble_prob.noise.design import defined
from noble_prob.recording import Protocol, Recording

DT, ONSET, DURATION, TOTAL = 0.0625, 20.0, 200.0, 300.0
VOLTAGES = {
    "resting_voltage_mv",
    "steady_state_voltage_mv",
    "late_voltage_mv",
    "voltage_after_step_mv",
    "ap1_peak_mv",
    "ap1_begin_mv",
    "ap1_trough_mv",
    "ahp_depth_abs_mv",
}
TIMES = {name for name, item in FEATURES.items() if item.unit == "ms"}
CLOCKED = {f"mean_isi_to_{moment}ms_ms" for moment in (100, 150, 200, 300)}
FITTED = {"membrane_time_constant_ms", "decay_time_constant_after_stim_ms"}


def voltage(spike_ms: list[float], amplitude_pa: float, dt: float = DT, slow: float = 1.0) -> torch.Tensor:
    """A membrane of 10 ms with smooth spikes at known times; ``slow`` stretches everything in time."""
    t = torch.arange(round(TOTAL * slow / dt), dtype=torch.float64) * dt / slow
    on, off = (t - ONSET).clamp(min=0), (t - ONSET - DURATION).clamp(min=0)
    v = -70 + 0.05 * amplitude_pa * ((1 - torch.exp(-on / 10)) - (1 - torch.exp(-off / 10)))
    for at in spike_ms:
        lag = t - ONSET - at
        v = v + 95 * torch.exp(-((lag / 0.25) ** 2)) - 8 * torch.exp(-(((lag - 2) / 0.9) ** 2))
    return v


def recording(rows: list[torch.Tensor], amplitudes: list[float], dt: float = DT, slow: float = 1.0) -> Recording:
    protocol = Protocol.step_family(
        amplitudes, onset_ms=ONSET * slow, duration_ms=DURATION * slow, total_ms=TOTAL * slow, dt_ms=dt
    )
    return Recording(protocol=protocol, voltage_mv=torch.stack(rows))


def equal(a: torch.Tensor, b: torch.Tensor, tol: float = 1e-9) -> bool:
    return torch.allclose(a, b, rtol=1e-7, atol=tol, equal_nan=True)


trains = st.lists(st.floats(7.0, 30.0), min_size=0, max_size=6).map(
    lambda gaps: [sum(gaps[: k + 1]) for k in range(len(gaps))]
)


@given(trains, st.floats(-150, 150).filter(lambda pa: abs(pa) > 1))  # input resistance is a quotient
@settings(max_examples=25, deadline=None)
def test_offset_shifts_voltages_only(spike_ms, amplitude):
    v = voltage(spike_ms, amplitude)
    low, high = (measure(recording([x], [amplitude]), threshold_mv=th) for x, th in ((v, -20.0), (v + 7.0, -13.0)))
    assert torch.equal(low.mask, high.mask)
    for name in low.names:
        (a, _), (b, _) = low[name], high[name]
        assert equal(a + (7.0 if name in VOLTAGES else 0.0), b, 2e-5), name


@given(trains.filter(len), st.integers(1, 400))
@settings(max_examples=20, deadline=None)
def test_shift_in_time_changes_nothing(spike_ms, samples):
    r = recording([voltage(spike_ms, 80.0)], [80.0])
    late = samples * DT
    v = torch.cat([r.voltage_mv[:, :1].expand(-1, samples), r.voltage_mv], 1)
    protocol = Protocol.step_family(
        [80.0], onset_ms=ONSET + late, duration_ms=DURATION, total_ms=TOTAL + late, dt_ms=DT
    )
    assert equal(measure(r).value, measure(Recording(protocol=protocol, voltage_mv=v)).value, 1e-6)


@given(trains.filter(lambda s: len(s) > 1), st.sampled_from([0.5, 2.0]))
@settings(max_examples=15, deadline=None)
def test_scaled_time_scales_times_and_rates(spike_ms, slow):
    base = measure(recording([voltage(spike_ms, 80.0)], [80.0]))
    other = measure(recording([voltage(spike_ms, 80.0, DT * slow, slow)], [80.0], DT * slow, slow))
    for name in ("spike_count", "isi_cv", "ap1_peak_mv", "ap1_trough_mv", "late_voltage_mv"):
        assert equal(base[name][0], other[name][0], 1e-6), name
    for name in TIMES - FITTED - CLOCKED:
        assert equal(base[name][0] * slow, other[name][0], 1e-6), name
    assert equal(base["mean_rate_hz"][0] / slow, other["mean_rate_hz"][0])


def test_time_constants_scale_with_time():
    for slow in (0.5, 1.0, 2.0):
        f = measure(recording([voltage([], -100.0, DT * slow, slow)], [-100.0], DT * slow, slow))
        assert float(f["membrane_time_constant_ms"][0]) == pytest.approx(10 * slow, rel=1e-3)
        assert float(f["decay_time_constant_after_stim_ms"][0]) == pytest.approx(10 * slow, rel=1e-3)


@given(st.permutations(range(5)))
@settings(max_examples=10, deadline=None)
def test_order_of_the_batch_does_not_matter(order):
    sweeps = [[], [8.0], [10.0, 33.0], [5.5, 19.0, 44.0], [7.0, 20.0, 60.0, 90.0, 130.0]]
    v = torch.stack([torch.stack([voltage(s, 60.0), voltage([], -60.0)]) for s in sweeps])
    protocol = Protocol.step_family([60.0, -60.0], onset_ms=ONSET, duration_ms=DURATION, total_ms=TOTAL, dt_ms=DT)
    r = Recording(protocol=protocol, voltage_mv=v, axes=("neuron",))
    assert equal(measure(r).value[order], measure(replace(r, voltage_mv=v[order])).value)


def test_chunks_do_not_change_the_result(monkeypatch):
    v = torch.stack([voltage([6.0 + k, 40.0], 50.0) for k in range(7)])[:, None]
    protocol = Protocol.step_family([50.0], onset_ms=ONSET, duration_ms=DURATION, total_ms=TOTAL, dt_ms=DT)
    r = Recording(protocol=protocol, voltage_mv=v, axes=("neuron",))
    whole = measure(r).value
    monkeypatch.setattr(sys.modules["noble_prob.features.measure"], "CHUNK_SAMPLES", 2 * v.shape[-1])
    assert equal(whole, measure(r).value)


def test_missing_samples_mask_what_they_touch():
    v = voltage([8.0, 30.0], 60.0)
    gone, before, inside = torch.full_like(v, torch.nan), v.clone(), v.clone()
    before[5], inside[1600] = torch.nan, torch.nan
    f = measure(recording([v, gone, before, inside], [60.0] * 4))
    assert not f.mask[1].any()
    assert torch.equal(f.mask, torch.isfinite(f.value))
    assert f["spike_count"][1].tolist() == [True, False, True, False]
    assert f["resting_voltage_mv"][1].tolist() == [True, False, True, True]


@pytest.mark.parametrize("gone", [slice(0, 1), slice(40, 300), slice(319, 320)])
def test_the_resting_voltage_is_the_mean_of_the_samples_that_exist(gone):
    whole = voltage([8.0], 60.0) + torch.linspace(0, 3, round(TOTAL / DT))
    v, spike, none = whole.clone(), whole.clone(), whole.clone()
    v[gone] = spike[gone] = none[: round(ONSET / DT)] = torch.nan
    spike[10] = 20.0
    found, mask = measure(recording([v, spike, none], [60.0] * 3))["resting_voltage_mv"]
    base = v[: round(ONSET / DT)]
    assert float(found[0]) == pytest.approx(float(base[torch.isfinite(base)].mean()))
    assert mask.tolist() == [True, False, False]


@given(trains.filter(len), st.sampled_from([0.02, 0.0625, 0.1]))
@settings(max_examples=25, deadline=None)
def test_known_trains_are_found_between_samples(spike_ms, dt):
    r = recording([voltage(spike_ms, 0.0, dt)], [0.0], dt)
    f = measure(r)
    truth = torch.tensor(spike_ms, dtype=torch.float64)
    found = find_spikes(r.voltage_mv, r.time_ms).peak_ms[0] - ONSET
    assert len(found) == len(truth)
    assert float((found - truth).abs().max()) < 0.15 * dt + 0.002
    assert float(f["spike_count"][0]) == len(truth)
    assert float(f["first_spike_latency_ms"][0]) == pytest.approx(float(truth[0]), abs=0.15 * dt + 0.002)
    assert float(f["last_spike_ms"][0]) == pytest.approx(float(truth[-1]), abs=0.15 * dt + 0.002)
    assert bool(f["mean_isi_ms"][1]) == (len(truth) > 1)
    if len(truth) > 1:
        assert float(f["mean_isi_ms"][0]) == pytest.approx(float(truth.diff().mean()), abs=0.02)


def test_times_of_single_precision_traces_do_not_depend_on_the_hour():
    """An hour into a session the steps of single precision are 0.25 ms, those of the time axis are not."""
    names = ("first_spike_latency_ms", "last_spike_ms", "mean_isi_ms", "mean_isi_to_100ms_ms", "isi_cv")
    early = recording([voltage([7.3, 20.1, 40.7, 71.9, 110.2], 80.0).float()], [80.0])
    hour = 3.6e6
    steps = [replace(s, onset_ms=s.onset_ms + hour) for s in early.steps]
    late = Recording(
        protocol=replace(early.protocol, time_ms=early.time_ms + hour, steps=steps), voltage_mv=early.voltage_mv
    )
    times = [find_spikes(r.voltage_mv, r.time_ms).peak_ms for r in (early, late)]
    torch.testing.assert_close(times[1] - hour, times[0], rtol=0, atol=1e-6)
    values = [measure(r, names=names).value for r in (early, late)]
    assert values[0].dtype == torch.float32
    torch.testing.assert_close(values[1], values[0], rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("spike_ms", "expected"),
    [
        ([10.0, 20.0, 40.0, 70.0, 110.0, 160.0], 24.0),  # 90 ms hold 3.75 intervals
        ([10.0, 30.0, 50.0], 20.0),  # the train is over
        ([20.0, 130.0], 110.0),  # the first interval is longer
        ([110.0, 125.0], 15.0),  # so late was the first spike
        ([10.0], float("nan")),
    ],
)
def test_mean_intervals_to_a_moment_are_time_over_phase(spike_ms, expected):
    found = measure(recording([voltage(spike_ms, 80.0)], [80.0]), names=("mean_isi_to_100ms_ms",)).value[0, 0]
    assert float(found) == pytest.approx(expected, abs=0.02, nan_ok=True)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_mean_intervals_to_a_moment_move_continuously_when_a_spike_passes_it(k):
    near = [[30.0 * i + (100.0 + side - 30.0 * k) for i in range(6)] for side in (-0.01, 0.01)]
    found = measure(
        recording([voltage([x for x in s if x > 0], 80.0) for s in near], [80.0, 80.0]), names=("mean_isi_to_100ms_ms",)
    ).value[:, 0]
    assert float((found[0] - found[1]).abs()) < 0.05


def test_spikes_at_the_edges_of_a_window_are_kept_or_dropped_whole():
    r = recording([voltage([10.0, 50.0, 90.0], 0.0)], [0.0])
    for stop, n in ((ONSET + 49.9, 1), (ONSET + 50.1, 2), (ONSET + 91.0, 3)):
        assert int(find_spikes(r.voltage_mv, r.time_ms, stop_ms=stop).count) == n
    starts = torch.tensor([ONSET + 10.1], dtype=torch.float64)
    assert int(find_spikes(r.voltage_mv, r.time_ms, start_ms=starts).count) == 2


def test_common_window_equals_a_shorter_step():
    v = voltage([8.0, 30.0, 70.0], 60.0)
    short = Protocol.step_family([60.0], onset_ms=ONSET, duration_ms=50.0, total_ms=TOTAL, dt_ms=DT)
    a = measure(recording([v], [60.0]), window_ms=50.0)
    b = measure(Recording(protocol=short, voltage_mv=v[None]))
    for name in set(a.names) - {"decay_time_constant_after_stim_ms", "voltage_after_step_mv"}:
        assert equal(a[name][0], b[name][0]), name
    assert not a["voltage_after_step_mv"][1].any()


def test_a_sweep_without_a_step_has_only_what_needs_none():
    r = recording([voltage([8.0, 30.0, 70.0], 60.0)], [60.0])
    free = replace(r, protocol=replace(r.protocol, steps=(None,)))
    f = measure(free)
    assert {n for n in f.names if f[n][1].all()} <= {n for n, item in FEATURES.items() if not item.needs_step}
    assert float(f["spike_count"][0]) == 3
    assert float(f["mean_rate_hz"][0]) == pytest.approx(1000 * 3 / TOTAL)


def test_single_precision_is_enough():
    r = recording([voltage([8.0, 30.0, 70.0], 60.0), voltage([], -100.0)], [60.0, -100.0])
    a, b = measure(r), measure(replace(r, voltage_mv=r.voltage_mv.float()))
    assert b.value.dtype == torch.float32
    assert torch.equal(a.mask, b.mask)
    assert float((a.value - b.value)[a.mask].abs().max()) < 2e-3


def test_export_says_none_where_undefined():
    f = measure(recording([voltage([], 60.0)], [60.0]), names=["ap1_peak_mv", "spike_count"])
    assert f.to_dict() == {
        "ap1_peak_mv": {"unit": "mV", "value": [None]},
        "spike_count": {"unit": "", "value": [0.0]},
    }


def test_wrong_use_is_named():
    r = recording([voltage([], 60.0)], [60.0])
    with pytest.raises(UsageError, match="names"):
        measure(r, names=["spike_cuont"])
    with pytest.raises(UsageError, match="window_ms"):
        measure(r, window_ms=0.0)
    with pytest.raises(UsageError, match="name"):
        measure(r, names=["spike_count"])["ap1_peak_mv"]


def charging(*constants_ms):
    """Steps of -50 pA that charge a membrane by 10 mV with these time constants."""
    protocol = Protocol.step_family(
        [-50.0] * len(constants_ms), onset_ms=50.0, duration_ms=400.0, total_ms=500.0, dt_ms=0.05
    )
    since = (protocol.time_ms - 50.0).clamp(min=0)
    rows = [-70.0 - 10.0 * (1 - torch.exp(-since / tau)) for tau in constants_ms]
    return Recording(protocol=protocol, voltage_mv=torch.stack(rows))


def test_a_time_constant_does_not_depend_on_the_other_sweeps():
    names = ["membrane_time_constant_ms"]
    alone = measure(charging(1.0), names=names).value[0, 0]
    beside = measure(charging(1.0, 80.0), names=names).value[0, 0]
    assert float(alone) == pytest.approx(float(beside), rel=1e-6)
    assert float(alone) == pytest.approx(1.0, rel=1e-3)


def test_a_train_s_isi_cv_is_that_of_the_recording():
    times = torch.tensor([20.0, 50.0, 110.0])
    intervals = torch.diff(times)
    column = list(TRAIN).index("isi_cv")
    assert train_features(times.numpy())[column] == pytest.approx(float(intervals.std() / intervals.mean()))


@given(trains, st.sampled_from([-120.0, 0.0, 40.0]))
@settings(max_examples=20, deadline=None)
def test_what_the_likelihood_takes_for_defined_is_what_is_measured(spike_ms, amplitude):
    names = tuple(FEATURES)
    found = measure(recording([voltage(spike_ms, amplitude)], [amplitude]), names=names)
    count = torch.tensor([len(spike_ms)])
    expected = defined(names, count, torch.tensor([amplitude]))[0]
    unlike = [n for n, a, b in zip(names, found.mask[0].tolist(), expected.tolist(), strict=True) if a and not b]
    assert unlike == []
    always = {"sag_mv", "sag_ratio", "membrane_time_constant_ms", "input_resistance_mohm", "voltage_deflection_mv"}
    missing = [n for n, a, b in zip(names, found.mask[0].tolist(), expected.tolist(), strict=True) if b and not a]
    assert not always & set(missing)
