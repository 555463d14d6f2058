"""Recordings are measured on the decoder's grid: own samples as they are, gaps where they were, no shape of few."""

from dataclasses import replace

import pytest
import torch

from noble_prob.ensemble import draw, respond
from noble_prob.features import measure
from noble_prob.inference import observe
from noble_prob.inference.rate import on_grid
from noble_prob.recording import Protocol, Recording
from noble_prob.resample import resample


@pytest.fixture
def own(decoder, prior):
    answer = respond(decoder, draw(prior, 1, seed=3), [-110.0, 100.0, 180.0])
    return Recording(protocol=answer.protocol, voltage_mv=answer.voltage_mv[0])


def index(decoder, name):
    return decoder.summary_names.index(name)


def test_a_recording_at_the_decoders_rate_is_measured_as_it_is(decoder, own):
    assert on_grid(own, decoder) is own
    expected = measure(own, names=decoder.summary_names, window_ms=decoder.window.duration_ms).value.double()
    seen = observe(own, decoder)
    assert torch.equal(torch.nan_to_num(seen.evidence.summary), torch.nan_to_num(expected))
    assert seen.notes == ()  # 8 kHz, which is this decoder's own


@pytest.mark.parametrize("dt_ms", [0.02, 0.05, 0.1])
def test_a_gap_ends_a_sweep_where_it_was(decoder, own, dt_ms):
    fine = resample(own, dt_ms=dt_ms)
    voltage = fine.voltage_mv.clone()
    at = int(torch.searchsorted(fine.time_ms, own.steps[0].onset_ms + 150.0))
    voltage[2, at : at + 1] = torch.nan  # less than one sample of the grid
    voltage[1, at:] = torch.nan
    seen = observe(replace(fine, voltage_mv=voltage), decoder)
    whole = observe(own, decoder).evidence.times_ms
    end = float(fine.time_ms[at]) - own.steps[0].onset_ms
    assert seen.evidence.design.end_ms.tolist() == pytest.approx([400.0, end, end])
    for k in (1, 2):
        kept = seen.evidence.times_ms[k][torch.isfinite(seen.evidence.times_ms[k])]
        assert torch.allclose(kept, whole[k][whole[k] < end], atol=0.05)
        assert torch.isnan(seen.evidence.summary[k, index(decoder, "voltage_deflection_mv")])
    (note,) = seen.notes
    assert note.evidence["sweeps"] == [1, 2]


@pytest.mark.parametrize(("khz", "told"), [(50.0, False), (10.0, False), (8.0, False), (7.5, True), (5.0, True)])
def test_the_shape_of_a_spike_is_not_told_from_few_samples(decoder, own, khz, told):
    seen = observe(resample(own, dt_ms=1 / khz), decoder)
    peak = seen.evidence.summary[1:, index(decoder, "ap1_peak_mv")]
    assert bool(torch.isnan(peak).all()) == told
    assert bool(torch.isfinite(peak).all()) != told
    assert torch.isfinite(seen.evidence.summary[:, index(decoder, "resting_voltage_mv")]).all()
    assert [note.code for note in seen.notes] == ["NP110"] * told
    assert all(f"sampled at {khz:g} kHz" in note.sentence for note in seen.notes)


def test_below_4_khz_spikes_are_missed_and_that_is_told(decoder, own):
    (note,) = observe(resample(own, dt_ms=1 / 3), decoder).notes
    assert "spikes themselves" in note.sentence


def test_a_test_pulse_before_the_step_moves_no_rest_at_any_rate(decoder, own):
    """The pulse is told from the current as it was sampled, at every rate."""
    pad, dt = round(600.0 / own.dt_ms), own.dt_ms
    rest = own.voltage_mv[:, :1]
    voltage = torch.cat([rest.expand(-1, pad), own.voltage_mv], -1)
    current = torch.cat([own.current_pa[:, :1].expand(-1, pad), own.current_pa], -1).clone()
    pulse = slice(round(560.0 / dt), round(590.0 / dt))
    current[:, pulse] = -50.0
    voltage[:, pulse] -= 10.0
    steps = tuple(replace(s, onset_ms=s.onset_ms + pad * dt) for s in own.steps)
    time = torch.arange(voltage.shape[-1], dtype=torch.float64) * dt
    protocol = Protocol(time_ms=time, current_pa=current, steps=steps)
    pulsed = Recording(protocol=protocol, voltage_mv=voltage)
    k = index(decoder, "resting_voltage_mv")
    for recording in (pulsed, resample(pulsed, dt_ms=0.02)):
        seen = observe(recording, decoder)
        assert seen.evidence.summary[:, k].tolist() == pytest.approx(rest[:, 0].tolist(), abs=0.05)
        assert "a pulse of current precedes the step" in seen.notes[0].sentence
