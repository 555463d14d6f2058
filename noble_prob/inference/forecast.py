"""Predictive draws of sweeps that a posterior has not seen: other steps, or sweeps that were held back.

Draws of latents alone are no prediction of a sweep: trial noise and the decoder's error are missing, and the intervals
are too narrow. Here the program is replayed with posterior draws of latents and noise scales, as for the posterior
predictive check, on steps of one's own.

Limit: the decoder's error on new steps is drawn afresh. What the seen sweeps tell about this neuron's error is not
used, so the draws are a little wider than they could be, most at currents close to those that were seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import torch

from noble_prob.decoder.base import Decoder
from noble_prob.errors import require, require_count, require_kind, require_seed
from noble_prob.inference.observe import mask_late
from noble_prob.inference.posterior import Posterior, Predictive
from noble_prob.inference.predict import predict
from noble_prob.inference.restore import require_same_densities
from noble_prob.noise import Design, Evidence, NoisePrior
from noble_prob.priors import Prior, undisturbed
from noble_prob.program import program

DRAWS = 400
"""Predictive draws where nothing else is asked for."""


def forecast(
    posterior: Posterior, design: Design, *, decoder: Decoder, prior: Prior, n: int = DRAWS, seed: int = 0
) -> Predictive:
    """Draw responses of the inferred neuron to steps of one's own, trial noise and decoder error included.

    Args:
        posterior: Of one neuron.
        design: Steps (pA), how long each is looked at (ms), and the decoder's ``summary_names``.
        decoder: The one it was inferred with.
        prior: The one it was inferred with.
        n: Draws, of which the posterior may have fewer.
        seed: Of choice and noise.

    Returns:
        Spike times (ms after onset), shape ``(draw, sweep, spike)``, and summary features, ``(draw, sweep, feature)``.

    Raises:
        UsageError: If decoder or prior are not those it was inferred with, or the design is of a batch.
    """
    require_kind(posterior, Posterior, "posterior", "pass what `infer` gave")
    require_count(n, "n", "draws")
    seed = require_seed(seed)
    same = posterior.space.names == decoder.space.names == prior.space.names
    require(same, "decoder", "the one the posterior was inferred with", "another latent space", "use its cell's")
    require(design.current_pa.ndim == 1, "design", "the steps of one recording", "a batch", "pass one after the other")
    sites: Mapping[str, torch.Tensor] = {"z": posterior.standardised.double(), **posterior.scales}
    robust = bool(posterior.provenance["robust"])
    noise = NoisePrior.from_dict(posterior.provenance["noise_prior"])
    model = partial(program, decoder, prior, design, noise=noise, robust=robust)
    lengths = [len(design), len(design.summary_names)]
    nothing = Evidence(
        design=design, times_ms=torch.full((lengths[0], 1), torch.inf), summary=torch.full(lengths, torch.nan)
    )
    with undisturbed():
        require_same_densities(posterior, decoder, prior)
        drawn = predict(model, prior, sites, nothing, n=n, seed=seed).take(None, len(design))
    return replace(drawn, summary=mask_late(drawn.summary, design, decoder))
