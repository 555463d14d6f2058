"""Export keeps names, shapes and units; a general Pyro run with plates and vector sites converts; results render."""

import json
import math
from dataclasses import replace

import arviz as az
import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
import xarray as xr
from pyro.infer import MCMC, NUTS
from toy_example import toy_prior

from noble_prob.calibration import FeatureTable, calibrate_population
from noble_prob.cells import load_cell
from noble_prob.decoder.toy import ToyDecoder
from noble_prob.ensemble import draw, respond
from noble_prob.errors import UsageError
from noble_prob.examination import examine_posterior
from noble_prob.findings.registry import judge
from noble_prob.inference import convergence, from_pyro, infer, observe, to_datatree, to_json, write_posterior
from noble_prob.inference.agreement import settled
from noble_prob.inference.restore import read_posterior, stored
from noble_prob.noise import NoisePrior
from noble_prob.noise.chains import worst_r_hat
from noble_prob.priors import seeded
from noble_prob.recording import Protocol, Recording
from noble_prob.report import render
from noble_prob.report.parts import calibration_part, examination_report, posterior_part


@pytest.fixture(scope="module")
def decoder():
    return ToyDecoder()


@pytest.fixture(scope="module")
def prior(decoder):
    return toy_prior(decoder, 60, 5)


@pytest.fixture(scope="module")
def recording(decoder, prior):
    ensemble = respond(decoder, draw(prior, 1, seed=3), [-110.0, 100.0, 180.0, 320.0], extrapolate=True)
    return Recording(protocol=ensemble.protocol, voltage_mv=ensemble.voltage_mv[0])


@pytest.fixture(scope="module")
def posterior(decoder, prior, recording):
    return infer(recording, decoder=decoder, prior=prior, method="hmc", seed=4, warmup=40, draws=50, robust=False)


def test_the_tree_survives_the_disk_with_units_and_groups(posterior, tmp_path):
    to_datatree(posterior).to_netcdf(tmp_path / "posterior.nc")
    tree = az.from_netcdf(tmp_path / "posterior.nc")
    assert {
        "posterior",
        "sample_stats",
        "log_likelihood",
        "posterior_predictive",
        "prior_predictive",
        "prior",
        "observed_data",
    } <= set(tree.children)
    assert tree.posterior["resting_voltage_mv"].attrs["units"] == "mV"
    assert tree.log_likelihood["sweeps"].dims == ("chain", "draw", "sweep")
    assert tree.attrs["seed"] == 4
    np.testing.assert_allclose(tree.posterior["resting_voltage_mv"].values, posterior.latents[..., 0].numpy())
    counts = tree.observed_data["spike_count"].values
    assert counts.tolist() == posterior.evidence.counts.tolist()
    assert (np.isfinite(tree.observed_data["spike_time_ms"].values).sum(-1) == counts).all()


@pytest.mark.parametrize("method", ["hmc", "importance"])
def test_what_arviz_aligns_belongs_together(method, decoder, prior, recording, tmp_path):
    """Draws and their replays share chain and draw; by chance the correlation would be near 0."""
    settings = {"decoder": decoder, "prior": prior, "noise": NoisePrior(), "seed": 4, "fall_back": False}
    warmup = 40 if method == "hmc" else None
    found = infer(recording, method=method, warmup=warmup, draws=150, chains=4, **settings)
    to_datatree(found).to_netcdf(tmp_path / "posterior.nc")
    tree = az.from_netcdf(tmp_path / "posterior.nc")
    ours, theirs = xr.align(tree.posterior["resting_voltage_mv"], tree.posterior_predictive["resting_voltage_mv"])
    assert ours.shape == ((4, 100) if method == "hmc" else (1, 400))
    own = np.corrcoef(found.predictive.latents[:, 0], found.predictive.summary[:, 0, 0])[0, 1]
    assert np.corrcoef(ours.values.ravel(), theirs.values[..., 0].ravel())[0, 1] == pytest.approx(own)
    assert abs(own) > 0.2
    again = read_posterior(tmp_path / "posterior.nc", decoder=decoder, prior=prior)
    for name in ("counts", "summary", "latents", "made_from"):
        torch.testing.assert_close(getattr(again.predictive, name), getattr(found.predictive, name), equal_nan=True)
    assert {k: found.provenance[k] for k in ("chains", "draws")} == dict(
        zip(("chains", "draws"), found.latents.shape[:2], strict=True)
    )


def test_a_file_can_be_written_anew_while_what_was_read_from_it_is_in_use(posterior, decoder, prior, tmp_path):
    read = []
    for seed in (4, 5, 6):
        assert write_posterior(replace(posterior, seed=seed), tmp_path) == tmp_path / "posterior.nc"
        opened = az.from_netcdf(tmp_path / "posterior.nc")  # a notebook that is run twice
        read.append((read_posterior(tmp_path, decoder=decoder, prior=prior), opened))
        assert stored(tmp_path)["seed"] == seed
    assert [(p.seed, tree.attrs["seed"]) for p, tree in read] == [(4, 4), (5, 5), (6, 6)]
    with pytest.raises(UsageError, match=r"`path` should be in an existing folder"):
        write_posterior(posterior, tmp_path / "none" / "posterior.nc")


