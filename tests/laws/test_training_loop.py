"""A run that is stopped and continued is the run that was left alone; under other settings it is refused."""

import csv
import time
from itertools import pairwise

import pytest
import torch
from torch import nn
from training_example import one_thread, read_log  # noqa: F401

from noble_prob.errors import UsageError
from noble_prob.training.loop import OutOfTimeError, figures, fit
from noble_prob.training.schedule import Schedule

SHORT = Schedule(steps=30, batch=16, peak_lr=0.1, ema=0.9, save_every=7, validate_every=10, log_every=2)


class Circles(nn.Module):
    """Real and complex weights: y = Re(c exp(i w x)) + b."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.c = nn.Parameter(torch.randn(6, dtype=torch.complex64, generator=generator))
        self.b = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        k = torch.arange(1, 7)
        return (self.c * torch.exp(1j * k * x[:, None])).real.sum(1) + self.b


class Fit:
    """Learn sin(x) + 0.5 from random points."""

    def __init__(self):
        self.module = Circles()
        self.seen = 0

    def draw(self, batch, generator):
        return 6.28 * torch.rand(batch, generator=generator)

    def loss(self, x):
        self.seen += 1
        return (self.module(x) - x.sin() - 0.5).square().mean()

    def validate(self):
        x = torch.linspace(0, 6.28, 50)
        with torch.no_grad():
            return {"error": float((self.module(x) - x.sin() - 0.5).square().mean())}


class KilledError(Exception):
    pass


class Dying(Fit):
    """Fails at its n-th step, as a killed process would, wherever that falls between two saved states."""

    def __init__(self, after):
        super().__init__()
        self.after = after

    def loss(self, x):
        if self.seen == self.after:
            raise KilledError
        return super().loss(x)


def weights(task):
    return [p.detach().clone() for p in task.module.parameters()]


def log(folder):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in read_log(folder / "train.csv")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder, task = tmp_path_factory.mktemp("whole"), Fit()
    rows = fit(task, SHORT, folder, progress=False)
    return folder, weights(task), rows


@pytest.mark.parametrize("after", [0, 1, 7, 8, 20, 29])
def test_stopped_at_any_step_and_continued(tmp_path, whole, after):
    with pytest.raises(KilledError):
        fit(Dying(after), SHORT, tmp_path, progress=False)
    task = Fit()
    rows = fit(task, SHORT, tmp_path, progress=False)
    assert task.seen == 30 - 7 * (after // 7)  # from the last saved state on
    assert all(torch.equal(a, b) for a, b in zip(weights(task), whole[1], strict=True))
    assert log(tmp_path) == log(whole[0])
    assert [figures(row) for row in rows] == [figures(row) for row in whole[2]]


def test_the_loss_falls_and_the_log_says_so(whole):
    rows = log(whole[0])
    assert [row["step"] for row in rows] == list(range(2, 31, 2))
    assert [row["step"] for row in rows if "error" in row] == [10, 20, 30]
    assert rows[-1]["error"] < 0.5 * rows[4]["error"]
    with (whole[0] / "train.csv").open() as file:
        assert next(csv.reader(file)) == ["step", "loss", "lr", "seconds", "error"]


def test_a_finished_run_is_not_repeated(tmp_path, whole):
    fit(Fit(), SHORT, tmp_path, progress=False)
    again = Fit()
    rows = fit(again, SHORT, tmp_path, progress=False)
    assert again.seen == 0
    assert all(torch.equal(a, b) for a, b in zip(weights(again), whole[1], strict=True))
    assert [row["step"] for row in rows] == [10, 20, 30]


def test_the_result_is_the_running_average():
    kept, last = Fit(), Fit()
    fit(kept, SHORT, progress=False)
    averages = []
    shadow = [w.clone() for w in weights(last)]
    last_loss = last.loss

    def loss(x):  # the weights before each step, averaged by hand one step late
        averages.append(weights(last))
        return last_loss(x)

    last.loss = loss
    fit(last, Schedule(**{**vars(SHORT), "ema": 0.0}), progress=False)
    for step, now in enumerate([*averages[1:], weights(last)]):
        decay = min(0.9, (1 + step) / (10 + step))
        shadow = [decay * s + (1 - decay) * w for s, w in zip(shadow, now, strict=True)]
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(shadow, weights(kept), strict=True))
    assert not torch.allclose(weights(kept)[0], weights(last)[0])


def test_other_settings_are_refused_with_what_differs(tmp_path):
    with pytest.raises(KilledError):
        fit(Dying(9), SHORT, tmp_path, about={"data": "abc"}, progress=False)
    with pytest.raises(UsageError, match=r"peak_lr = 0.1.*peak_lr = 0.5"):
        fit(Fit(), Schedule(**{**vars(SHORT), "peak_lr": 0.5}), tmp_path, about={"data": "abc"}, progress=False)
    with pytest.raises(UsageError, match=r"data = 'abc'.*data = 'xyz'"):
        fit(Fit(), SHORT, tmp_path, about={"data": "xyz"}, progress=False)
    wider = Fit()
    wider.module.b = nn.Parameter(torch.zeros(2))
    with pytest.raises(UsageError, match="architecture"):
        fit(wider, SHORT, tmp_path, about={"data": "abc"}, progress=False)
    task = Fit()  # what changes no weight may change
    fit(
        task,
        Schedule(**{**vars(SHORT), "save_every": 4, "log_every": 5}),
        tmp_path,
        about={"data": "abc"},
        progress=False,
    )
    assert task.seen == 23


def test_a_damaged_state_is_named(tmp_path):
    with pytest.raises(KilledError):
        fit(Dying(9), SHORT, tmp_path, progress=False)
    state = tmp_path / "train.state"
    state.write_bytes(state.read_bytes()[:-9])
    with pytest.raises(UsageError, match=r"train.state"):
        fit(Fit(), SHORT, tmp_path, progress=False)


def test_a_deadline_saves_and_says_how_far(tmp_path, whole):
    with pytest.raises(OutOfTimeError, match="2 of 30"):
        fit(Fit(), SHORT, tmp_path, deadline=time.monotonic() - 1, progress=False)
    task = Fit()
    fit(task, SHORT, tmp_path, progress=False)
    assert task.seen == 28
    assert all(torch.equal(a, b) for a, b in zip(weights(task), whole[1], strict=True))


class Worsening(Fit):
    """Validates better twice, then ever worse."""

    def __init__(self):
        super().__init__()
        self.figures, self.marks = [3.0, 2.0, 2.5, 2.6, 2.7, 2.8], []

    def validate(self):
        self.marks.append(weights(self))
        return {"error": self.figures[len(self.marks) - 1]}


def test_early_stop_keeps_the_best_weights(tmp_path):
    task = Worsening()
    rows = fit(task, Schedule(**{**vars(SHORT), "validate_every": 5, "patience": 2}), tmp_path, progress=False)
    assert [row["step"] for row in rows] == [5, 10, 15, 20]
    assert all(torch.equal(a, b) for a, b in zip(weights(task), task.marks[1], strict=True))
    again = Worsening()
    assert fit(again, Schedule(**{**vars(SHORT), "validate_every": 5, "patience": 2}), tmp_path, progress=False) == rows
    assert all(torch.equal(a, b) for a, b in zip(weights(again), task.marks[1], strict=True))


def test_the_learning_rate_rises_and_falls_to_nothing():
    rates = [SHORT.lr(step) for step in range(30)]
    assert rates[2] == pytest.approx(0.1)
    assert rates[0] == pytest.approx(0.1 / 3)
    assert all(b < a for a, b in pairwise(rates[3:]))
    assert rates[-1] < 1e-3


def test_nonsense_is_refused():
    for bad in ({"steps": 0}, {"ema": 1.0}, {"peak_lr": -1.0}, {"warmup": 2.0}):
        with pytest.raises(UsageError, match=next(iter(bad))):
            Schedule(**bad)
