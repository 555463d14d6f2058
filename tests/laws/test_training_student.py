"""A spike map that is taught by several: what it is shown, what it is charged for, what it becomes."""

import copy

import pytest
import torch
from training_example import SCHEDULES, example_data, example_decoder, one_thread  # noqa: F401

from noble_prob.training.decoder import train_timing
from noble_prob.training.loop import fit
from noble_prob.training.schedule import Schedule
from noble_prob.training.student import EXACT, StudentTask, spike_map_for

SHORT = Schedule(steps=400, batch=128, optimiser="soap", peak_lr=5e-3, ema=0.9, save_every=400, validate_every=200)


@pytest.fixture
def school():
    """A decoder with an untaught student of one network, three random teachers, neurons."""
    data = example_data()
    decoder = example_decoder(data)
    decoder.spike_map = spike_map_for(decoder, width=24, members=1, seed=1)
    teachers = spike_map_for(decoder, width=24, members=3, seed=2).requires_grad_(False)
    return decoder, teachers, decoder.space.standardise(data.latents).float()


def test_examples_are_models_places_between_and_around_them_at_currents_of_the_window(school):
    decoder, teachers, x = school
    rows = StudentTask(decoder, teachers, x).draw(4000, torch.Generator().manual_seed(0))
    latents, current = rows[:, :-1], rows[:, -1]
    low, high = decoder.window.current_range_pa
    assert ((current >= low) & (current <= high)).all()
    itself = (torch.cdist(latents, x).amin(1) < 1e-5).float().mean()
    assert abs(itself - EXACT) < 0.03, "four SDs of a share of 4,000"
    assert (latents.abs().amax(0) > x.abs().amax(0)).any(), "also beyond the models"


def test_a_student_that_says_what_its_teachers_say_pays_nothing(school):
    decoder, _, x = school
    task = StudentTask(decoder, copy.deepcopy(decoder.spike_map).requires_grad_(False), x)
    rows = task.draw(64, torch.Generator().manual_seed(0))
    assert task.loss(rows) < 1e-3, "nothing but the half millisecond that a spike has to stay away from the end"
    assert task.validate()["student_time_error_ms_p99"] == 0
    with torch.no_grad():
        decoder.spike_map.net.biases[-1][..., 0] += 0.01  # latencies are a hundredth too long
    assert task.loss(rows) > 5e-3
    assert task.validate()["student_time_error_ms"] > 1e-3


def test_the_student_becomes_the_mean_of_its_teachers_and_not_one_of_them(school):
    decoder, teachers, x = school
    task = StudentTask(decoder, teachers, x)
    before, weights = task.validate(), copy.deepcopy(teachers.state_dict())
    after = fit(task, SHORT, progress=False)[-1]
    assert after["student_time_error_ms"] < 0.05 * before["student_time_error_ms"]
    rows = task.draw(512, torch.Generator().manual_seed(3))
    own, each = decoder.spike_map(rows[:, :-1], rows[:, -1])[0], teachers(rows[:, :-1], rows[:, -1])
    mean = teachers.mean_times(rows[:, :-1], rows[:, -1])
    off = [(own - other)[:, :8].abs().median() for other in (mean, *each)]
    assert off[0] < 0.2 * min(off[1:])
    assert all(torch.equal(a, b) for a, b in zip(weights.values(), teachers.state_dict().values(), strict=True))


def test_teachers_learn_from_data_and_the_spike_map_from_them():
    data = example_data()
    decoder = example_decoder(data)
    decoder.spike_map = spike_map_for(decoder, width=32, members=1, seed=0)
    schedules = SCHEDULES | {"spike_map": SHORT, "student": SHORT}
    rows = train_timing(decoder, data, schedules, None, teachers=2, teacher_width=24, progress=False)
    assert list(rows) == ["spike_map", "student", "summary", "offset"]
    assert decoder.spike_map.members == 1
    x = decoder.space.standardise(data.latents).float()
    assert decoder.spike_map.net.weights[0].shape == (1, x.shape[1] + 4, 32)
    times = decoder.spike_map.mean_times(x, torch.full((len(x),), 180.0))[:, 0]
    truth = data.spikes_ms[:, 2, 0].float()
    fires = torch.isfinite(truth)
    untaught = spike_map_for(decoder, width=32, members=1, seed=0).mean_times(x, torch.full((len(x),), 180.0))[:, 0]
    assert (times - truth)[fires].abs().median() < 0.5 * (untaught - truth)[fires].abs().median()
