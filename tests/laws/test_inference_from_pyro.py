"""``from_pyro`` on models of other people: plates, vector and matrix sites, several chains, and alone in its file."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import arviz as az
import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import MCMC, NUTS

from noble_prob.inference import from_pyro, pyro_export
from noble_prob.priors import seeded

FILE = Path(pyro_export.__file__)


def run(model, *args, chains=1, draws=12, warmup=12, depth=10, **kwargs):
    with seeded(0):
        mcmc = MCMC(
            NUTS(model, max_tree_depth=depth),
            num_samples=draws,
            warmup_steps=warmup,
            num_chains=chains,
            disable_progbar=True,
            mp_context="spawn" if chains > 1 else None,
        )
        mcmc.run(*args, **kwargs)
    return mcmc


def regression(x, y=None):
    """A plate of subjects, each with a vector of coefficients, a correlation matrix, and observations in two plates."""
    corr = pyro.sample("corr", dist.LKJCholesky(2, torch.tensor(2.0)))
    with pyro.plate("subject", 3, dim=-1):
        beta = pyro.sample("beta", dist.MultivariateNormal(torch.zeros(2), scale_tril=corr))
        with pyro.plate("time", len(x), dim=-2):
            mean = beta[..., 0] + beta[..., 1] * x[:, None]
            return pyro.sample("y", dist.Normal(mean, 0.3), obs=y)


@pytest.fixture(scope="module")
def fitted():
    x = torch.linspace(-1, 1, 7)
    with seeded(1):
        y = regression(x).detach()
    return x, y, run(regression, x, y, draws=40)


def test_vector_sites_in_plates_and_matrix_sites_keep_their_names(fitted):
    x, y, mcmc = fitted
    named = {"coords": {"subject": ["a", "b", "c"]}, "dims": {"beta": ["subject", "coefficient"]}}
    tree = from_pyro(mcmc, model=regression, model_args=(x, y), predictive_args=(x,), **named)
    assert set(tree.log_likelihood.data_vars) == set(tree.observed_data.data_vars) == {"y"}  # latents are not observed
    assert tree.posterior["beta"].dims == ("chain", "draw", "subject", "coefficient")
    assert tree.posterior["beta"].coords["subject"].values.tolist() == ["a", "b", "c"]
    assert tree.posterior["corr"].dims == ("chain", "draw", "corr_dim_0", "corr_dim_1")
    assert tree.log_likelihood["y"].dims == ("chain", "draw", "time", "subject")
    beta = tree.posterior["beta"].values[0, 5]
    expected = dist.Normal(torch.tensor(beta[:, 0] + beta[:, 1] * x.numpy()[:, None]), 0.3).log_prob(y)
    np.testing.assert_allclose(tree.log_likelihood["y"].values[0, 5], expected.numpy(), rtol=1e-4)
    again = from_pyro(mcmc, model=regression, model_args=(x, y), predictive_args=(x,))
    np.testing.assert_array_equal(again.posterior_predictive["y"].values, tree.posterior_predictive["y"].values)
    assert again.posterior["beta"].dims == ("chain", "draw", "subject", "beta_dim_1")
    assert np.isfinite(az.loo(tree).elpd)


def vectors(data):
    """Whole vectors are observed: one log likelihood per vector, not per number; the plate is a subsampled one."""
    loc = pyro.sample("loc", dist.Normal(torch.zeros(2), 1.0).to_event(1))
    with pyro.plate("row", len(data), subsample_size=len(data)):
        pyro.sample("v", dist.MultivariateNormal(loc, torch.eye(2)), obs=data)


def test_vector_observations_have_one_likelihood_each():
    data = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    tree = from_pyro(run(vectors, data), model=vectors, model_args=(data,))
    assert tree.log_likelihood["v"].shape == (1, 12, 5)
    assert tree.posterior_predictive["v"].shape == (1, 12, 5, 2)
    assert tree.observed_data["v"].shape == (5, 2)
    assert tree.observed_data["v"].dims[0] == "row"


def two_numbers(y=None):
    mean = pyro.sample("mean", dist.Normal(0.0, 1.0))
    return pyro.sample("y", dist.Normal(mean, 1.0), obs=y)


def test_scalars_several_chains_a_prior_and_no_model():
    y = torch.tensor(0.7)
    mcmc = run(two_numbers, y, chains=2)
    tree = from_pyro(mcmc, model=two_numbers, model_args=(y,), prior={"mean": torch.randn(30)})
    assert tree.posterior["mean"].dims == ("chain", "draw")
    assert tree.posterior["mean"].shape == (2, 12)
    assert tree.log_likelihood["y"].shape == (2, 12)
    assert tree.prior["mean"].shape == (1, 30)
    bare = from_pyro(mcmc)
    assert set(bare.children) == {"posterior", "sample_stats"}


def with_a_mean(x, y=None):
    """What people write: a deterministic mean, a penalty, and observations in a plate."""
    slope = pyro.sample("slope", dist.Normal(0.0, 1.0))
    pyro.factor("penalty", -0.1 * slope.square())
    with pyro.plate("time", len(x)):
        mu = pyro.deterministic("mu", slope * x)
        return pyro.sample("y", dist.Normal(mu, 0.5), obs=y)


@pytest.fixture(scope="module")
def line():
    x = torch.linspace(-1, 1, 8)
    y = 0.5 * x + 0.3 * torch.randn(8, generator=torch.Generator().manual_seed(1))
    return x, y, run(with_a_mean, x, y=y, draws=40)


def test_deterministic_sites_are_no_observations_and_factors_are_nothing(line):
    x, y, mcmc = line
    tree = from_pyro(mcmc, model=with_a_mean, model_args=(x,), model_kwargs={"y": y})
    for group in ("log_likelihood", "posterior_predictive", "observed_data"):
        assert set(tree[group].data_vars) == {"y"}, group
    assert set(tree.posterior.data_vars) == {"slope", "mu"}
    assert tree.posterior["mu"].dims == ("chain", "draw", "time")
    expected = tree.posterior["slope"].values[..., None] * x.numpy()
    np.testing.assert_allclose(tree.posterior["mu"].values, expected, rtol=1e-6)
    assert np.isfinite(az.loo(tree).elpd)
    assert np.isfinite(az.loo_pit(tree)["y"].values).all()


@pytest.mark.parametrize("arguments", [{}, {"predictive_args": ()}, {"predictive_kwargs": {"y": None}}])
def test_data_given_by_name_are_not_their_own_prediction(line, arguments):
    x, y, mcmc = line
    arguments = {"predictive_args": (x,)} if "predictive_args" in arguments else arguments
    tree = from_pyro(mcmc, model=with_a_mean, model_args=(x,), model_kwargs={"y": y}, **arguments)
    assert (tree.posterior_predictive["y"].values.std((0, 1)) > 0.3).all()
    np.testing.assert_array_equal(tree.observed_data["y"].values, y.numpy())


def test_a_predictive_run_without_the_site_is_refused(line):
    x, y, mcmc = line

    def other(x, y=None, there=True):
        return with_a_mean(x, y) if there else pyro.sample("slope", dist.Normal(0.0, 1.0))

    with pytest.raises(ValueError, match=r"predictive_args.*'y'"):
        from_pyro(mcmc, model=other, model_args=(x, y), predictive_kwargs={"there": False})


GAPS = torch.tensor([True, False, True, True, False, True, True, True])


def masked_by_handler(y):
    mean = pyro.sample("mean", dist.Normal(0.0, 1.0))
    with pyro.plate("time", len(y)), pyro.poutine.mask(mask=GAPS):
        pyro.sample("y", dist.Normal(mean, 1.0), obs=y)


def masked_distribution(y):
    mean = pyro.sample("mean", dist.Normal(0.0, 1.0))
    with pyro.plate("time", len(y)):
        pyro.sample("y", dist.Normal(mean, 1.0).mask(GAPS), obs=y)


def masked_observation(y):
    mean = pyro.sample("mean", dist.Normal(0.0, 1.0))
    with pyro.plate("time", len(y)):
        pyro.sample("y", dist.Normal(mean, 1.0), obs=y, obs_mask=GAPS)


@pytest.mark.parametrize(
    ("model", "site"), [(masked_by_handler, "y"), (masked_distribution, "y"), (masked_observation, "y_observed")]
)
def test_masked_points_are_left_out(model, site):
    """Ten thousand stands where nothing was measured: a log likelihood near -5e7 if counted, a sure point if zero."""
    y = torch.where(GAPS, torch.linspace(-1, 1, 8), 1e4)
    tree = from_pyro(run(model, y, draws=40, depth=3), model=model, model_args=(y,))
    for group in ("log_likelihood", "posterior_predictive", "observed_data"):
        assert set(tree[group].data_vars) == {site}, group
        assert tree[group][site].dims[-1] == f"{site}_point"
        assert tree[group][site].coords[f"{site}_point"].values.tolist() == [0, 2, 3, 5, 6, 7]
    np.testing.assert_array_equal(tree.observed_data[site].values, y[GAPS].numpy())
    mean = torch.tensor(tree.posterior["mean"].values)[..., None]
    expected = dist.Normal(mean, 1.0).log_prob(y[GAPS])
    np.testing.assert_allclose(tree.log_likelihood[site].values, expected.numpy(), rtol=1e-4)
    assert az.loo(tree).n_data_points == 6
    assert ("y" in tree.posterior) == (site == "y_observed")  # imputed where nothing was observed


def scaled(y):
    mean = pyro.sample("mean", dist.Normal(0.0, 1.0))
    with pyro.plate("time", len(y)), pyro.poutine.scale(scale=0.25):
        pyro.sample("y", dist.Normal(mean, 1.0), obs=y)


def test_scaled_likelihoods_are_those_that_were_sampled():
    y = torch.linspace(-1, 1, 5)
    tree = from_pyro(run(scaled, y, draws=40), model=scaled, model_args=(y,))
    expected = 0.25 * dist.Normal(torch.tensor(tree.posterior["mean"].values)[..., None], 1.0).log_prob(y)
    np.testing.assert_allclose(tree.log_likelihood["y"].values, expected.numpy(), rtol=1e-5)
    assert np.isfinite(az.loo(tree).elpd)


def test_the_callers_random_state_is_left_alone(fitted):
    x, y, mcmc = fitted
    state = torch.get_rng_state()
    from_pyro(mcmc, model=regression, model_args=(x, y))
    assert torch.equal(torch.get_rng_state(), state)


def test_the_file_works_alone(tmp_path):
    """Copied somewhere else, in an interpreter that can not import the package."""
    code = f"""
import sys, importlib.util
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "noble_prob":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Block())
spec = importlib.util.spec_from_file_location("alone", {str(FILE)!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print(module.from_pyro.__name__)
"""
    answer = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert answer.stdout.strip() == "from_pyro", answer.stderr
    assert importlib.util.find_spec("noble_prob") is not None
