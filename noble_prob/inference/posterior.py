"""What is known about a neuron after a recording: draws, and everything needed to judge them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from noble_prob.errors import require_mass
from noble_prob.findings.base import Finding
from noble_prob.latent import LatentSpace, Neurons
from noble_prob.noise import Evidence, NoisePrior, TrialModel
from noble_prob.noise.chains import worst_r_hat

CARRIED = ("cell", "decoder_sha256", "made_by")
"""What the draws carry on of a posterior's provenance."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictive:
    """What the program says a recording with these sweeps would look like.

    Attributes:
        times_ms: Spike times (ms after onset), infinity behind the last, shape ``(draw, sweep, spike)``.
        summary: Summary features in their units, NaN where undefined, shape ``(draw, sweep, feature)``.
        latents: Latents that each draw was made with (coordinate units), shape ``(draw, latent)``.
        made_from: Place of the draw of the posterior that each was made with, chain behind chain, as many of every
            chain; in random order, so that the first few are a sample. None for draws of the prior.
    """

    times_ms: Float[Tensor, "draw sweep spike"]
    summary: Float[Tensor, "draw sweep feature"]
    latents: Float[Tensor, "draw latent"]
    made_from: Int[Tensor, " draw"] | None = None

    def __repr__(self) -> str:
        """One line for people."""
        draws, sweeps = self.summary.shape[:2]
        return f"Predictive({draws} draws of {sweeps} sweeps)"

    @property
    def counts(self) -> Tensor:
        """Spike counts, shape ``(draw, sweep)``."""
        return torch.isfinite(self.times_ms).sum(-1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Posterior:
    """Posterior draws of one neuron's latents and of the noise scales; all count alike.

    Attributes:
        space: The latent space.
        latents: Draws in coordinate units, shape ``(chain, draw, latent)``.
        scales: Draws of the noise scales by site name, each ``(chain, draw)``.
        log_likelihood: Log likelihood of every sweep given the others, shape ``(chain, draw, sweep)``.
        stats: The sampler's record by name, each ``(chain, draw)``.
        evidence: What was observed.
        sweeps: Index of each sweep in the recording.
        membership: How each draw relates to the population: ``density_quantile`` of the prior, ``support`` of the
            decoder, each ``(chain, draw)``.
        predictive: Posterior predictive draws.
        prior_predictive: Prior predictive draws of the same sweeps.
        method: Sampler that made the draws; where another was asked for, ``provenance["asked"]`` is that one.
        seed: Seed of everything random.
        wall_s: Seconds it took.
        notes: Findings about the input.
        provenance: Settings, ``made_by`` (version of this package), and of a cell's decoder ``cell`` and
            ``decoder_sha256``.
    """

    space: LatentSpace
    latents: Float[Tensor, "chain draw latent"]
    scales: Mapping[str, Float[Tensor, "chain draw"]]
    log_likelihood: Float[Tensor, "chain draw sweep"]
    stats: Mapping[str, Tensor]
    evidence: Evidence
    predictive: Predictive
    prior_predictive: Predictive
    method: str
    seed: int
    wall_s: float
    membership: Mapping[str, Float[Tensor, "chain draw"]] = field(default_factory=dict)
    sweeps: tuple[int, ...] = ()
    notes: tuple[Finding, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """One line for people."""
        chains, draws = self.latents.shape[:2]
        k_hat = f", k-hat {self.provenance['k_hat']:.2f}" if "k_hat" in self.provenance else ""
        worst = f", worst R-hat {worst_r_hat(self.latents):.3f}" if chains > 1 else ""
        asked = f" for {self.provenance['asked']!r}" if "asked" in self.provenance else ""
        return (
            f"Posterior({self.method!r}{asked}, seed {self.seed}: {chains} x {draws} draws of "
            f"{len(self.space)} latents from {len(self.sweeps)} sweeps{worst}{k_hat})"
        )

    @property
    def neurons(self) -> Neurons:
        """All draws as one set of points: one neuron, our ignorance."""
        return Neurons(
            space=self.space,
            value=self.latents.flatten(0, 1),
            axis="draw",
            provenance={k: self.provenance[k] for k in CARRIED if k in self.provenance}
            | {"method": self.method, "seed": self.seed},
        )

    def trial_model(self) -> TrialModel:
        """How repeats of this neuron differ, by the posterior medians of the noise scales.

        For ``respond(decoder, posterior.neurons, steps, trials=n, trial_model=posterior.trial_model())``: voltages of
        repeats as the program explains these sweeps. Scales that inference took for known stay as they were told.
        """
        told = self.provenance.get("noise_prior")
        believed = NoisePrior() if told is None else NoisePrior.from_dict(told)
        found = {k: replace(getattr(believed, k), median=float(draws.median())) for k, draws in self.scales.items()}
        model = TrialModel.usual(self.space, noise=replace(believed, **found))
        carried = {k: self.provenance[k] for k in CARRIED if k in self.provenance}
        return replace(model, provenance={"fitted_to": "noise scales of a posterior", "seed": self.seed, **carried})

    @property
    def standardised(self) -> Float[Tensor, "chain draw latent"]:
        """Draws in the standardised space."""
        return self.space.standardise(self.latents)

    def mean(self) -> Float[Tensor, " latent"]:
        """Posterior mean (coordinate units)."""
        return self.latents.flatten(0, 1).mean(0)

    def covariance(self) -> Float[Tensor, "latent latent"]:
        """Posterior covariance (coordinate units)."""
        return torch.cov(self.latents.flatten(0, 1).T, correction=0).reshape(len(self.space), -1)

    def contraction(self) -> Float[Tensor, " latent"]:
        """One minus the share of the prior variance that is left: negative where less is known than before."""
        before = torch.var(self.prior_predictive.latents, 0)
        return 1 - self.covariance().diagonal() / before.to(self.latents)

    def interval(self, mass: float = 0.89) -> Float[Tensor, "2 latent"]:
        """Equal-tailed interval of every latent (coordinate units).

        Args:
            mass: Probability it holds.

        Raises:
            UsageError: Unless it lies between 0 and 1.
        """
        require_mass(mass)
        tails = torch.tensor([(1 - mass) / 2, (1 + mass) / 2], dtype=torch.float64)
        return torch.quantile(self.latents.flatten(0, 1), tails, dim=0)
