"""Chains for the models of trial noise: with and without the deprecated recorder of PyTorch."""

import pyro
import pyro.distributions as dist
import torch

from noble_prob.noise.chains import run_chains
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


def test_a_recorder_that_only_complains_is_none(monkeypatch):
    def gone(*_, **__):
        raise RuntimeError("torch.jit.trace was removed")

    monkeypatch.setattr(torch.jit, "trace", gone)
    assert not can_trace()
