"""Posteriors and populations of which everything is known, for tests of the level between recordings."""

import torch

from noble_prob.inference.population import Population
from noble_prob.inference.posterior import Posterior, Predictive
from noble_prob.latent import Latent, LatentSpace, Neurons
from noble_prob.noise import Design, Evidence
from noble_prob.priors import HyperPrior, Prior


def space_of(n):
    latents = tuple(Latent(name=f"x{k}", unit="mV", feature="x", current_pa=0.0) for k in range(n))
    return LatentSpace(name="test", latents=latents, mean=torch.arange(n).double(), sd=1.0 + torch.arange(n).double())


def standard(space):
    n = len(space)
    tensors = {"loc": torch.zeros(n).double(), "scale_tril": torch.eye(n).double()}
    return Prior(kind="gaussian", space=space, tensors=tensors, points=torch.zeros(5, n).double())


def posterior_of(z, space):
    """A posterior whose standardised draws are given; nothing else of it is looked at."""
    design = Design(current_pa=torch.zeros(1).double(), end_ms=torch.ones(1).double(), summary_names=())
    evidence = Evidence(design=design, times_ms=torch.full((1, 1), torch.inf).double(), summary=torch.zeros(1, 0))
    none = Predictive(times_ms=torch.zeros(0, 1, 1), summary=torch.zeros(0, 1, 0), latents=torch.zeros(0, len(space)))
    return Posterior(
        space=space,
        latents=space.unstandardise(z.double())[None],
        scales={},
        log_likelihood=torch.zeros(1, len(z), 1),
        stats={},
        evidence=evidence,
        predictive=none,
        prior_predictive=none,
        method="exact",
        seed=0,
        wall_s=0.0,
    )


def gaussian_posteriors(centre, error_sd, space, generator, draws=1000, reference=1.0):
    """Exact posteriors of neurons seen at ``centre`` with this error, under a reference prior N(0, reference^2)."""
    variance = 1 / (reference**-2 + error_sd**-2)
    mean = variance * centre / error_sd**2
    noise = torch.randn(len(centre), draws, len(space), generator=generator, dtype=torch.float64)
    return [posterior_of(z, space) for z in mean[:, None] + variance**0.5 * noise]


def known_population(loc, sd, neurons=1):
    """Hyper-parameters as given, ``(chain, draw, latent)``, uncorrelated; neurons at the centre."""
    space = space_of(loc.shape[-1])
    eye = torch.eye(loc.shape[-1]).double().expand(*loc.shape, -1)
    one = Neurons(space=space, value=space.mean[None].double(), axis="draw")
    return Population(
        space=space,
        loc=space.unstandardise(loc),
        sd=sd * space.sd,
        correlation=eye,
        weights=None,
        stats={},
        neurons=(one,) * neurons,
        labels=("cell",) * neurons,
        k_hat=0.1,
        k_hat_each=torch.zeros(neurons),
        hyper=HyperPrior(),
        seed=0,
        wall_s=0.0,
    )
