"""A normalising flow as prior: for populations that are not Gaussian and large enough to show it.

A neural spline flow (Durkan et al. 2019, by zuko) on top of the Gaussian fit: latents are first whitened by that
Gaussian, the flow learns what is left, early stopping on held-out neurons decides how much. Below a few
hundred neurons it learns next to nothing, or noise; compare held-out log densities before choosing it
(:func:`noble_prob.priors.score`).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pyro.distributions as dist
import torch
import zuko
from jaxtyping import Float
from torch import Tensor
from torch.distributions import constraints

from noble_prob.priors.base import builder
from noble_prob.priors.rng import seeded


def _network(settings: Mapping[str, Any]) -> zuko.flows.NSF:
    return zuko.flows.NSF(
        features=settings["latents"],
        context=0,
        transforms=settings["transforms"],
        hidden_features=tuple(settings["hidden"]),
        bins=settings["bins"],
    )


@builder("flow")
def build(tensors: Mapping[str, Tensor], settings: Mapping[str, Any]) -> dist.TorchDistribution:
    """The fitted flow, unwhitened, in double precision."""
    with seeded(0):  # weights are replaced at once; the caller's random state stays as it is
        network = _network(settings).to(tensors["loc"].device, torch.float64)
    network.load_state_dict({k.removeprefix("net."): v for k, v in tensors.items() if k.startswith("net.")})
    for p in network.parameters():
        p.requires_grad_(False)
    return WhitenedFlow(network(), tensors["loc"], tensors["scale_tril"])


class WhitenedFlow(dist.TorchDistribution):
    """``loc + scale_tril u`` with ``u`` from a flow."""

    arg_constraints = {}  # noqa: RUF012
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, flow: Any, loc: Tensor, scale_tril: Tensor):
        self.flow, self.loc, self.scale_tril = flow, loc, scale_tril
        super().__init__(flow.batch_shape, flow.event_shape, validate_args=False)

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:  # noqa: B008
        """Draws, differentiable in nothing but themselves."""
        u = self.flow.rsample(torch.Size(sample_shape))
        return self.loc + u @ self.scale_tril.T

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density by change of variables."""
        u = torch.linalg.solve_triangular(self.scale_tril, (value - self.loc).unsqueeze(-1), upper=False).squeeze(-1)
        return self.flow.log_prob(u) - self.scale_tril.diagonal().log().sum()

    def expand(self, batch_shape: Any, _instance: Any = None) -> WhitenedFlow:
        """The same flow for every element of a batch."""
        return WhitenedFlow(self.flow.expand(torch.Size(batch_shape)), self.loc, self.scale_tril)


def fit(
    x: Float[Tensor, "n latent"],
    gaussian: Mapping[str, Tensor],
    *,
    settings: Mapping[str, Any],
    seed: int,
    steps: int = 600,
    patience: int = 60,
    held_out: float = 0.2,
) -> dict[str, Tensor]:
    """Train on whitened latents, keep the weights with the best held-out log density.

    Args:
        x: Standardised latents.
        gaussian: ``loc`` and ``scale_tril`` of the Gaussian fit.
        settings: ``latents``, ``transforms``, ``hidden``, ``bins`` of the flow.
        seed: Seed of weights and of the split.
        steps: Most steps of Adam on the full batch.
        patience: Steps without improvement before it stops.
        held_out: Share of neurons held out.
    """
    white = torch.linalg.solve_triangular(gaussian["scale_tril"], (x - gaussian["loc"]).T, upper=False).T
    with seeded(seed):
        order = torch.randperm(len(white))
        cut = max(1, round(held_out * len(white)))
        test, train = white[order[:cut]], white[order[cut:]]
        network = _network(settings).to(torch.float64)
        search = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-3)
        best, weights, since = torch.inf, copy.deepcopy(network.state_dict()), 0
        for _ in range(steps):
            search.zero_grad()
            loss = -network().log_prob(train + 0.05 * torch.randn_like(train)).mean()
            loss.backward()
            search.step()
            with torch.no_grad():
                score = float(-network().log_prob(test).mean())
            since = 0 if score < best else since + 1
            if score < best:
                best, weights = score, copy.deepcopy(network.state_dict())
            if since > patience:
                break
    return {**{f"net.{k}": v for k, v in weights.items()}, "loc": gaussian["loc"], "scale_tril": gaussian["scale_tril"]}
