"""Diversity between neurons and noise within one keep their names; refused what is not a step on the window."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from noble_prob.ensemble import draw, respond, respond_features
from noble_prob.errors import UsageError
from noble_prob.features.spikes import find_spikes
from noble_prob.inference.observe import observe
from noble_prob.latent import Neurons
from noble_prob.noise import TraceNoise, TrialModel, diffuse
from noble_prob.noise.timing import TimingScatter
from noble_prob.priors import plausibility
from noble_prob.readers import read, write_csv
from noble_prob.recording import Protocol, Recording


def test_axes_are_named_and_chunks_do_not_matter(decoder, prior):
    neurons = draw(prior, 5, seed=1)
    whole = respond(decoder, neurons, [50.0, 180.0])
    assert whole.axes == ("neuron",)
    assert whole.voltage_mv.shape[:2] == (5, 2)
    assert torch.equal(whole.voltage_mv, respond(decoder, neurons, [50.0, 180.0], chunk=3).voltage_mv)
    repeats = respond(decoder, neurons, [50.0, 180.0], trials=3, seed=4)
    assert repeats.axes == ("neuron", "trial")
    assert repeats.voltage_mv.shape[:3] == (5, 3, 2)


@pytest.mark.parametrize("n_samples", [4096, 4001])
def test_chunks_do_not_matter_to_repeats(decoder, prior, n_samples):
    """Latents, times of spikes and electrode noise; of lengths that generators fill in blocks, and of others."""
    short = replace(decoder, window=replace(decoder.window, n_samples=n_samples))
    timing = TimingScatter(
        **{name: torch.tensor([0.1, 0.1]) for name in ("latency", "rate")}, current_pa=torch.tensor([0.0, 200.0])
    )
    model = replace(TrialModel.usual(decoder.space), timing=timing)
    neurons = draw(prior, 3, seed=1)
    whole, *parts = (
        respond(short, neurons, [50.0, 180.0], trials=3, seed=4, trial_model=model, chunk=chunk).voltage_mv
        for chunk in (64, 1, 5)
    )
    for part in parts:
        assert torch.allclose(part, whole, rtol=0, atol=1e-3)
    assert float((whole[:, 0] - whole[:, 1]).std()) > 1


def test_neurons_of_another_latent_space_are_refused(decoder, prior):
    foreign = draw(prior, 2, seed=1)
    foreign = replace(foreign, space=replace(foreign.space, latents=foreign.space.latents[::-1]))
    with pytest.raises(UsageError, match="decoder's own cell"):
        respond(decoder, foreign, [50.0])
    with pytest.raises(UsageError, match="decoder's own cell"):
        respond_features(decoder, foreign, 50.0, names=["spike_count"])


def test_repeats_differ_less_than_neurons_and_repeat_with_their_seed(decoder, prior):
    neurons = draw(prior, 30, seed=1)
    a, b = (respond(decoder, neurons, [180.0], trials=4, seed=9) for _ in range(2))
    assert torch.equal(a.voltage_mv, b.voltage_mv)
    rest = a.voltage_mv[..., 0, :80].mean(-1)
    assert float(rest.var(1).mean()) < 0.2 * float(rest.mean(1).var())


def test_phase_diffusion_makes_jitter_grow_with_the_root_of_the_spike_index():
    times = 14.0 * torch.arange(1, 41, dtype=torch.float64).expand(4000, 40)
    jittered = diffuse(times, 0.3, torch.Generator().manual_seed(0))
    assert torch.allclose(jittered.mean(0), times[0], rtol=0.01)
    expected = 0.3 * (14e-3) ** 0.5 * 14.0 * torch.arange(1, 41).double().sqrt()
    assert torch.allclose(jittered.std(0), expected, rtol=0.06)


def test_a_phase_that_is_held_does_not_fire_by_diffusing():
    """Of a free random walk of 1 spike/s^1/2 a ninth passes within 400 ms, wherever the mean lies."""
    held = torch.full((20_000, 1), 160_000.0).double()
    first = diffuse(held, 1.0, torch.Generator().manual_seed(0))
    assert float(first.min()) > 400.0
    slow = diffuse(torch.full((20_000, 1), 100.0).double(), 1.0, torch.Generator().manual_seed(0))
    assert abs(float(slow.std()) / 100.0 - 0.1**0.5) < 0.02, "below 200 ms it diffuses freely: relative SD 0.316"


def test_electrode_noise_has_the_stated_size(decoder, prior):
    model = TrialModel(latent_tril=torch.zeros(5, 5).double(), trace=TraceNoise(electrode_mv=0.4))
    recording = respond(decoder, draw(prior, 4, seed=0), [-110.0], trials=2, trial_model=model)
    assert abs(float(recording.voltage_mv[..., :90].std(-1).mean()) - 0.4) < 0.03
    assert int(find_spikes(recording.voltage_mv, recording.time_ms).count.sum()) == 0


def test_plausibility_separates_members_from_strangers(decoder, prior):
    near, far = (
        plausibility(
            prior, Neurons(space=prior.space, value=prior.space.unstandardise(x), axis="neuron"), decoder=decoder
        )
        for x in (prior.points[:1], torch.full((1, 5), 6.0).double())
    )
    assert float(near.nearest_sd) == 0
    assert near.nearest_label == ("0",)
    assert not near.outside_range.any()
    assert float(far.density_quantile) == 0
    assert float(far.support) > 2
    assert far.outside_range.all()


def test_a_step_is_on_the_window_by_its_place_among_the_samples(decoder, prior):
    neurons, plain = draw(prior, 2, seed=0), Protocol.step_family([100.0], dt_ms=decoder.window.dt_ms)
    late = replace(plain, time_ms=plain.time_ms + 40.0, steps=(replace(plain.steps[0], onset_ms=52.0),))
    assert torch.equal(respond(decoder, neurons, late).voltage_mv, respond(decoder, neurons, plain).voltage_mv)
    with pytest.raises(UsageError, match="steps from 12"):
        respond(decoder, neurons, replace(late, steps=(replace(plain.steps[0], onset_ms=62.0),)))


def test_a_holding_current_is_refused_not_ignored(decoder, prior):
    held = Protocol.step_family([100.0, 50.0], dt_ms=decoder.window.dt_ms, holding_pa=-20.0)
    with pytest.raises(UsageError, match=r"from rest.*found -20.0, -20.0 pA; pass the step amplitudes"):
        respond(decoder, draw(prior, 1, seed=0), held)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"trials": 2.5}, "trials"),
        ({"trials": 0}, "trials"),
        ({"trials": -1}, "trials"),
        ({"chunk": 0}, "chunk"),
        ({"chunk": 1.5}, "chunk"),
    ],
)
def test_what_is_no_number_of_things_is_refused(decoder, prior, change, match):
    neurons = draw(prior, 2, seed=0)
    with pytest.raises(UsageError, match=rf"{match}.*whole number"):
        respond(decoder, neurons, [100.0], **change)
    if "chunk" in change:
        with pytest.raises(UsageError, match="chunk"):
            respond_features(decoder, neurons, 100.0, names=["spike_count"], **change)


def test_no_neurons_and_repeats_of_repeats_are_refused(decoder, prior):
    neurons = draw(prior, 2, seed=0)
    none = replace(neurons, value=neurons.value[:0], labels=())
    for verb in (
        lambda: respond(decoder, none, [100.0]),
        lambda: respond_features(decoder, none, 100.0, names=["spike_count"]),
    ):
        with pytest.raises(UsageError, match="at least one neuron"):
            verb()
    with pytest.raises(UsageError, match="repeats already"):
        respond(decoder, replace(neurons, axis="trial"), [100.0], trials=3)
    assert respond(decoder, replace(neurons, axis="trial"), [100.0]).axes == ("trial",)


def test_it_refuses_another_window_and_trials_without_number(decoder, prior):
    neurons = draw(prior, 2, seed=0)
    with pytest.raises(UsageError, match="steps from 12"):
        respond(decoder, neurons, Protocol.step_family([100.0], duration_ms=300.0))
    with pytest.raises(UsageError, match="trials"):
        respond(decoder, neurons, [100.0], trial_model=TrialModel.usual(decoder.space))


def test_neurons_of_another_cell_are_answered_with_a_warning(decoder, prior):
    """Equal names, another centre: most likely a mistake, but a question that can be asked."""
    neurons = draw(prior, 2, seed=0)
    other = replace(neurons, space=replace(neurons.space, mean=neurons.space.mean + 1.0))
    with pytest.warns(UserWarning, match="of another cell than the decoder"):
        respond(decoder, other, [100.0])


@pytest.mark.parametrize("current", [5000.0, 290.0, -125.0])
def test_steps_that_the_decoder_was_not_trained_on_are_refused_unless_asked_for(decoder, prior, current):
    neurons = draw(prior, 2, seed=0)
    with pytest.raises(UsageError, match=r"protocol.*range of -110 to 280 pA; found .*extrapolate=True"):
        respond(decoder, neurons, [100.0, current])
    with pytest.raises(UsageError, match=rf"current_pa.*-110 to 280 pA; found {current:g} pA"):
        respond_features(decoder, neurons, current, names=["spike_count"])


def test_extrapolation_is_there_for_those_who_ask(decoder, prior):
    neurons = draw(prior, 2, seed=0)
    answer = respond(decoder, neurons, [320.0], extrapolate=True)
    assert torch.equal(answer.voltage_mv[:, 0], decoder.respond(neurons.value, torch.tensor([320.0])).to(torch.float32))
    found = respond_features(decoder, neurons, 320.0, names=["spike_count"], extrapolate=True)
    assert found.mask.all()


@pytest.mark.parametrize("current", [-117.0, 287.0])
def test_a_step_is_rendered_wherever_inference_looks_at_it(decoder, prior, current):
    """Amplifiers miss the step that was asked for: the same tolerance holds on the way there and back."""
    answer = respond(decoder, draw(prior, 1, seed=0), [current, -110.0])
    assert observe(Recording(protocol=answer.protocol, voltage_mv=answer.voltage_mv[0]), decoder).sweeps == (0, 1)


def test_one_member_of_an_ensemble_is_one_recording(decoder, prior, tmp_path):
    ensemble = respond(decoder, draw(prior, 3, seed=1), [-110.0, 150.0], trials=2, seed=4)
    member = ensemble.members(1, axis="neuron")
    bare = Recording(protocol=ensemble.protocol, voltage_mv=ensemble.voltage_mv[1], axes=("trial",))
    ours, theirs = observe(member, decoder), observe(bare, decoder)
    assert torch.equal(ours.evidence.times_ms, theirs.evidence.times_ms)
    assert torch.equal(ours.evidence.summary.nan_to_num(), theirs.evidence.summary.nan_to_num())
    assert ours.sweeps == (0, 1, 0, 1)
    assert ours.source == {**ensemble.provenance, "labels": ["1"]}
    single = member.members(0, axis="trial")
    assert single.squeeze().axes == ()
    assert observe(single, decoder).sweeps == (0, 1)
    write_csv(single, tmp_path / "one.csv")
    assert torch.allclose(read(tmp_path / "one.csv").voltage_mv, single.voltage_mv[0, 0].double(), atol=1e-4)


def test_an_ensemble_is_told_how_to_become_one_recording(decoder, prior, tmp_path):
    ensemble = respond(decoder, draw(prior, 3, seed=1), [-110.0, 150.0], trials=2, seed=4)
    with pytest.raises(UsageError, match=r"of 3 x 2; pass one member, `ensemble.members\(0, axis='neuron'\)`"):
        observe(ensemble, decoder)
    with pytest.raises(UsageError, match="an ensemble with"):
        write_csv(ensemble, tmp_path / "many.csv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"weight": torch.tensor([0.5, -0.1, 0.6])}, "weight"),
        ({"weight": torch.tensor([1, torch.nan, 1])}, "weight"),
        ({"weight": torch.zeros(3)}, "weight"),
        ({"weight": torch.ones(2)}, "weight"),
        ({"labels": ("a", "b")}, "labels"),
        ({"weight": torch.ones(3, 1)}, "weight"),
        ({"value": "abc"}, "value"),
        ({"value": [[1.0], [2.0, 3.0]]}, "value"),
        ({"value": None}, "value"),
    ],
)
def test_points_that_make_no_sense_are_refused(prior, changes, name):
    with pytest.raises(UsageError, match=f"^`{name}` should be"):
        replace(draw(prior, 3, seed=1), **changes)


def test_numbers_of_any_kind_are_points(prior):
    whole = torch.arange(10).reshape(2, 5)
    points = [
        Neurons(space=prior.space, value=v, axis="neuron", weight=w)
        for v, w in ((whole, [1, 3]), (whole.numpy(), None), (whole.tolist(), torch.tensor([1, 3])))
    ]
    for neurons in points:
        assert torch.equal(neurons.value, whole.double())
    assert points[0].weights.tolist() == points[2].weights.tolist() == [0.25, 0.75]
    standardised = prior.space.standardise(whole)
    assert torch.equal(standardised, prior.space.standardise(whole.double()))
    assert torch.isfinite(standardised).all()
    single = torch.zeros(1, 5, dtype=torch.float32)
    assert Neurons(space=prior.space, value=single, axis="draw").value is single


def test_chosen_points_keep_what_belongs_to_them(prior):
    points = replace(draw(prior, 4, seed=1), weight=[1.0, 2.0, 3.0, 4.0], labels=tuple("abcd"))
    for index in ([2, 0], np.array([2, 0]), torch.tensor([-2, 0])):
        some = points.select(index)
        assert torch.equal(some.value, points.value[[2, 0]])
        assert (some.labels, some.weights.tolist(), some.axis) == (("c", "a"), [0.75, 0.25], "neuron")
        assert some.provenance == points.provenance
    assert points.select(points.value[:, 0] < torch.inf).labels == points.labels
    assert points.select(slice(1, 3)).labels == ("b", "c")
    with pytest.raises(UsageError, match="one True or False for each of 4 points"):
        points.select([True, False])
    with pytest.raises(UsageError, match="`index` should be indices below 4, at least one; found 4"):
        points.select(4)
