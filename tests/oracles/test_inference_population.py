"""The population behind many recordings: against quadrature, against known populations, and against its own limits."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
import torch
from population_example import gaussian_posteriors, known_population, posterior_of, space_of, standard

from noble_prob.errors import UsageError
from noble_prob.findings.registry import judge
from noble_prob.inference import infer_population, population_datatree
from noble_prob.inference.density import LogDensity
from noble_prob.inference.hierarchy import sample_hyper_parameters
from noble_prob.inference.standin import implied_likelihoods
from noble_prob.priors import HyperPrior, factor_correlation, seeded, widened
from noble_prob.program import population_program


def test_density_of_the_hyper_parameters_is_the_stated_one():
    generator = torch.Generator().manual_seed(0)
    seen = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    root = 0.3 * torch.randn(6, 3, 3, generator=generator, dtype=torch.float64)
    blur = root @ root.mT + 0.1 * torch.eye(3)
    hyper = HyperPrior(loc_sd=2.0, scale_log_sd=0.7)
    density = LogDensity(lambda batch=(): population_program(seen, blur, hyper=hyper, batch=batch))
    correlation = np.array([[1, 0.4, 0], [0.4, 1, 0.2], [0, 0.2, 1]])
    values = {"loc": [0.1, -0.3, 0.5], "scale": [0.5, 1, 2], "corr": np.linalg.cholesky(correlation)}
    trace = density.trace({k: torch.tensor(v, dtype=torch.float64)[None] for k, v in values.items()}, (1,))
    ours = float(trace.nodes["seen"]["fn"].log_prob(seen)[0])
    covariance = np.diag(values["scale"]) @ correlation @ np.diag(values["scale"])
    expected = sum(
        scipy.stats.multivariate_normal([0.1, -0.3, 0.5], covariance + b).logpdf(x)
        for x, b in zip(seen.numpy(), blur.numpy(), strict=True)
    )
    assert ours == pytest.approx(expected, abs=1e-9)


def test_gaussian_posteriors_give_their_likelihood_back():
    space = space_of(2)
    generator = torch.Generator().manual_seed(1)
    centre = torch.tensor([[1.0, -2.0]]).double().expand(8, 2)
    error = torch.tensor([0.5, 5.0]).double()
    points = torch.stack([p.standardised[0] for p in gaussian_posteriors(centre, error, space, generator, draws=20000)])
    seen, blur = implied_likelihoods(points)
    assert float((seen[:, 0] - 1).abs().max()) < 0.05
    assert float((blur[:, 0, 0].sqrt() / 0.5).log().abs().max()) < 0.05
    assert float((blur[:, 1, 1].sqrt() / 5).log().abs().max()) < 0.6  # hardly informed: only its size matters


def quadrature(log_likelihoods, grid, hyper):
    """Posterior of (mean, SD) of a population of one latent on a grid: means, SDs of both."""
    loc, scale = np.linspace(-3, 3, 121), np.exp(np.linspace(-2.5, 1.5, 101))
    log = scipy.stats.norm(0, hyper.loc_sd).logpdf(loc)[:, None]
    log = log + scipy.stats.norm(0, hyper.scale_log_sd).logpdf(np.log(scale))[None]
    density = scipy.stats.norm(loc[:, None, None], scale[None, :, None]).pdf(grid)
    for row in log_likelihoods:
        log = log + np.log(density @ np.exp(row - row.max()))
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    moments = []
    for x, w in ((loc, weight.sum(1)), (np.log(scale), weight.sum(0))):
        mean = w @ x
        moments += [mean, np.sqrt(w @ (x - mean) ** 2)]
    return moments


def skewed_draws(centres, grid, rng):
    """Posterior draws under N(0, 1) for skewed likelihoods (Gumbel) around given centres."""
    logs, draws = [], []
    for centre in centres:
        log = scipy.stats.gumbel_l(centre, 0.5).logpdf(grid)
        p = np.exp(log - 0.5 * grid**2)
        draws.append(rng.choice(grid, 4000, p=p / p.sum()) + rng.uniform(-0.5, 0.5, 4000) * (grid[1] - grid[0]))
        logs.append(log)
    return logs, draws


def test_weights_bring_skewed_posteriors_to_the_quadrature():
    rng, grid = np.random.default_rng(3), np.linspace(-6, 6, 1201)
    logs, draws = skewed_draws(0.4 + 0.6 * rng.standard_normal(9), grid, rng)
    hyper, space = HyperPrior(loc_sd=2.0, scale_log_sd=0.75), space_of(1)
    found = infer_population(
        [posterior_of(torch.tensor(d)[:, None], space) for d in draws],
        prior=standard(space),
        hyper=hyper,
        seed=1,
        warmup=150,
    )
    assert found.k_hat < 0.7
    w = found.flat_weights
    expected = quadrature(logs, grid, hyper)
    sd = expected[1], expected[3]
    for k, x in enumerate((space.standardise(found.loc).flatten(), (found.sd / space.sd).log().flatten())):
        mean = float(w @ x)
        assert abs(mean - expected[2 * k]) < 0.15 * sd[k]
        assert float((w @ (x - mean) ** 2) ** 0.5) == pytest.approx(sd[k], rel=0.12)


@pytest.mark.slow
@pytest.mark.parametrize("factors", [None, 2])
def test_intervals_hold_the_hyper_parameters_that_made_the_data(factors):
    """Populations drawn from the hyper-prior, seen through noise: 40 side by side; folded ranks catch halved SDs.

    Halved SDs move the distribution of folded ranks by 0.33, and 0.165 is significant: 99.9 % are caught. That of the
    ranks themselves moves by 0.16, which is caught half of the time.
    """
    n, neurons, latents, hyper = 40, 14, 3, HyperPrior(loc_sd=1.0, scale_log_sd=0.5, factors=factors)
    generator = torch.Generator().manual_seed(5)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    loc, scale = normal(n, latents), (0.5 * normal(n, latents)).exp()
    if factors:
        corr = factor_correlation(normal(n, latents, factors))
    else:
        with seeded(5):
            corr = torch.distributions.LKJCholesky(latents, hyper.eta).sample((n,)).double()
    z = loc[:, None] + (scale[:, None, :, None] * corr[:, None] @ normal(n, neurons, latents, 1))[..., 0]
    blur = torch.diag(torch.tensor([0.05, 0.3, 1.0]).double()).expand(n, neurons, latents, latents)
    seen = z + blur.diagonal(dim1=-2, dim2=-1).sqrt() * normal(n, neurons, latents)
    values, _ = sample_hyper_parameters(seen, blur, hyper, seed=2, chains=2, warmup=120, draws=120)
    for draws, truth in ((values["loc"], loc), (values["scale"].log(), scale.log())):
        flat = draws.flatten(0, 1)
        rank = (flat < truth).double().mean(0).flatten()
        assert scipy.stats.kstest(rank.numpy(), "uniform").pvalue > 0.003
        narrow = flat.mean(0) + 0.5 * (flat - flat.mean(0))
        wrong = (narrow < truth).double().mean(0).flatten()
        assert scipy.stats.kstest((2 * wrong - 1).abs().numpy(), "uniform").pvalue < 0.003


@pytest.fixture(scope="module")
def narrow():
    """Twelve neurons of a population half as wide as the reference prior, seen with an error larger than its SD."""
    space, generator = space_of(3), torch.Generator().manual_seed(8)
    z = torch.tensor([0.5, 0.0, -0.5]).double() + 0.4 * torch.randn(12, 3, generator=generator, dtype=torch.float64)
    error = torch.tensor([0.1, 0.6, 0.6]).double()
    seen = z + error * torch.randn(12, 3, generator=generator, dtype=torch.float64)
    return space, z, gaussian_posteriors(seen, error, space, generator)


def test_partial_pooling_learns_from_the_others(narrow):
    space, truth, posteriors = narrow
    found = infer_population(posteriors, prior=standard(space), seed=1, warmup=150)
    interval = found.interval(0.89)
    real = {"mean": space.unstandardise(torch.tensor([0.5, 0, -0.5]).double()), "sd": 0.4 * space.sd}
    inside = sum(int(((interval[k][0] <= v) & (v <= interval[k][1])).sum()) for k, v in real.items())
    assert inside >= 5
    alone = torch.stack([p.mean() for p in posteriors])
    together = torch.stack([n.weights @ n.value for n in found.neurons])
    error = [((space.standardise(x) - truth) ** 2).mean(0) for x in (alone, together)]
    assert float(error[1][1:].mean()) < 0.8 * float(error[0][1:].mean())  # blurred latents gain
    assert float((error[1][0] / error[0][0]).log().abs()) < 0.3  # a sharp one is left as it is
    new = found.draw(4000, seed=1)
    assert new.axis == "neuron"
    spread = new.value.std(0) / found.mean()["sd"]
    assert float(spread.min()) > 1.0  # hyper-parameters are uncertain
    prior = found.to_prior()
    assert torch.allclose(
        prior.space.unstandardise(prior.moments[0]), new.value.mean(0), atol=0.05 * float(space.sd[-1])
    )
    codes = {f.code: f.severity for f in judge(found)}
    assert codes["NP120"] == "passed"
    tree = population_datatree(found)
    assert tree["posterior"]["mean"].attrs["units"] == list(space.units)
    weight, raw = tree["sample_stats"]["weight"].values, tree["unweighted_posterior"]["mean"].values
    mean = found.mean()["mean"].numpy()
    assert (raw * weight[..., None]).sum((0, 1)) == pytest.approx(mean)
    assert tree["posterior"]["mean"].values.mean((0, 1)) == pytest.approx(mean, abs=0.02 * float(space.sd[-1]))


def test_a_population_where_the_draws_are_not_is_told(narrow):
    space, _, _ = narrow
    generator = torch.Generator().manual_seed(2)
    far = torch.tensor([9.0, 0, 0]).double() + torch.randn(8, 3, generator=generator, dtype=torch.float64)
    posteriors = gaussian_posteriors(far, torch.full((3,), 3.0).double(), space, generator)
    found = infer_population(posteriors, prior=standard(space), seed=1, warmup=150)
    assert found.weights is None
    said = [f for f in judge(found) if "Gaussian stand-ins for the recordings' likelihoods" in f.sentence]
    assert [f.severity for f in said] == ["caution"]
    assert "reference prior" in said[0].remedy
    wide = widened(standard(space), 4.0)
    again = gaussian_posteriors(far, torch.full((3,), 3.0).double(), space, generator, reference=4.0)
    assert infer_population(again, prior=wide, seed=1, warmup=120, draws=150).k_hat < found.k_hat


def test_what_can_not_be_pooled_is_refused(narrow):
    space, _, posteriors = narrow
    with pytest.raises(UsageError, match="at least 5"):
        infer_population(posteriors[:4], prior=standard(space))
    with pytest.raises(UsageError, match="latents"):
        infer_population(posteriors, prior=standard(space_of(2)))
    other = [replace(p, stats={"log_prior": torch.zeros(p.latents.shape[:2]).double()}) for p in posteriors]
    with pytest.raises(UsageError, match="inferred with"):
        infer_population(other, prior=standard(space))


def test_the_prior_for_the_next_recording_is_as_wide_as_its_neurons():
    """Means two SDs apart, neurons half an SD: were either left out, the next cell would be sure to be like these."""
    loc = torch.tensor([[[1.0, 0.0], [-1.0, 0.0]]]).double()
    found = known_population(loc, torch.full((1, 2, 2), 0.5).double())
    mean, covariance = found.to_prior().moments
    torch.testing.assert_close(mean, torch.zeros(2).double())
    torch.testing.assert_close(covariance, torch.tensor([[0.25 + 1.0, 0], [0, 0.25]]).double())
    drawn = found.space.standardise(found.draw(40_000, seed=1).value)
    torch.testing.assert_close(covariance, torch.cov(drawn.T), atol=0.03, rtol=0)


@pytest.mark.parametrize(
    ("draws", "apart", "severity"), [(900, 0.0, "passed"), (150, 0.0, "issue"), (2000, 0.3, "issue")]
)
def test_np120_asks_for_chains_that_agree_and_are_long_enough(draws, apart, severity):
    """Independent draws of two chains: 300 in all are too few, and 0.3 SDs between the chains are too many."""
    loc = torch.randn(2, draws, 2, generator=torch.Generator().manual_seed(21), dtype=torch.float64)
    loc[1, :, 0] += apart
    sd = torch.randn(2, draws, 2, generator=torch.Generator().manual_seed(22), dtype=torch.float64).exp()
    weights = torch.ones(2, draws).double()
    (said,) = judge(replace(known_population(loc, sd, neurons=5), weights=weights))
    assert (said.code, said.severity) == ("NP120", severity)
    if draws == 150:
        assert 200 < said.evidence["ess"] < 400
        assert said.evidence["r_hat"] < 1.01
    if apart:
        assert "R-hat of mean of x0" in said.sentence
        assert said.evidence["r_hat"] > 1.01
        assert said.evidence["ess"] > 400
