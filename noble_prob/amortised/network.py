"""From a set of sweeps to a density: encoder, Gaussian, and a flow for what is not Gaussian.

Sweeps have no order and any number, so every row passes the same perceptron, rows look at each other by attention, and
the set is summed up by mean, maximum and size: nothing depends on the order (Zaheer et al. 2017; Lee et al. 2019). The
summary gives mean and Cholesky factor of a Gaussian, which alone can be a thousand times narrower than the prior, and
the context of a neural spline flow (Durkan et al. 2019, by zuko) in the coordinates in which that Gaussian is standard.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import zuko
from jaxtyping import Bool, Float
from torch import Tensor, nn

from noble_prob.decoder.spike_map import mlp

HEADS = 4
NARROWEST, WIDEST = -9.0, 1.5
"""Limits of the logarithm of a conditional SD, in units of the prior's."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What the network is built from.

    Attributes:
        token: Length of a sweep's row.
        size: Dimension of the density.
        width: Units of the encoder.
        context: Numbers that sum up a set.
        hidden: Units of the flow's networks.
        transforms: Transforms of the flow.
        bins: Bins of a spline.
    """

    token: int
    size: int
    width: int = 96
    context: int = 64
    hidden: int = 64
    transforms: int = 2
    bins: int = 6


class ConditionalFlow(nn.Module):
    """The density of ``size`` numbers given a set of sweeps.

    Args:
        sizes: Its parts.
    """

    def __init__(self, sizes: Sizes):
        super().__init__()
        w, d = sizes.width, sizes.size
        self.sizes = sizes
        self.row = nn.Sequential(mlp(sizes.token, w, 1, w), nn.SiLU())
        self.look, self.mix = nn.Linear(w, 3 * w), nn.Linear(w, w)
        self.norms = nn.ModuleList([nn.LayerNorm(w), nn.LayerNorm(w)])
        self.own = mlp(w, 2 * w, 1, w)
        self.pool = mlp(2 * w + 1, w, 1, sizes.context)
        self.gaussian = mlp(sizes.context, 2 * sizes.context, 1, d + d * (d + 1) // 2)
        self.flow: Any = zuko.flows.NSF(
            features=d,
            context=sizes.context,
            transforms=sizes.transforms,
            bins=sizes.bins,
            hidden_features=(sizes.hidden, sizes.hidden),
        )
        below = torch.tril_indices(d, d, -1)
        self.register_buffer("_below", below, persistent=False)

    def encode(
        self, rows: Float[Tensor, "batch sweep token"], real: Bool[Tensor, "batch sweep"]
    ) -> Float[Tensor, "batch context"]:
        """What the sweeps say, whatever their order and number.

        Args:
            rows: From :func:`noble_prob.amortised.tokens.tokens`.
            real: Which of them count.
        """
        h = self.row(rows)
        q, k, v = self.look(self.norms[0](h)).unflatten(-1, (3, HEADS, -1)).movedim(-3, 0).transpose(-2, -3)
        seen = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=real[:, None, None, :])
        h = h + self.mix(seen.transpose(-2, -3).flatten(-2))
        h = h + self.own(self.norms[1](h))
        mask = real[..., None]
        n = mask.sum(-2).clamp(min=1)
        mean = torch.where(mask, h, 0.0).sum(-2) / n
        most = torch.where(mask, h, -1e4).amax(-2)
        return self.pool(torch.cat([mean, most, n.to(h).log()], -1))

    def moments(self, context: Float[Tensor, "batch context"]) -> tuple[Tensor, Tensor]:
        """Mean ``(batch, size)`` and Cholesky factor ``(batch, size, size)`` of the Gaussian."""
        d = self.sizes.size
        out = self.gaussian(context)
        mean, log_sd, off = out[..., :d], out[..., d : 2 * d], out[..., 2 * d :]
        diagonal = log_sd.clamp(NARROWEST, WIDEST).exp()
        factor = torch.diag_embed(diagonal)
        i, j = self._below  # type: ignore[misc]
        factor[..., i, j] = off * diagonal[..., i]
        return mean, factor

    def log_prob(self, x: Float[Tensor, "batch size"], context: Float[Tensor, "batch context"]) -> Tensor:
        """Log density at one point per set, shape ``(batch,)``."""
        mean, factor = self.moments(context)
        white = torch.linalg.solve_triangular(factor, (x - mean).unsqueeze(-1), upper=False).squeeze(-1)
        return self.flow(context).log_prob(white) - factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