def test_a_posterior_comes_back_with_its_provenance_in_plain_values(posterior, decoder, prior, tmp_path):
    odd = {"none": None, "yes": True, "half": 0.5, "many": [1, 2], "word": "nuts", "deep": {"no": False}}
    whole = replace(posterior, provenance={**posterior.provenance, **odd})
    again = read_posterior(write_posterior(whole, tmp_path / "a.nc"), decoder=decoder, prior=prior)
    assert {k: (type(v), v) for k, v in again.provenance.items()} == {
        k: (type(v), v) for k, v in whole.provenance.items()
    }
    assert json.loads(json.dumps(to_json(again)))["provenance"] == again.provenance


def test_the_json_has_what_others_rely_on(posterior):
    content = json.loads(json.dumps(to_json(posterior), allow_nan=False))
    row = content["latents"]["log_mean_isi_180pa"]
    assert {"unit", "mean", "sd", "interval_89", "r_hat", "ess_bulk", "ess_tail", "contraction"} <= set(row)
    assert row["interval_89_ms"] == pytest.approx([math.exp(end) for end in row["interval_89"]])
    assert "interval_89_ms" not in content["latents"]["resting_voltage_mv"]
    assert row["interval_89"][0] < row["mean"] < row["interval_89"][1]
    assert [f["code"] for f in content["findings"]] == ["NP110"]  # 320 pA is beyond the decoder
    assert content["sweeps"] == [0, 1, 2]
    assert math.isfinite(content["wall_s"])


def test_a_seed_repeats_everything_and_leaves_the_global_state_alone(decoder, prior, recording, posterior):
    state = torch.get_rng_state()
    again = infer(recording, decoder=decoder, prior=prior, method="hmc", seed=4, warmup=40, draws=50, robust=False)
    assert torch.equal(again.latents, posterior.latents)
    assert torch.equal(again.predictive.times_ms, posterior.predictive.times_ms)
    nuts = [
        infer(recording, decoder=decoder, prior=prior, method="nuts", seed=2, warmup=10, draws=6, chains=3).latents
        for _ in range(2)
    ]
    assert torch.equal(*nuts)
    assert torch.equal(torch.get_rng_state(), state)
    assert len(pyro.get_param_store()) == 0


def test_the_common_window_sees_no_further_than_the_shorter_step(decoder, prior):
    neuron = draw(prior, 1, seed=3)
    whole = respond(decoder, neuron, [-110.0, 180.0])
    short = Protocol.step_family([-110.0, 180.0], duration_ms=150.0, dt_ms=0.125)
    cut = Recording(protocol=short, voltage_mv=whole.voltage_mv[0])
    seen = observe(cut, decoder).evidence
    full = observe(Recording(protocol=whole.protocol, voltage_mv=whole.voltage_mv[0]), decoder).evidence
    assert seen.design.end_ms.tolist() == [150.0, 150.0]
    n = int(seen.counts[1])
    assert n == int((full.times_ms[1] < 150).sum())
    assert torch.allclose(seen.times_ms[1, :n], full.times_ms[1, :n])
    assert torch.isnan(seen.summary[0, 1])  # the deflection looks at the end of the step
    assert torch.isfinite(full.summary[0, 1])


def test_what_can_not_be_inferred_is_refused(decoder, prior, recording):
    with pytest.raises(UsageError, match="one neuron"):
        infer(respond(decoder, draw(prior, 2, seed=0), [100.0]), decoder=decoder, prior=prior)
    brief = Recording(
        protocol=Protocol.step_family([100.0], duration_ms=60.0), voltage_mv=torch.linspace(-70, -69, 8192)[None]
    )
    with pytest.raises(UsageError, match="100 ms or more"):
        infer(brief, decoder=decoder, prior=prior)
    for wrong in ({"draws": 3}, {"warmup": 3}, {"chains": 1}, {"seed": 2**63}):
        with pytest.raises(UsageError, match=f"^.{next(iter(wrong))}. should be"):
            infer(recording, decoder=decoder, prior=prior, **wrong)
    for method in ("importance", "npe", "svi"):
        with pytest.raises(UsageError, match=f"`warmup` should be left out for {method}, which runs no chains"):
            infer(recording, decoder=decoder, prior=prior, method=method, warmup=50)
    with pytest.raises(UsageError, match="nuts"):
        infer(recording, decoder=decoder, prior=prior, method="magic", warmup=50)


