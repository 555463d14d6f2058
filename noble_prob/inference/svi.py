"""Variational inference by Pyro, for comparison: a flow fitted to one posterior by its evidence lower bound.

The guide is a neural spline flow (by zuko) under an affine map that begins at Laplace's approximation, so that it has
to learn only what is not Gaussian; Pyro's ``SVI`` maximises the evidence lower bound (Hoffman et al. 2013, Kucukelbir
et al. 2017) on the program itself. The bound favours guides that are too narrow: the Pareto shape of the ratios of
posterior to guide, kept as ``guide_k_hat``, says how far it can be believed (Yao et al. 2018). Nothing is weighted.
"""

from __future__ import annotations

from typing import Any

import pyro
import pyro.distributions as dist
import torch
import zuko
from pyro.infer import SVI, Trace_ELBO
from pyro.infer.autoguide import AutoContinuous
from pyro.optim import ClippedAdam
from torch import Tensor, nn

from noble_prob.inference.density import LogDensity
from noble_prob.inference.importance import pareto_smooth
from noble_prob.inference.whiten import Affine
from noble_prob.jobs.bars import bar
from noble_prob.priors import derive, seeded

STEPS, PARTICLES, RATE = 400, 16, 0.01


class FlowGuide(AutoContinuous):
    """A spline flow under a learned affine map in white coordinates.

    Args:
        model: The conditioned program.
        coordinates: White coordinates of the posterior.
    """

    def __init__(self, model: Any, coordinates: Affine):
        super().__init__(model)
        size = coordinates.centre.shape[-1]
        covariance = coordinates.scale @ coordinates.scale.transpose(-1, -2)
        self.register_buffer("centre", coordinates.centre)
        self.register_buffer("root", torch.linalg.cholesky(covariance))
        self.shift = nn.Parameter(torch.zeros(size, dtype=torch.float64))
        self.log_sd = nn.Parameter(torch.zeros(size, dtype=torch.float64))
        self.below = nn.Parameter(torch.zeros(size, size, dtype=torch.float64))
        self.spline = zuko.flows.NSF(
            features=size, transforms=2, bins=6, hidden_features=(32, 32), passes=2
        ).double()  # coupling layers: quick both ways

    def get_posterior(self, *_args: Any, **_kwargs: Any) -> Any:
        """The guide's density of the flat unconstrained vector."""
        tril = torch.tril(self.below, -1) + torch.diag(self.log_sd.exp())
        maps = [
            self.spline().transform.inv,
            dist.transforms.LowerCholeskyAffine(self.shift, tril),
            dist.transforms.LowerCholeskyAffine(self.centre, self.root),
        ]
        base = dist.Normal(torch.zeros_like(self.shift), torch.ones_like(self.shift)).to_event(1)
        return dist.TransformedDistribution(base, maps)


def sample(density: LogDensity, coordinates: Affine, *, n: int, seed: int, progress: bool = False) -> dict[str, Any]:
    """Fit the guide, draw from it.

    Args:
        density: The conditioned program.
        coordinates: White coordinates around the mode.
        n: Draws.
        seed: Of everything random.
        progress: Show a bar on stderr.

    Returns:
        ``flat`` ``(1, draw, size)``, ``stats``, and the ``record`` with ``guide_k_hat`` and the bound's last mean.
    """
    with seeded(derive("svi", seed)), torch.enable_grad():
        guide = FlowGuide(density.program, coordinates).to(coordinates.centre.device)
        with pyro.get_param_store().scope():
            bound = _fit(density, guide, progress)
        with torch.no_grad():
            posterior = guide.get_posterior()
            flat = posterior.sample((n,))
            value = density(flat)
            ratio = torch.where(torch.isfinite(value), value, -torch.inf) - posterior.log_prob(flat)
    _, shape = pareto_smooth(ratio)
    return {
        "flat": flat[None],
        "stats": {"lp": value[None]},
        "record": {"guide_k_hat": float(shape), "elbo": bound, "steps": STEPS},
    }


def _fit(density: LogDensity, guide: FlowGuide, progress: bool) -> float:
    """Maximise the bound; returns its mean over the last steps."""
    elbo = Trace_ELBO(num_particles=PARTICLES, vectorize_particles=True, max_plate_nesting=0)
    engine = SVI(density.program, guide, ClippedAdam({"lr": RATE, "lrd": 0.03 ** (1 / STEPS), "clip_norm": 10.0}), elbo)
    losses: list[float] = []
    for _ in bar(range(STEPS), desc="svi", unit="step", leave=None, show=progress):
        losses.append(float(engine.step()))
    return -float(Tensor(losses[-50:]).mean())
