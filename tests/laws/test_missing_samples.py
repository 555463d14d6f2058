"""What was not recorded is not silence; what is silent can be inferred; who else is in a batch does not matter."""

from dataclasses import replace

import pytest
import torch

from noble_prob.ensemble import draw, respond
from noble_prob.errors import UsageError
from noble_prob.inference import infer, observe
from noble_prob.inference.observe import stack
from noble_prob.inference.task import Task
from noble_prob.latent import Neurons
from noble_prob.noise import NoisePrior
from noble_prob.recording import Recording


def draw_one(decoder):
    return Neurons(space=decoder.space, value=decoder.space.mean[None].to(torch.float64), axis="neuron")


def recorded(decoder, currents):
    answer = respond(decoder, draw_one(decoder), currents)
    return Recording(protocol=answer.protocol, voltage_mv=answer.voltage_mv[0])


def after(recording, ms):
    """Index of the first sample so long after onset."""
    return int(torch.searchsorted(recording.time_ms, recording.steps[0].onset_ms + ms))


def test_a_sweep_is_looked_at_until_the_first_missing_sample(decoder):
    whole = recorded(decoder, [-110.0, 180.0])
    seen = observe(whole, decoder)
    assert seen.notes == ()
    at = after(whole, 150.0)
    voltage = whole.voltage_mv.clone()
    voltage[1, at:] = torch.nan
    gap = observe(replace(whole, voltage_mv=voltage), decoder)
    assert gap.evidence.design.end_ms.tolist() == pytest.approx([400.0, 150.0], abs=0.1)
    first = seen.evidence.times_ms[1]
    assert torch.equal(gap.evidence.times_ms[1][gap.evidence.times_ms[1] < 150], first[first < 150])
    (note,) = gap.notes
    assert note.code == "NP110"
    assert "150 ms into the step" in note.sentence
    late = gap.evidence.design.summary_names.index("voltage_deflection_mv")
    assert torch.isnan(gap.evidence.summary[1, late])


def test_a_file_that_ends_within_the_step_is_as_short_as_it_is(decoder):
    whole = recorded(decoder, [180.0])
    keep = after(whole, 150.0)
    protocol = replace(whole.protocol, time_ms=whole.time_ms[:keep], current_pa=whole.protocol.current_pa[:, :keep])
    seen = observe(Recording(protocol=protocol, voltage_mv=whole.voltage_mv[:, :keep]), decoder)
    assert float(seen.evidence.design.end_ms) == pytest.approx(150.0, abs=0.1)


def test_less_than_the_shortest_step_is_left_out(decoder):
    whole = recorded(decoder, [-110.0, 180.0])
    voltage = whole.voltage_mv.clone()
    at = after(whole, 50.0)
    voltage[0, at] = torch.nan
    seen = observe(replace(whole, voltage_mv=voltage), decoder)
    assert seen.sweeps == (1,)
    voltage[1, at] = torch.nan
    with pytest.raises(UsageError, match="without a gap"):
        observe(replace(whole, voltage_mv=voltage), decoder)


@pytest.mark.parametrize(
    ("gone", "repeats", "sentence"),
    [
        (slice(0, None), 1, "In 1 of 2 sweeps nothing was recorded before the step"),
        (slice(0, None), 3, "In 3 of 6 sweeps nothing was recorded before the step"),
        (slice(20, 30), 1, "In 1 of 2 sweeps 10 of the samples before the step are missing"),
        (slice(95, 96), 3, "In 3 of 6 sweeps 1 of the samples before the step are missing"),
        (slice(0, 30), 1, None),  # it only begins later
    ],
)
def test_a_baseline_that_was_not_recorded_is_told(decoder, gone, repeats, sentence):
    whole = recorded(decoder, [-110.0, 180.0])
    base = round(whole.steps[0].onset_ms / whole.dt_ms)
    voltage = whole.voltage_mv.clone()
    voltage[1, :base][gone] = torch.nan
    many = Recording(protocol=whole.protocol, voltage_mv=voltage.expand(repeats, -1, -1), axes=("trial",))
    seen = observe(many, decoder)
    assert [note.code for note in seen.notes] == ["NP110"] * (sentence is not None)
    assert [note.sentence.startswith(sentence) for note in seen.notes] == [True] * len(seen.notes)
    rest = seen.evidence.summary[1::2, seen.evidence.design.summary_names.index("resting_voltage_mv")]
    assert bool(torch.isfinite(rest).all()) == (gone != slice(0, None))


