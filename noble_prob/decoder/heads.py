"""Two small networks beside the spike map: what one sweep's features are, and what happens after the step ends."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from noble_prob.decoder.spike_map import current_features, mlp


class SummaryNetwork(nn.Module):
    """Sub-threshold and spike-shape features of one sweep, smooth in latents and current.

    Args:
        n_latents: Dimension of the latent space.
        n_features: Number of features.
        width: Units per hidden layer.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, *, n_latents: int, n_features: int, width: int = 128):
        super().__init__()
        self.net = mlp(n_latents + 4, width, 2, n_features)
        self.register_buffer("centre", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))

    def forward(
        self, x: Float[Tensor, "*batch latent"], current_pa: Float[Tensor, "*batch"]
    ) -> Float[Tensor, "*batch feature"]:
        """Features in their units, from standardised latents and step current (pA)."""
        out = self.net(torch.cat([x, current_features(current_pa)], -1))
        return out * self.scale.to(out) + self.centre.to(out)


class OffsetSpike(nn.Module):
    """The spike that was already under way when the step ended, or that rebounds from hyperpolarisation.

    Args:
        n_latents: Dimension of the latent space.
        width: Units per hidden layer.
    """

    def __init__(self, *, n_latents: int, width: int = 64):
        super().__init__()
        self.net = mlp(n_latents + 4 + 4, width, 2, 2)

    def forward(
        self,
        x: Float[Tensor, "*batch latent"],
        current_pa: Float[Tensor, "*batch"],
        gap_ms: Float[Tensor, "*batch"],
        interval_ms: Float[Tensor, "*batch"],
    ) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"]]:
        """Log-odds of a spike after the step, and its delay (ms after the end).

        Args:
            x: Standardised latents.
            current_pa: Step current (pA).
            gap_ms: How long after the end the next spike would have come, had the step gone on (ms).
            interval_ms: The interval it would have ended (ms).
        """
        gap = gap_ms.clamp(1e-2, 400.0)
        parts = [
            gap.log(),
            gap / 10,
            (gap / interval_ms.clamp(min=1.0)).clamp(max=2.0),
            interval_ms.clamp(1, 400).log(),
        ]
        out = self.net(torch.cat([x, current_features(current_pa), torch.stack(parts, -1)], -1))
        return out[..., 0], torch.exp((2 * out[..., 1]).clamp(-6.0, 5.0)) - 0.1
