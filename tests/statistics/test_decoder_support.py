"""The support of a decoder leaves few neurons of its own population outside, however few it was trained on.

Twenty populations of each size, 500 new neurons each: 1 to 5 % lie outside. A radius that models set for themselves
leaves a fifth and more outside. Neurons of another population, three SDs away in one latent, are outside.
"""

import pytest
import torch

from noble_prob.decoder.support import distance, fit_extent


def outside(models, latents, away=0.0, seed=0):
    g, shares = torch.Generator().manual_seed(seed), []
    for _ in range(20):
        mixed = 0.5 * torch.randn(latents, latents, generator=g).double() + torch.eye(latents).double()
        known, new = (torch.randn(n, latents, generator=g).double() @ mixed for n in (models, 500))
        mean, sd = known.mean(0), known.std(0)
        precision, radius = fit_extent((known - mean) / sd)
        new = (new - mean) / sd
        new[:, 0] += away
        shares.append(float((distance(new, precision, radius) > 1).double().mean()))
    return sum(shares) / len(shares)


@pytest.mark.parametrize(("models", "latents"), [(32, 13), (60, 13), (100, 21), (300, 21)])
def test_few_neurons_of_the_population_are_outside(models, latents):
    assert 0.005 < outside(models, latents) < 0.06


def test_another_population_is_outside():
    assert outside(300, 13, away=3.0) > 0.6
