"""A prior over the toy decoder's latents, for tests that need any."""

import torch

from noble_prob.latent import Neurons
from noble_prob.priors import fit_prior


def toy_prior(decoder, n=40, seed=0):
    """A Gaussian fitted to so many standard normal neurons."""
    x = torch.randn(n, len(decoder.space), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return fit_prior(Neurons(space=decoder.space, value=decoder.space.unstandardise(x), axis="neuron"), "gaussian")
