"""What is known about a population after many recordings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.errors import require_count, require_mass, require_seed
from noble_prob.latent import LatentSpace, Neurons
from noble_prob.priors import HyperPrior, Prior, stream


@dataclass(frozen=True, kw_only=True, eq=False)
class Population:
    """Draws of a population's hyper-parameters, and its recorded neurons in their light.

    Attributes:
        space: The latent space.
        loc: Means (coordinate units), shape ``(chain, draw, latent)``.
        sd: SDs between neurons (coordinate units), same shape.
        correlation: Correlations between latents, shape ``(chain, draw, latent, latent)``.
        weights: Weights of the draws, ``(chain, draw)``; None where they could not be believed, and all count alike.
        stats: The sampler's record.
        neurons: Weighted draws of every recorded neuron, axis ``draw``: its own recording and the population together;
            where the weights could not be believed (``k_hat_each`` above 0.7) its recording is a Gaussian stand-in.
        labels: Names of the recordings.
        k_hat: Pareto shape of the weights of the hyper-parameters.
        weight_noise: Variance of their logarithms by the chance of the recordings' draws (nats squared).
        k_hat_each: Pareto shape of the weights of every neuron's draws, shape ``(recording,)``.
        hyper: Priors of the hyper-parameters.
        seed: Seed of everything random.
        wall_s: Seconds it took.
        provenance: Family of the reference prior, ``made_by`` (version of this package), and of a cell's own prior
            ``cell`` and ``decoder_sha256``.
    """

    space: LatentSpace
    loc: Float[Tensor, "chain draw latent"]
    sd: Float[Tensor, "chain draw latent"]
    correlation: Float[Tensor, "chain draw latent latent"]
    weights: Float[Tensor, "chain draw"] | None
    stats: Mapping[str, Tensor]
    neurons: tuple[Neurons, ...]
    labels: tuple[str, ...]
    k_hat: float
    k_hat_each: Float[Tensor, " recording"]
    hyper: HyperPrior
    seed: int
    wall_s: float
    weight_noise: float = 0.0
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """One line for people."""
        chains, draws = self.loc.shape[:2]
        return (
            f"Population({len(self.labels)} recordings, seed {self.seed}: {chains} x {draws} draws of mean, SD and "
            f"correlation of {len(self.space)} latents, k-hat {self.k_hat:.2f})"
        )

    @property
    def flat_weights(self) -> Float[Tensor, " draw"]:
        """Weights of all draws in a row, summing to one."""
        n = self.loc[..., 0].numel()
        if self.weights is None:
            return torch.full((n,), 1.0 / n, dtype=torch.float64)
        return self.weights.flatten() / self.weights.sum()

    @property
    def effective_weights(self) -> float:
        """Kish's effective number of draws after weighting."""
        return float(1.0 / self.flat_weights.square().sum())

    def interval(self, mass: float = 0.89) -> dict[str, Float[Tensor, "2 latent"]]:
        """Equal-tailed intervals of ``mean`` and ``sd`` of every latent (coordinate units).

        Args:
            mass: Probability each holds.

        Raises:
            UsageError: Unless it lies between 0 and 1.
        """
        require_mass(mass)
        tails = torch.tensor([(1 - mass) / 2, (1 + mass) / 2], dtype=torch.float64)
        out = {}
        for name, draws in (("mean", self.loc), ("sd", self.sd)):
            value, order = draws.flatten(0, 1).sort(0)
            share = self.flat_weights[order].cumsum(0).T.contiguous()
            at = torch.searchsorted(share, tails.expand(len(share), 2).contiguous()).clamp(max=len(value) - 1)
            out[name] = value.gather(0, at.T)
        return out

    def mean(self) -> dict[str, Tensor]:
        """Posterior means of ``mean`` and ``sd`` (coordinate units) and of ``correlation``."""
        w = self.flat_weights
        return {
            "mean": w @ self.loc.flatten(0, 1),
            "sd": w @ self.sd.flatten(0, 1),
            "correlation": torch.einsum("d,dij->ij", w, self.correlation.flatten(0, 1)),
        }

    def draw(self, n: int, *, seed: int) -> Neurons:
        """Neurons that were not recorded: a new cell of the population each, hyper-parameters uncertain.

        Args:
            n: How many.
            seed: Of the draws.

        Raises:
            UsageError: If ``n`` is no positive whole number, or the seed is none.
        """
        require_count(n, "n", "neurons")
        seed = require_seed(seed)
        generator = stream("unseen neurons", seed)
        pick = torch.multinomial(self.flat_weights, n, replacement=True, generator=generator)
        root = torch.linalg.cholesky(self.correlation.flatten(0, 1)[pick])
        normal = torch.randn(n, len(self.space), generator=generator, dtype=torch.float64)
        value = self.loc.flatten(0, 1)[pick] + self.sd.flatten(0, 1)[pick] * (root @ normal[..., None])[..., 0]
        made = {**self.provenance, "seed": seed, "from": "population"}
        labels = tuple(str(k) for k in range(n))
        return Neurons(space=self.space, value=value, axis="neuron", labels=labels, provenance=made)

    def to_prior(self) -> Prior:
        """A Gaussian prior for the next recording, of the mean and covariance of :meth:`draw`."""
        w, loc = self.flat_weights, self.space.standardise(self.loc).flatten(0, 1)
        sd = (self.sd / self.space.sd).flatten(0, 1)
        within = torch.einsum("d,dij->ij", w, sd[:, :, None] * self.correlation.flatten(0, 1) * sd[:, None, :])
        centre = w @ loc
        between = torch.einsum("d,di,dj->ij", w, loc - centre, loc - centre)
        tensors = {"loc": centre, "scale_tril": torch.linalg.cholesky(within + between)}
        points = self.space.standardise(torch.stack([n.weights @ n.value for n in self.neurons]))
        return Prior(
            kind="gaussian",
            space=self.space,
            tensors=tensors,
            points=points,
            labels=self.labels,
            provenance={**self.provenance, "seed": self.seed, "neurons": len(self.neurons), "from": "population"},
        )
