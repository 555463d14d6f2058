"""The simulator against what is known: a membrane with a closed form, its own finer self, and the protocol's edges."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from noble_prob.features import measure
from noble_prob.population.accept import judge_models
from noble_prob.population.builtin import ACCEPTED, BUILTIN_TARGETS, builtin_cell, builtin_hof
from noble_prob.population.hof import CellModel
from noble_prob.population.simulate import simulate
from noble_prob.population.stimuli import OUNoise, ramp, steps, waveform
from noble_prob.population.trace import Numerics, interpolate
from noble_prob.recording import Protocol, Step

RADIUS_UM, G_PAS, CM = 10.0, 1e-4, 1.0
PASSIVE = {"Ra": 100.0} | {
    f"{s}.{n}": v for s in ("soma", "dend") for n, v in (("cm", CM), ("g_pas", G_PAS), ("e_pas", -70.0))
}


def membrane():
    return CellModel(label="ball", swc=f"1 1 0 0 0 {RADIUS_UM} -1\n", parameters=PASSIVE)


def closed_form(t_ms, current_pa):
    """V = E + I R (1 - exp(-t / tau)) of an isopotential sphere (a cylinder of equal area)."""
    area_cm2 = 4 * np.pi * (RADIUS_UM * 1e-4) ** 2
    resistance_gohm = 1e-9 / (G_PAS * area_cm2)
    tau_ms = 1e-3 * CM / G_PAS
    return -70 + current_pa * resistance_gohm * (1 - np.exp(-np.clip(t_ms, 0, None) / tau_ms))


def test_a_passive_sphere_charges_as_the_closed_form_says():
    protocol = steps([Step(onset_ms=10, duration_ms=80, amplitude_pa=-50)], total_ms=90, dt_ms=0.1)
    v = simulate(membrane(), protocol, progress=False).voltage_mv[0].numpy()
    assert np.abs(v - closed_form(protocol.time_ms.numpy() - 10, -50.0)).max() < 0.02


def test_holding_current_shifts_the_rest_before_the_pulse():
    pulse = Step(onset_ms=20, duration_ms=20, amplitude_pa=0.0, holding_pa=-30)
    v = simulate(membrane(), steps([pulse], total_ms=50, dt_ms=0.1), progress=False).voltage_mv[0]
    assert v[0] == pytest.approx(closed_form(1e6, -30.0), abs=1e-3)


def test_a_ramp_given_as_samples_equals_its_analytic_response():
    protocol = ramp([40.0], onset_ms=3.0, duration_ms=50.0, total_ms=53.0, dt_ms=0.1)
    v = simulate(membrane(), protocol, progress=False).voltage_mv[0].numpy()
    tau, final = 1e-3 * CM / G_PAS, closed_form(1e9, 40.0) + 70
    t = np.clip(protocol.time_ms.numpy() - 3, 0, None)
    assert np.abs(v - (-70 + final / 50 * (t - tau * (1 - np.exp(-t / tau))))).max() < 0.05


def test_a_step_and_the_same_step_as_a_waveform_agree():
    step = Protocol.step_family([150.0], onset_ms=5, duration_ms=40, total_ms=60, dt_ms=0.025)
    drawn = waveform(step.current_pa, dt_ms=0.025)
    a, b = (measure_times(simulate(builtin_cell(), p, progress=False)) for p in (step, drawn))
    assert len(a) > 2
    np.testing.assert_allclose(a, b, atol=0.05)


def measure_times(recording):
    from noble_prob.features import find_spikes

    return find_spikes(recording.voltage_mv, recording.time_ms).peak_ms[0].numpy()


def test_a_coarse_pre_roll_ends_in_the_rest_of_a_fine_one():
    protocol = Protocol.step_family([0.0], onset_ms=5, duration_ms=5, total_ms=12, dt_ms=0.1)
    coarse = simulate(builtin_cell(), protocol, progress=False).voltage_mv[0]
    fine = simulate(builtin_cell(), protocol, numerics=Numerics(preroll_dt_ms=0.025), progress=False).voltage_mv[0]
    assert (coarse - fine).abs().max() < 1e-4
    assert (coarse - coarse[0]).abs().max() < 1e-4


def test_spike_times_converge_to_first_order_in_the_time_step():
    protocol = Protocol.step_family([180.0], onset_ms=5, duration_ms=100, total_ms=110, dt_ms=0.05)
    steps_ms = (0.025, 0.0125, 0.00625, 0.003125)
    cell = builtin_cell()
    times = [measure_times(simulate(cell, protocol, numerics=Numerics(dt_ms=dt), progress=False)) for dt in steps_ms]
    shared = min(len(t) for t in times) - 1  # the last may come after the step
    assert shared >= 8
    coarse, middle, fine = (np.abs(a[:shared] - b[:shared]).max() for a, b in pairwise(times))
    assert 1.6 < coarse / middle < 2.6
    assert 1.6 < middle / fine < 2.6


def test_interpolation_is_exact_for_cubics_and_on_the_grid():
    t = np.arange(40) * 0.1
    cubic = t**3 - 2 * t**2 + t
    at = np.linspace(0, 38.9, 77)
    x = at * 0.1
    np.testing.assert_allclose(interpolate(cubic, at), x**3 - 2 * x**2 + x, atol=1e-9)
    np.testing.assert_array_equal(interpolate(cubic, np.arange(38.0)), cubic[:38])


def test_the_built_in_population_passes_its_own_targets():
    recording = simulate(builtin_hof(), Protocol.step_family([-110.0, 50.0, 180.0]), progress=False)
    assert [v.status for v in judge_models(recording, BUILTIN_TARGETS)] == ["accepted"] * len(ACCEPTED)


def test_trials_differ_under_noise_and_only_then():
    protocol = Protocol.step_family([120.0], onset_ms=5, duration_ms=60, total_ms=70, dt_ms=0.1)
    quiet = simulate([builtin_cell()], protocol, trials=2, progress=False)
    noisy = simulate([builtin_cell()], protocol, trials=2, noise=OUNoise(sd_pa=30.0, seed=1), progress=False)
    again = simulate([builtin_cell()], protocol, trials=2, noise=OUNoise(sd_pa=30.0, seed=1), progress=False)
    assert (quiet.axes, tuple(quiet.voltage_mv.shape)) == (("neuron", "trial"), (1, 2, 1, 700))
    assert torch.equal(quiet.voltage_mv[:, 0], quiet.voltage_mv[:, 1])
    assert (noisy.voltage_mv[:, 0] - noisy.voltage_mv[:, 1]).abs().max() > 1.0
    assert torch.equal(noisy.voltage_mv, again.voltage_mv)


def test_a_model_that_cannot_be_built_is_recorded_and_the_others_are_simulated():
    broken = replace(builtin_cell(label="broken"), swc="no morphology\n")
    protocol = Protocol.step_family([50.0], onset_ms=2, duration_ms=5, total_ms=10, dt_ms=0.1)
    recording = simulate([broken, builtin_cell()], protocol, progress=False)
    assert list(recording.provenance["failures"]) == ["broken, sweep 0"]
    assert torch.isnan(recording.voltage_mv[0]).all()
    assert torch.isfinite(recording.voltage_mv[1]).all()


def test_processes_change_nothing():
    protocol = Protocol.step_family([50.0, 180.0], onset_ms=2, duration_ms=30, total_ms=40, dt_ms=0.1)
    hof = builtin_hof().select([0, 1])
    one, two = (simulate(hof, protocol, jobs=jobs, progress=False) for jobs in (1, 2))
    assert torch.equal(one.voltage_mv, two.voltage_mv)
    assert measure(one, names=("spike_count",)).value[:, 1].min() > 1
