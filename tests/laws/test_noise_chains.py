"""Chains for the models of trial noise: with and without the deprecated recorder of PyTorch."""

from dataclasses import dataclass

import pyro
import pyro.distributions as dist
import torch

from noble_prob.calibration.trials import fit_trials
from noble_prob.noise import chains
from noble_prob.noise.chains import run_chains
from noble_prob.noise.repeats import SpikeRepeats
from noble_prob.priors.tracing import can_trace


def model(data):
    pyro.sample(
        "seen", dist.Normal(pyro.sample("mean", dist.Normal(0.0, 10.0)), 1.0).expand([len(data)]).to_event(1), obs=data
    )


def test_chains_run_where_nothing_can_be_recorded(monkeypatch):
    """The same draws, more slowly: single precision apart."""
    data = torch.tensor([1.0, 2.0, 3.0])
    assert can_trace()
    traced, _ = run_chains(model, data, draws=8, warmup=8, chains=2, seed=1)
    monkeypatch.delattr(torch.jit, "trace")
    assert not can_trace()
    plain, _ = run_chains(model, data, draws=8, warmup=8, chains=2, seed=1)
    assert plain["mean"].shape == (2, 8)
    torch.testing.assert_close(plain["mean"], traced["mean"], rtol=1e-3, atol=1e-3)
    assert not torch.equal(plain["mean"][0], plain["mean"][1])


@dataclass
class Counted:
    """A bar that counts."""

    total: int = 0
    done: int = 0
    shown: bool = False

    def __call__(self, *, total, show, **_):
        self.total, self.shown = total, show
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def update(self, n):
        self.done += n


def test_progress_reaches_the_chains_and_ends_at_the_total(monkeypatch):
    bar = Counted()
    monkeypatch.setattr(chains, "counter", bar)
    run_chains(model, torch.tensor([1.0]), draws=5, warmup=4, chains=2, seed=1, progress=True)
    assert (bar.done, bar.total, bar.shown) == (18, 18, True)
    trains = [torch.tensor([10.0, 30.0, 51.0]) + k for k in (0.0, 0.3, 0.7, 1.3)]
    fit_trials(
        SpikeRepeats(times_ms=[trains], end_ms=[400.0], cell=["a"], current_pa=[100.0]),
        draws=4,
        warmup=4,
        progress=True,
    )
    assert (bar.done, bar.total, bar.shown) == (18 + 16, 16, True)


def test_a_recorder_that_only_complains_is_none(monkeypatch):
    def gone(*_, **__):
        raise RuntimeError("torch.jit.trace was removed")

    monkeypatch.setattr(torch.jit, "trace", gone)
    assert not can_trace()
