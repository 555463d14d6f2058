"""Held-out models enter nothing: not the split, not the scale, not the support, not a weight, not the error model."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_example import SCHEDULES, example_data, example_decoder, one_thread  # noqa: F401

from noble_prob.errors import UsageError
from noble_prob.population.latents import HELD_OUT_MODELS, NOBLE2
from noble_prob.training.data import HELD_OUT, TRAIN, VALIDATION, concatenate, merge, prepare, split_models
from noble_prob.training.decoder import train_operator, train_timing
from noble_prob.training.error_model import measure_error
from noble_prob.training.gather import with_fewer
from noble_prob.training.publish import model_counts
from noble_prob.training.responses import fold, standard_columns
from noble_prob.training.schedule import Schedule
from noble_prob.training.traces import Traces


@settings(max_examples=60, deadline=None)
@given(
    published=st.lists(st.integers(min_value=0, max_value=59), max_size=60),
    perturbed=st.integers(min_value=12, max_value=80),
    validation=st.integers(min_value=1, max_value=9),
    seed=st.integers(min_value=0, max_value=2**31),
)
def test_what_a_model_may_be_used_for(published, perturbed, validation, seed):
    model = torch.tensor(published + [-1] * perturbed)
    model = model[torch.randperm(len(model), generator=torch.Generator().manual_seed(seed))]
    split = split_models(model, validation=validation, seed=seed)
    held = torch.isin(model, torch.tensor(HELD_OUT_MODELS))
    assert bool((split[held] == HELD_OUT).all())
    assert bool((split[~held] != HELD_OUT).all())
    assert int((split == VALIDATION).sum()) == validation
    assert bool((model[split == VALIDATION] < 0).all())  # only perturbed models choose checkpoints
    assert torch.equal(split, split_models(model, validation=validation, seed=seed))


def test_another_seed_chooses_other_validation_models():
    model = torch.full((200,), -1)
    a, b = (split_models(model, validation=40, seed=s) for s in (1, 2))
    assert 0 < int(((a == VALIDATION) & (b == VALIDATION)).sum()) < 25


def test_rows_of_one_model_stay_on_one_side():
    """A second set of the same seed holds the same models, a folded one several rows of each."""
    model, latents = torch.full((120,), -1), torch.randn(120, 2, generator=torch.Generator().manual_seed(3))
    latents[60:90], latents[90:] = latents[:30], latents[30:60].flip(0)
    split = split_models(model, validation=20, seed=1, latents=latents)
    assert int((split == VALIDATION).sum()) == 40
    assert torch.equal(split[:30], split[60:90])
    assert torch.equal(split[30:60].flip(0), split[90:])
    alone = split_models(model[:60], validation=20, seed=1)
    assert torch.equal(alone, split_models(model[:60], validation=20, seed=1, latents=latents[:60]))


def test_where_nothing_is_left_it_says_what_was_dropped_and_why():
    data = example_data()
    still = replace(data.responses, counts=torch.full_like(data.responses.counts, 0))
    with pytest.raises(
        UsageError, match=r"perturbed models.*none, with 60 dropped \(latent undefined: 60\).*latent_space"
    ):
        prepare(still, standard_sweeps=(0, 1, 2), latents=NOBLE2, validation=5)


@pytest.mark.parametrize("validation", [0, 5, 6])
def test_too_many_set_aside_is_refused(validation):
    with pytest.raises(UsageError, match="validation"):
        split_models(torch.tensor([2, *[-1] * 5]), validation=validation, seed=0)


PROTOCOL = (-110.0, 50.0, 180.0)


def poisoned(data):
    """The same data, but everything about the held-out models is absurd."""
    held = data.split == HELD_OUT
    assert int(held.sum()) == 2
    responses = data.responses

    def spoil(value, nonsense):
        out = value.clone()
        out[held] = nonsense
        return out

    return replace(
        data,
        latents=spoil(data.latents, 1e6),
        spikes_ms=spoil(data.spikes_ms, 3.0),
        n_spikes=spoil(data.n_spikes, 1),
        summary=spoil(data.summary, -1e6),
        responses=replace(
            responses, counts=spoil(responses.counts, 30000), current_pa=spoil(responses.current_pa, 7.0)
        ),
    )


def test_a_decoder_does_not_depend_on_held_out_models():
    few = {name: Schedule(**{**vars(s), "steps": 4}) for name, s in SCHEDULES.items()}
    ends = []
    for data in (example_data(), poisoned(example_data())):
        decoder = example_decoder(data)
        train_timing(decoder, data, few, None, progress=False)
        row = train_operator(decoder, data, few, None, progress=False)
        error = measure_error(decoder, data, standard_sweeps=(0, 1, 2))
        ends.append((decoder, error, row["waveform_error"]))
    (a, error_a, row_a), (b, error_b, row_b) = ends
    assert torch.equal(a.space.mean, b.space.mean)
    assert torch.equal(a.space.sd, b.space.sd)
    states = a.state_dict(), b.state_dict()
    assert "support_precision" in states[0]
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0] if k != "_metadata")
    assert error_a.latency_log_sd == error_b.latency_log_sd
    assert torch.equal(error_a.summary_sd, error_b.summary_sd)
    assert row_a == row_b


def test_scaling_looks_at_training_models_alone():
    data = example_data()
    space = example_decoder(data).space
    train = data.latents[data.split == TRAIN]
    assert torch.allclose(space.mean, train.mean(0))
    assert torch.allclose(space.sd, train.std(0))
    assert not torch.allclose(space.mean, data.latents.mean(0))


def twice(data, numbers):
    """The data with all rows again, and these numbers of published models among the second ones."""
    responses = concatenate([data.responses, replace(data.responses, model=numbers)])
    again = {name: torch.cat([getattr(data, name)] * 2) for name in ("latents", "spikes_ms", "n_spikes", "summary")}
    return replace(data, responses=responses, split=torch.cat([data.split] * 2), **again)


def test_a_model_may_have_several_rows_and_counts_once():
    data = example_data()
    number = data.responses.model
    other = torch.where(number >= 0, number + 20, -1)
    both = twice(data, other)  # published models under other numbers, the rest again
    first = both.firsts()
    assert first[:60].all()
    assert torch.equal(first[60:], number >= 0)
    assert torch.equal(both.first_row()[60:][number < 0], torch.nonzero(number < 0).flatten())
    counts = model_counts(twice(data, number))
    assert counts == model_counts(data) == {"train": 46, "validation": 12, "held_out": 2}


def test_the_rows_of_a_number_are_one_model_whatever_their_latents():
    data = twice(example_data(), example_data().responses.model)
    data.latents[60:] += 1e-3
    assert torch.equal(data.first_row()[60:70], torch.arange(10))
    assert data.firsts()[70:].all()


def test_fewer_models_keep_all_their_rows():
    data = example_data()
    few = with_fewer(twice(data, data.responses.model), 20, seed=3)
    assert model_counts(few) == {"train": 20, "validation": 12, "held_out": 2}
    assert len(few.split) == 2 * (20 + 12 + 2)


def test_sets_of_two_cells_do_not_join():
    one = example_data(seed=0).responses
    with pytest.raises(UsageError, match="vip"):
        concatenate([one, replace(one, cell="vip")])


def test_a_set_with_more_currents_is_folded_into_rows_of_the_others_width():
    lean = example_data(seed=0).responses
    extra = torch.randint(-110, 281, (60, 3), generator=torch.Generator().manual_seed(9)).to(torch.float64)
    more = (extra[..., None] * 10 + torch.arange(256)).to(torch.int16)
    wide = replace(lean, current_pa=torch.cat([lean.current_pa, extra], 1), counts=torch.cat([lean.counts, more], 1))
    folded = fold(wide, 6)
    assert torch.equal(folded.model, lean.model.repeat(2))
    assert torch.equal(folded.current_pa[:60], lean.current_pa)
    assert torch.equal(folded.counts[:60], lean.counts)
    assert torch.equal(folded.current_pa[60:], torch.cat([lean.current_pa[:, :3], extra], 1))
    assert torch.equal(folded.counts[60:, 3:], more)
    assert concatenate([lean, wide]).current_pa.shape == (180, 6)
    with pytest.raises(UsageError, match="multiple"):
        fold(wide, 7)


def test_a_sweep_that_folding_repeats_is_drawn_once():
    data = example_data()
    twice = merge([data, data], cell="twice")
    decoder = example_decoder(data)
    once, again = (Traces(d, TRAIN, decoder.space, torch.device("cpu"), voltage=True) for d in (data, twice))
    assert len(again) == len(once) <= 6 * int((data.split == TRAIN).sum())
    pairs = torch.cat([again.x, again.current[:, None]], 1)
    assert len(pairs.unique(dim=0)) == len(pairs)
    assert torch.equal(again.current, once.current)
    assert torch.equal(again.counts, once.counts)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_published_models_fill_their_share_of_every_part_of_a_batch(share):
    data = replace(example_data(n_models=200), published=share)
    traces = Traces(data, TRAIN, example_decoder(data).space, torch.device("cpu"))
    published = data.responses.model[data.where(TRAIN)] >= 0
    assert int(published.sum()) == 8  # of ten, two are held out
    assert torch.isin(traces.latents[traces.published], data.latents[data.where(TRAIN)][published].float()).all()
    assert 5 * 8 < len(traces.published) <= 6 * 8  # a random current may come twice
    rows = traces.random(20_000, torch.Generator().manual_seed(0))
    expected = share + (1 - share) * len(traces.published) / len(traces)
    for part in rows.split(10_000):  # members of an ensemble take one part each
        seen = float(torch.isin(part, traces.published).double().mean())
        assert abs(seen - expected) < 5 * (expected * (1 - expected) / len(part)) ** 0.5
    assert len(rows.unique()) > 0.9 * len(traces)
    assert merge([data, data], cell="twice").published == share


def test_cells_are_merged_with_their_splits():
    a, b = example_data(seed=0), example_data(seed=1)
    both = merge([a, b], cell="two")
    assert len(both.responses) == 120
    assert torch.equal(both.split, torch.cat([a.split, b.split]))
    assert torch.equal(both.responses.model[60:], b.responses.model)
    assert both.digest() not in (a.digest(), b.digest())


def test_the_digest_sees_data_and_split():
    data = example_data()
    assert data.digest() == example_data().digest()
    assert data.digest() != example_data(seed=3).digest()
    assert data.digest() != replace(data, split=data.split.roll(1)).digest()
    assert data.digest() != replace(data, published=0.5).digest()


def test_the_standard_protocol_is_found_by_its_currents():
    responses = example_data().responses
    shuffled = replace(responses, current_pa=responses.current_pa[:, [3, 2, 0, 5, 1, 4]])
    assert standard_columns(responses, PROTOCOL) == (0, 1, 2)
    assert standard_columns(shuffled, PROTOCOL) == (2, 4, 1)
    with pytest.raises(UsageError, match="50 pA"):
        standard_columns(replace(responses, current_pa=responses.current_pa[:, [0, 2, 3, 4, 5]]), PROTOCOL)
    with pytest.raises(UsageError, match="50 pA"):
        prepare(replace(responses, current_pa=responses.current_pa + torch.tensor([0, 5, 0, 0, 0, 0])))