def test_from_pyro_keeps_plates_and_vector_sites():
    x = torch.linspace(-1, 1, 12)

    def model(y):
        slope = pyro.sample("slope", dist.Normal(torch.zeros(2), 1.0).to_event(1))
        sigma = pyro.sample("sigma", dist.HalfNormal(1.0))
        cells = pyro.plate("cell", 3, dim=-1)
        with cells:
            offset = pyro.sample("offset", dist.Normal(0.0, 1.0))
        with pyro.plate("time", 12, dim=-2), cells:
            mean = offset + slope[0] * x[:, None] + slope[1] * x[:, None] ** 2
            return pyro.sample("y", dist.Normal(mean, sigma), obs=y)

    with seeded(0):
        y = 0.5 * x[:, None] + 0.1 * torch.randn(12, 3)
        mcmc = MCMC(NUTS(model), num_samples=30, warmup_steps=30, disable_progbar=True)
        mcmc.run(y)
    tree = from_pyro(mcmc, model=model, model_args=(y,), predictive_args=(None,), dims={"slope": ["power"]})
    assert tree.posterior["offset"].dims == ("chain", "draw", "cell")
    assert tree.posterior["slope"].dims == ("chain", "draw", "power")
    assert tree.log_likelihood["y"].dims == ("chain", "draw", "time", "cell")
    assert tree.posterior_predictive["y"].shape == (1, 30, 12, 3)
    np.testing.assert_allclose(tree.observed_data["y"].values, y.numpy())
    draws = {k: torch.as_tensor(tree.posterior[k].values[0, 7]) for k in ("slope", "sigma", "offset")}
    mean = draws["offset"] + draws["slope"][0] * x[:, None] + draws["slope"][1] * x[:, None] ** 2
    expected = torch.distributions.Normal(mean, draws["sigma"]).log_prob(y)
    np.testing.assert_allclose(tree.log_likelihood["y"].values[0, 7], expected.numpy(), rtol=1e-5)
    assert {"diverging", "acceptance_rate"} <= set(tree.sample_stats.data_vars)
    assert not np.array_equal(tree.posterior_predictive["y"].values[0, 0], tree.posterior_predictive["y"].values[0, 1])


def test_noiseless_simulations_need_no_noise_sites(decoder, prior, recording):
    posterior = infer(
        recording, decoder=decoder, prior=prior, method="hmc", noise=NoisePrior.exact(), warmup=10, draws=10
    )
    assert posterior.scales == {}


def test_nouns_are_told_in_one_line_and_compared_by_identity(posterior, prior):
    cell = load_cell("toy")
    value = np.random.default_rng(0).normal(size=(12, 2))
    table = FeatureTable(names=("a_mv", "b_mv"), units=("mV", "mV"), value=value, axis="neuron")
    calibration = calibrate_population(table, table, permutations=299)
    nouns = (posterior, posterior.predictive, cell, cell.models, prior, prior.space, calibration)
    for noun in nouns:
        assert len(repr(noun)) < 200, repr(noun)
        assert "\n" not in repr(noun)
        assert noun == noun
        assert noun != replace(noun)
    worst = max(row["r_hat"] for row in list(convergence(posterior).values())[: len(prior.space)])
    assert repr(posterior) == (
        f"Posterior('hmc', seed 4: 4 x 50 draws of 5 latents from 3 sweeps, worst R-hat {worst:.3f})"
    )
    asked = replace(posterior, provenance={**posterior.provenance, "asked": "npe"})
    assert repr(asked).startswith("Posterior('hmc' for 'npe', seed 4")
    assert "Cell('toy', ToyDecoder, 60 models, " in repr(cell)


def test_results_are_rendered_as_they_are(posterior):
    value = np.random.default_rng(0).normal(size=(12, 2))
    table = FeatureTable(names=("a_mv", "b_mv"), units=("mV", "mV"), value=value, axis="neuron")
    results = {
        "Posterior of the latents": (posterior, posterior_part(posterior, findings=judge(posterior))),
        "Between neurons": (c := calibrate_population(table, table, permutations=299), calibration_part(c)),
    }
    for heading, (result, part) in results.items():
        assert heading in render(result, "html")
        assert heading in render(result, "text")
        assert json.loads(render(result, "json"))["verdicts"] == json.loads(render(part, "json"))["verdicts"]
    found = examine_posterior(posterior, replace(load_cell("toy"), decoder=ToyDecoder()))
    assert "A recording, taken for toy" in render(found, "html")
    assert render(found, "json") == render(examination_report(found, "A recording, taken for toy"), "json")
    with pytest.raises(UsageError, match=r"^`report` should be one of .*Posterior.* found a str;"):
        render("posterior")


@pytest.mark.parametrize(("draws", "apart", "agree"), [(600, 0.0, True), (150, 0.0, False), (600, 0.5, False)])
def test_chains_agree_when_they_mix_and_are_long_enough(draws, apart, agree):
    """Two chains of independent draws of three numbers; 300 effective draws are fewer than the 400 asked for."""
    x = torch.randn(2, draws, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x[1, :, 2] += apart
    assert worst_r_hat(x) < 1.01 or apart
    assert settled(x) == agree


def test_acceptance_is_told_without_the_private_name_of_pyro():
    from noble_prob.inference.nuts import _each

    assert _each([0.5, 0.75, 0.75], 0.9).tolist() == pytest.approx([0.5, 1.0, 0.75])
    assert _each([math.nan, math.nan], 0.9).tolist() == [0.9, 0.9]