def test_a_recording_that_begins_with_its_step_has_no_baseline(decoder):
    whole = recorded(decoder, [-110.0, 180.0])
    first = round(whole.steps[0].onset_ms / whole.dt_ms)
    steps = tuple(replace(s, onset_ms=0.0) for s in whole.steps)
    time = whole.time_ms[first:] - whole.time_ms[first]
    protocol = replace(whole.protocol, time_ms=time, current_pa=whole.current_pa[:, first:], steps=steps)
    seen = observe(Recording(protocol=protocol, voltage_mv=whole.voltage_mv[:, first:]), decoder)
    assert [note.evidence for note in seen.notes] == [{"without_baseline": 2}]
    assert seen.notes[0].sentence.startswith("In 2 of 2 sweeps nothing was recorded before the step")


def test_a_neuron_that_was_held_is_not_one_at_rest(decoder):
    whole = recorded(decoder, [-110.0, 100.0, 180.0])
    for holding, told in (
        ((-40.0, -40.0, 0.0), "−40 pA"),
        ((-40.0, 25.4, 3.0), "−40 to 25 pA"),
        ((4.9, 0, -4.9), None),
    ):
        steps = tuple(replace(s, holding_pa=float(h)) for s, h in zip(whole.steps, holding, strict=True))
        current = whole.current_pa + torch.tensor(holding)[:, None]
        protocol = replace(whole.protocol, current_pa=current, steps=steps)
        sentences = [note.sentence for note in observe(replace(whole, protocol=protocol), decoder).notes]
        assert len(sentences) == (told is not None)
        assert all(f"2 of 3 sweeps were recorded under a holding current of {told}" in text for text in sentences)


@pytest.mark.parametrize(
    ("unit", "match"),
    [
        ({"volt": 1e-3}, "volts; multiply the voltage by 1000"),
        ({"volt": 1e3}, "microvolts divide it by 1000"),
        ({"volt": torch.inf}, "infinity"),
        ({"pa": 1e-3}, "look like nA; multiply the current by 1000"),
        ({"ms": 1e-3}, "multiply the time by 1000"),
    ],
)
def test_a_recording_in_other_units_is_refused_as_a_file_is(decoder, unit, match):
    whole = recorded(decoder, [-110.0, 180.0])
    ms, pa, volt = (unit.get(name, 1.0) for name in ("ms", "pa", "volt"))
    steps = tuple(
        replace(s, onset_ms=s.onset_ms * ms, duration_ms=s.duration_ms * ms, amplitude_pa=s.amplitude_pa * pa)
        for s in whole.steps
    )
    protocol = replace(whole.protocol, time_ms=whole.time_ms * ms, current_pa=whole.current_pa * pa, steps=steps)
    with pytest.raises(UsageError, match=match):
        observe(Recording(protocol=protocol, voltage_mv=whole.voltage_mv * volt), decoder)


@pytest.mark.parametrize("method", ["importance", "hmc"])
def test_a_recording_without_any_spike_is_inferred(decoder, prior, method):
    silent = recorded(decoder, [-110.0, -50.0])
    found = infer(silent, decoder=decoder, prior=prior, method=method, seed=1, draws=20)
    rest = found.space.names.index("resting_voltage_mv")
    assert float(found.mean()[rest]) == pytest.approx(float(decoder.space.mean[rest]), abs=1.0)


def test_a_recording_s_density_does_not_know_its_batch_mates(decoder, prior):
    generator = torch.Generator().manual_seed(3)
    short, long = (observe(recorded(decoder, c), decoder).evidence for c in ([-110.0], [-110.0, 50.0, 100.0, 180.0]))
    task = Task(
        decoder=decoder, prior=prior, noise=NoisePrior(), robust=True, method="hmc", chains=2, warmup=4, draws=4
    )
    alone, together = task.density(short), task.density(stack([short, long]))
    points = 2.0 * torch.randn(50, alone.size, generator=generator, dtype=torch.float64)  # wide noise scales too
    padded = together(points[:, None].expand(-1, 2, -1))[:, 0]
    assert torch.allclose(padded, alone(points), rtol=1e-9, atol=1e-9)


def test_a_neuron_and_its_noise_drawn_with_one_seed_are_independent(decoder, prior):
    """False alarm 1e-4: a correlation of 400 pairs beyond 3.9 standard errors; the same stream gives 0.97 and more."""
    neurons = draw(prior, 400, seed=7)
    once, still = respond(decoder, neurons, [-110.0], trials=1, seed=7), respond(decoder, neurons, [-110.0])
    moved = (once.voltage_mv[:, 0] - still.voltage_mv)[:, 0, :80].mean(-1)
    rest = neurons.value[:, neurons.space.names.index("resting_voltage_mv")].to(moved)
    assert abs(float(torch.corrcoef(torch.stack([moved, rest]))[0, 1])) < 3.9 / 400**0.5
