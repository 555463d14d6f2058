"""Densities over neurons: Student t, Gaussian, mixture, flow, empirical, all on the standardised latent space."""

from noble_prob.priors.base import Kind, Prior
from noble_prob.priors.fit import fit_prior, score
from noble_prob.priors.gaussian import HyperPrior, factor_correlation, widened
from noble_prob.priors.plausible import Plausibility, plausibility
from noble_prob.priors.pyro_state import undisturbed
from noble_prob.priors.rng import derive, seeded, stream
from noble_prob.priors.threads import single_thread

__all__ = [
    "HyperPrior",
    "Kind",
    "Plausibility",
    "Prior",
    "derive",
    "factor_correlation",
    "fit_prior",
    "plausibility",
    "score",
    "seeded",
    "single_thread",
    "stream",
    "undisturbed",
    "widened",
]
