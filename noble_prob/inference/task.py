"""What is to be done with every batch of recordings."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from noble_prob.amortised import Estimator
from noble_prob.decoder.base import Decoder
from noble_prob.errors import UsageError, require_count
from noble_prob.inference.density import LogDensity
from noble_prob.noise import Evidence, NoisePrior
from noble_prob.priors import Prior
from noble_prob.program import program

Method = Literal["nuts", "hmc", "importance", "npe", "svi"]
"""Pyro's NUTS with its chains in lock step; batched Hamiltonian chains, recordings side by side; weighted draws of a
fitted proposal, resampled (one "chain" of independent draws); the same begun by an amortised flow; a variational flow,
for comparison."""
ONE_BY_ONE = ("nuts", "svi")
"""Methods that take recordings one after the other."""
WEIGHTED = ("importance", "npe")
"""Methods whose draws are weighted, hence judged by the weights' tail."""
SETTINGS: dict[str, tuple[int, int]] = {
    "nuts": (180, 200),
    "hmc": (200, 800),
    "importance": (200, 500),
    "npe": (200, 125),
    "svi": (200, 500),
}
"""Warm-up and draws per chain where nothing else is asked for."""
BATCH = 64
"""Recordings that are sampled side by side on a processor."""
FEWEST = 4
"""Draws, and steps of warm-up, per chain: fewer have no R-hat over split chains."""


def require_length(chains: int, warmup: int | None, draws: int | None) -> None:
    """Refuse chains that no diagnostic can judge, before any work.

    Args:
        chains: Chains.
        warmup: Draws thrown away per chain; not looked at if None.
        draws: Draws kept per chain; likewise.

    Raises:
        UsageError: If one of them is too small.
    """
    require_count(chains, "chains", "chains, for R-hat compares them", 2)
    for name, n in (("warmup", warmup), ("draws", draws)):
        if n is not None:
            require_count(n, name, "draws per chain", FEWEST)


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is to be done with every batch.

    Attributes:
        decoder: Predicts responses.
        prior: Density of the latents.
        noise: Priors of the noise scales.
        robust: Student-t summary features.
        method: Sampler.
        chains: Chains per recording.
        warmup: Draws thrown away per chain.
        draws: Draws kept per chain.
        estimator: Amortised posterior; ``npe`` needs one.
        until_converged: Whether NUTS goes on until its chains agree, and weights that fail get more draws.
        device: Where densities are evaluated.
        progress: Show bars on stderr.
    """

    decoder: Decoder
    prior: Prior
    noise: NoisePrior = field(default_factory=NoisePrior)
    robust: bool = False
    method: Method = "hmc"
    chains: int = 2
    warmup: int = 120
    draws: int = 200
    estimator: Estimator | None = None
    until_converged: bool = False
    device: str = "cpu"
    progress: bool = False

    @property
    def amortised(self) -> Estimator:
        """The amortised posterior.

        Raises:
            UsageError: If none was given.
        """
        if self.estimator is None:
            raise UsageError(
                "estimator",
                "an amortised posterior for the method npe",
                "none",
                "pass estimator=cell.estimator, train one with `noble-prob train-npe`, or ask for method='importance'",
            )
        return self.estimator

    def model(self, evidence: Evidence) -> Any:
        """The program for these sweeps, drawing what is not conditioned on."""
        return partial(program, self.decoder, self.prior, evidence.design, noise=self.noise, robust=self.robust)

    def density(self, evidence: Evidence) -> LogDensity:
        """Its log density given the responses."""
        return LogDensity(partial(self.model(evidence), evidence=evidence))
