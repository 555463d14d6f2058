"""The toy decoder and a prior over its latents, for tests that need any; a test file may have fixtures of its own."""

import pytest
import torch

from noble_prob.decoder.toy import ToyDecoder
from noble_prob.latent import Neurons
from noble_prob.priors import fit_prior


def toy_prior(decoder, n=40, seed=0):
    """A Gaussian fitted to so many standard normal neurons."""
    x = torch.randn(n, len(decoder.space), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return fit_prior(Neurons(space=decoder.space, value=decoder.space.unstandardise(x), axis="neuron"), "gaussian")


@pytest.fixture(scope="module")
def decoder():
    """The closed-form decoder."""
    return ToyDecoder()


@pytest.fixture(scope="module")
def prior(decoder):
    """A population of its neurons."""
    return toy_prior(decoder)
