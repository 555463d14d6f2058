"""The resting voltage is that of a neuron at rest: pulses before the step, and spikes, are not part of it."""

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

import noble_prob as nb
from noble_prob.features.rest import plain_window, rest_windows
from noble_prob.inference.notes import without_baseline
from noble_prob.recording import Recording

DT = 0.1
TIME = np.arange(0, 900, DT)
AMPLITUDES = np.array([-110.0, -30.0, 25.0])


def membrane(current_pa):
    """A resistor of 129 MOhm and a time constant of 20 ms that rest at -71.77 mV."""
    keep = np.exp(-DT / 20)
    return -71.77 + lfilter([0.129 * (1 - keep)], [1, -keep], current_pa)


def family(*pulses, noise_pa=0.0, amplitudes=AMPLITUDES):
    """Steps from 300 to 700 ms behind pulses that begin and end so long (ms) before them."""
    current = amplitudes[:, None] * ((TIME >= 300) & (TIME < 700))
    for begin, end, size in pulses:
        current = current + size * ((300 - begin <= TIME) & (300 - end > TIME))
    noise = noise_pa * np.random.default_rng(0).normal(size=current.shape)
    return nb.from_arrays(TIME, current + noise, membrane(current))


@pytest.mark.parametrize("noise_pa", [0.0, 10.0])
@pytest.mark.parametrize(
    ("pulses", "window"),
    [
        ([(80, 30, -50)], (180, 80)),
        ([(150, 80, -50)], (250, 150)),
        ([(200, 145, -50)], (45, 0)),
        ([(60, 0, -50)], (160, 60)),  # a prepulse
        ([(280, 200, -50), (80, 30, -50)], (100, 80)),
        ([(290, 240, 20)], (100, 0)),
    ],
)
def test_a_pulse_before_the_step_is_no_rest(pulses, window, noise_pa):
    recording = family(*pulses, noise_pa=noise_pa)
    for step, (start, stop) in zip(recording.steps, rest_windows(recording), strict=True):
        assert (step.onset_ms - start, step.onset_ms - stop) == pytest.approx(window, abs=1.5)
    f = nb.measure(recording)
    assert f["resting_voltage_mv"][0].numpy() == pytest.approx(-71.77, abs=0.06)
    assert f["voltage_deflection_mv"][0].numpy() == pytest.approx(0.129 * AMPLITUDES, abs=0.06)


def test_plain_sweeps_rest_until_the_step():
    for recording in (family(), family(noise_pa=10.0)):
        assert rest_windows(recording) == [(200.0, 300.0)] * 3 == [plain_window(recording, s) for s in recording.steps]
        assert without_baseline(recording) == ()


def test_what_was_taken_for_rest_is_said():
    (note,) = without_baseline(family((80, 30, -50)))
    assert note.code == "NP110"
    assert note.sentence.startswith("In 3 of 3 sweeps a pulse of current precedes the step")
    assert "from 180 ms until 80 ms before the step" in note.sentence


def test_without_rest_there_is_no_resting_voltage():
    pulses = [(290 - 60 * k, 260 - 60 * k, -50) for k in range(5)]  # 30 ms apart
    lost = family(*pulses)
    cut = 120  # samples of the first 12 ms: the rest before the first pulse
    recording = nb.Recording(
        protocol=nb.Protocol(
            time_ms=lost.time_ms[cut:] - lost.time_ms[cut],
            current_pa=lost.current_pa[:, cut:],
            steps=tuple(nb.Step(onset_ms=300 - 0.1 * cut, duration_ms=400, amplitude_pa=a) for a in AMPLITUDES),
        ),
        voltage_mv=lost.voltage_mv[:, cut:],
    )
    assert rest_windows(recording) == [None] * 3
    f = nb.measure(recording)
    assert not f["resting_voltage_mv"][1].any()
    assert not f["input_resistance_mohm"][1].any()
    assert f["spike_count"][1].all()
    (note,) = without_baseline(recording)
    assert "no 20 ms at rest are left" in note.sentence


def test_one_sweep_with_a_pulse_leaves_the_others_as_they_are():
    plain, one = family(), family((80, 30, -50))
    both = Recording(
        protocol=nb.Protocol(
            time_ms=plain.time_ms,
            current_pa=torch.stack([plain.current_pa[0], one.current_pa[0]]),
            steps=(plain.steps[0], one.steps[0]),
        ),
        voltage_mv=torch.stack([plain.voltage_mv[0], one.voltage_mv[0]]),
    )
    alone = nb.measure(plain.select([0])).value[0]
    assert torch.equal(nb.measure(both).value[0].nan_to_num(), alone.nan_to_num())
    assert nb.measure(both)["resting_voltage_mv"][0].numpy() == pytest.approx(-71.77, abs=1e-3)
    assert "In 1 of 2 sweeps a pulse" in without_baseline(both)[0].sentence


def test_a_neuron_that_fires_before_its_step_is_not_at_rest():
    recording = family()
    voltage = recording.voltage_mv.clone()
    voltage[1, round(250 / DT)] = 30.0
    active = Recording(protocol=recording.protocol, voltage_mv=voltage.expand(2, -1, -1), axes=("trial",))
    assert nb.measure(active)["resting_voltage_mv"][1].tolist() == [[True, False, True]] * 2
    (note,) = without_baseline(active)
    assert note.code == "NP110"
    assert note.sentence.startswith("In 2 of 6 sweeps the neuron fired before the step")
    assert "not at rest" in note.sentence
    voltage[1, round(150 / DT)], voltage[1, round(250 / DT)] = 30.0, -70.0  # too early to matter
    assert without_baseline(Recording(protocol=recording.protocol, voltage_mv=voltage)) == ()
