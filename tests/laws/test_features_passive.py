"""Passive membranes have known features: those of a resistor and a capacitor, and of sag added to them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from noble_prob.cells import load_cell
from noble_prob.features import fi_curve, measure
from noble_prob.recording import Protocol, Recording, Step


def respond(protocol: Protocol, resistance_mohm: float, tau_ms: float, sag_mv: float = 0.0) -> torch.Tensor:
    """Exact response of an RC membrane at -70 mV, with a sag that relaxes with 40 ms."""
    rows = []
    for step in protocol.steps:
        on, off = ((protocol.time_ms - edge).clamp(min=0) for edge in (step.onset_ms, step.offset_ms))
        charge = torch.exp(-off / tau_ms) - torch.exp(-on / tau_ms)
        ramp = (1 - torch.exp(-on / 40)) * torch.exp(-off / tau_ms)
        rows.append(-70 + 1e-3 * resistance_mohm * step.amplitude_pa * charge + sag_mv * ramp)
    return torch.stack(rows)


@given(st.floats(40, 500), st.floats(2.0, 40.0), st.sampled_from([0.02, 0.0625, 0.25]), st.floats(-200, -20))
@settings(max_examples=30, deadline=None)
def test_resistor_and_capacitor(resistance, tau, dt, amplitude):
    protocol = Protocol.step_family([amplitude], onset_ms=50, duration_ms=500, total_ms=700, dt_ms=dt)
    f = measure(Recording(protocol=protocol, voltage_mv=respond(protocol, resistance, tau)))
    value = {name: float(f[name][0]) for name in f.names}
    deflection = 1e-3 * resistance * amplitude
    assert value["resting_voltage_mv"] == pytest.approx(-70, abs=1e-9)
    assert value["voltage_deflection_mv"] == pytest.approx(deflection, rel=1e-4)
    assert value["input_resistance_mohm"] == pytest.approx(resistance, rel=1e-4)
    assert value["sag_mv"] == pytest.approx(0, abs=2e-4 * abs(deflection))
    assert value["spike_count"] == 0
    if deflection < -1.5:
        assert value["membrane_time_constant_ms"] == pytest.approx(tau, rel=2e-3)
        assert value["decay_time_constant_after_stim_ms"] == pytest.approx(tau, rel=2e-3)
    if deflection > -0.9:
        assert not f["membrane_time_constant_ms"][1].any()


@given(st.floats(0.5, 6.0))
@settings(max_examples=10, deadline=None)
def test_sag_is_the_rise_from_the_lowest_point(sag):
    protocol = Protocol.step_family([-110.0], onset_ms=50, duration_ms=500, total_ms=700)
    v = respond(protocol, 150, 8, sag)
    f = measure(Recording(protocol=protocol, voltage_mv=v))
    inside = (protocol.time_ms >= 50) & (protocol.time_ms < 550)
    late = (protocol.time_ms >= 500) & (protocol.time_ms < 550)
    expected = float(v[0, late].mean() - v[0, inside].min())
    assert float(f["sag_mv"][0]) == pytest.approx(expected, rel=1e-6)
    assert float(f["sag_ratio"][0]) == pytest.approx(expected / float(-70 - v[0, inside].min()), rel=1e-6)


def test_noise_moves_the_time_constant_little():
    protocol = Protocol.step_family([-110.0], onset_ms=50, duration_ms=500, total_ms=700)
    noise = 0.2 * torch.randn(
        64, 1, len(protocol.time_ms), generator=torch.Generator().manual_seed(4), dtype=torch.float64
    )
    r = Recording(protocol=protocol, voltage_mv=respond(protocol, 150, 12)[None] + noise, axes=("trial",))
    tau = measure(r, names=["membrane_time_constant_ms"]).value
    assert float((tau.mean() - 12).abs()) < 0.15
    assert float(tau.std()) < 0.5


def test_depolarising_and_silent_sweeps_have_what_makes_sense():
    protocol = Protocol.step_family([-100.0, 0.0, 50.0], onset_ms=50, duration_ms=500, total_ms=700)
    f = measure(Recording(protocol=protocol, voltage_mv=respond(protocol, 100, 10)))
    assert f["sag_mv"][1].tolist() == [True, False, False]
    assert f["input_resistance_mohm"][1].tolist() == [True, False, True]
    assert f["first_spike_latency_ms"][1].tolist() == [False, False, False]
    assert f["spike_count"][0].tolist() == [0, 0, 0]


def trains(protocol: Protocol, rates_hz: list[float]) -> torch.Tensor:
    """Regular trains of these rates on a flat line."""
    v = torch.full(protocol.current_pa.shape, -70.0, dtype=torch.float64)
    for row, rate, step in zip(v, rates_hz, protocol.steps, strict=True):
        count = int(rate * step.duration_ms / 1000)
        for at in (step.onset_ms + 1000 * (n + 0.5) / rate for n in range(count)):
            near = slice(int((at - 3) / protocol.dt_ms), int((at + 3) / protocol.dt_ms))
            row[near] += 90 * torch.exp(-(((protocol.time_ms[near] - at) / 0.3) ** 2))
    return v


@given(st.floats(200, 600), st.floats(10, 60))
@settings(max_examples=8, deadline=None)
def test_fi_curve_of_a_known_neuron(slope, threshold):
    """Trains of the rate ``slope * (I - threshold)``, in Hz and pA, give back both."""
    amps = torch.arange(-20.0, 200.0, 10.0)
    protocol = Protocol.step_family(amps.tolist(), onset_ms=10, duration_ms=500, total_ms=520, dt_ms=0.1)
    v = trains(protocol, [max(slope * (a - threshold) / 1000, 0.0) for a in amps.tolist()])
    curve = fi_curve(Recording(protocol=protocol, voltage_mv=v))
    spiking = (v > -20).any(-1)
    assert float(curve["rheobase_pa"][0]) == float(amps[spiking].min())
    assert float(curve["fi_slope_hz_per_na"][0]) == pytest.approx(slope, rel=0.02)
    assert bool((curve.rate_hz[~spiking] == 0).all())


def test_fi_curve_of_a_silent_neuron_is_undefined():
    protocol = Protocol.step_family([0.0, 50.0])
    curve = fi_curve(Recording(protocol=protocol, voltage_mv=torch.full((3, 2, 8192), -70.0), axes=("neuron",)))
    assert curve.value.shape == (3, 3)
    assert not curve.mask.any()


@pytest.mark.parametrize(
    ("amps", "rates", "rheobase"),
    [
        ([100.0, 180.0, 250.0], [10.0, 20.0, 30.0], None),  # 100 pA is only an upper bound
        ([50.0, 100.0, 180.0], [0.0, 20.0, 30.0], 100.0),
        ([-20.0, 100.0], [10.0, 20.0], -20.0),  # it fires by itself
        ([50.0, 100.0, 180.0], [float("nan"), 20.0, 30.0], None),  # whether it fires at 50 pA was not recorded
    ],
)
def test_a_rheobase_has_a_silent_step_below_it(amps, rates, rheobase):
    protocol = Protocol.step_family(amps, onset_ms=10, duration_ms=500, total_ms=520, dt_ms=0.1)
    v = trains(protocol, [0.0 if rate != rate else rate for rate in rates])
    v[[rate != rate for rate in rates]] = torch.nan
    value, defined = fi_curve(Recording(protocol=protocol, voltage_mv=v))["rheobase_pa"]
    assert bool(defined) == (rheobase is not None)
    assert bool(torch.isnan(value)) if rheobase is None else float(value) == rheobase


def test_fi_intercept_is_where_the_power_law_ends():
    """Rates ``3 (I - 20 pA) ** (2/3)`` extrapolate to 20 pA, between the currents used."""
    amps = [15.0, 25.0, 35.0, 55.0, 85.0, 125.0]
    protocol = Protocol.step_family(amps, onset_ms=10, duration_ms=500, total_ms=520, dt_ms=0.1)
    v = trains(protocol, [3.0 * max(a - 20.0, 0.0) ** (2 / 3) for a in amps])
    curve = fi_curve(Recording(protocol=protocol, voltage_mv=v))
    assert float(curve["fi_intercept_pa"][0]) == pytest.approx(20.0, abs=0.2)


@pytest.mark.parametrize("name", ["pvalb-689331391", "vip-650077366"])
def test_features_mean_what_they_meant_when_the_decoders_were_trained(name):
    """A definition that drifts moves every neuron in the latent space; 100 samples in the fit in place of 250 do."""
    cell = load_cell(name)
    recording, truth = cell.demo
    measured, space = measure(recording), cell.decoder.space
    first = {
        "resting_voltage": "resting_voltage_mv",
        "voltage_deflection": "voltage_deflection_mv",
        "sag": "sag_mv",
        "log_time_constant": "membrane_time_constant_ms",
    }
    for latent, feature in first.items():
        value = measured[feature][0][0].double()
        value = value.log() if latent.startswith("log_") else value
        sd = float(space.sd[space.names.index(latent)])
        assert float(value) == pytest.approx(truth[latent], abs=0.05 * sd), latent


@pytest.mark.parametrize(("onset_ms", "duration_ms"), [(99.95, 400.0), (50.03, 0.02)])
def test_a_step_without_a_sample_has_no_features_of_it(onset_ms, duration_ms):
    """It begins after the last sample, or ends before the next one."""
    time = torch.arange(1000, dtype=torch.float64) * 0.1
    step = Step(onset_ms=onset_ms, duration_ms=duration_ms, amplitude_pa=-50.0)
    protocol = Protocol(time_ms=time, current_pa=torch.zeros(1, 1000), steps=[step])
    found = measure(Recording(protocol=protocol, voltage_mv=torch.full((1, 1000), -70.0)))
    defined = {name for name, known in zip(found.names, found.mask[0].tolist(), strict=True) if known}
    assert defined <= {"resting_voltage_mv", "voltage_after_step_mv"}


@pytest.mark.parametrize(("deflection_mv", "fitted"), [(-0.9, False), (-1.1, True)])
def test_a_response_of_less_than_a_millivolt_has_no_time_constant(deflection_mv, fitted):
    """What moves less is as large as noise, and the constant of noise is any number."""
    protocol = Protocol.step_family([-10.0], onset_ms=50, duration_ms=500, total_ms=700)
    f = measure(Recording(protocol=protocol, voltage_mv=respond(protocol, -100 * deflection_mv, 10)))
    assert float(f["voltage_deflection_mv"][0]) == pytest.approx(deflection_mv, rel=1e-3)
    for name in ("membrane_time_constant_ms", "decay_time_constant_after_stim_ms"):
        assert f[name][1].tolist() == [fitted], name
        if fitted:
            assert float(f[name][0]) == pytest.approx(10, rel=0.01)


def test_slope_and_intercept_are_fitted_to_their_own_ranges_of_current():
    """A curve that bends 100 and 200 pA above its rheobase: 100 pA count for the slope, 200 for the intercept."""
    amps = np.array([20.0, 50.0, 80.0, 120.0, 150.0, 180.0, 220.0, 260.0, 300.0])
    rates = np.array([8.0, 20.0, 32.0, 48.0, 52.0, 57.0, 61.0, 61.0, 61.0])
    protocol = Protocol.step_family(amps.tolist(), onset_ms=10, duration_ms=500, total_ms=520, dt_ms=0.1)
    curve = fi_curve(Recording(protocol=protocol, voltage_mv=trains(protocol, rates.tolist())))
    assert curve.rate_hz.tolist() == pytest.approx(rates.tolist(), rel=0.01)
    near, mid = amps <= 120, amps <= 220
    slope = np.polyfit(amps[near], rates[near], 1)[0]
    assert float(curve["fi_slope_hz_per_na"][0]) == pytest.approx(1000 * slope, rel=0.01)
    gain, offset = np.polyfit(amps[mid], rates[mid] ** 1.5, 1)
    assert float(curve["fi_intercept_pa"][0]) == pytest.approx(-offset / gain, abs=0.5)
