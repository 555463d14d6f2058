"""Could this neuron exist? Novel neurons held against the population that a prior remembers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from noble_prob.decoder.base import Decoder, require_decoder
from noble_prob.latent import Neurons, require_latents, require_neurons
from noble_prob.priors.base import Prior, require_prior


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Plausibility:
    """Four answers to "could this neuron exist?", per neuron; equal to itself only.

    Attributes:
        density_quantile: Share of the prior's draws that are less dense: 0 = far out, 1 = mode, shape ``(n,)``.
        nearest_sd: Distance to the nearest known neuron (root mean square over latents, in population SDs), ``(n,)``.
        nearest_label: Name of that neuron (its index if the prior has no names).
        support: Distance from the decoder's training population, 1 at its edge, ``(n,)``; NaN without a decoder.
        outside_range: Which latents leave the range of the known neurons, shape ``(n, latent)``. In many dimensions
            most neurons leave it in some latent, those that the prior itself draws too.
    """

    density_quantile: Float[Tensor, " n"]
    nearest_sd: Float[Tensor, " n"]
    nearest_label: tuple[str, ...]
    support: Float[Tensor, " n"]
    outside_range: Bool[Tensor, "n latent"]

    def __repr__(self) -> str:
        """One line for people."""
        known = self.support[torch.isfinite(self.support)]
        support = f", {int((known > 1).sum())} beyond the decoder's support" if len(known) else ""
        density, distance = float(self.density_quantile.median()), float(self.nearest_sd.median())
        return (
            f"Plausibility({len(self.nearest_sd)} neurons{support}; "
            f"medians: density quantile {density:.2g}, nearest known neuron {distance:.3g} SD)"
        )


def plausibility(prior: Prior, neurons: Neurons, *, decoder: Decoder | None = None) -> Plausibility:
    """Judge neurons against a population.

    Args:
        prior: The population's density, which remembers the neurons it was fitted to.
        neurons: Points of the same latent space.
        decoder: Adds the decoder's own support when given.

    Returns:
        Per neuron: ``density_quantile`` (0 = far out, 1 = mode), ``nearest_sd`` and ``nearest_label`` (distance to the
        nearest known neuron, and its name), ``support`` (support distance, 1 = 99th percentile of the decoder's
        training models, larger is worse), ``outside_range`` (which latents leave the range of the known neurons).

    Raises:
        UsageError: If the latent spaces differ, or prior, neurons or decoder are something else.
    """
    require_prior(prior)
    require_neurons(neurons)
    if decoder is not None:
        require_decoder(decoder)
    expected = f"in the latent space of the prior, of {len(prior.space)} latents"
    require_latents(neurons.space, prior.space, "neurons", expected, "use neurons of the prior's space")
    x = prior.space.standardise(neurons.value.to(torch.float64))
    distance = torch.cdist(x, prior.points) / len(prior.space) ** 0.5
    nearest, index = distance.min(-1)
    low, high = prior.points.amin(0), prior.points.amax(0)
    support = torch.full_like(nearest, torch.nan) if decoder is None else decoder.support(neurons.value).to(nearest)
    labels = tuple(prior.labels[i] if prior.labels else str(i) for i in index.tolist())
    return Plausibility(
        density_quantile=prior.quantile_of_density(x),
        nearest_sd=nearest,
        nearest_label=labels,
        support=support,
        outside_range=(x < low) | (x > high),
    )
