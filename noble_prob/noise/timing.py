"""By how much latency and rate of a spike train differ between repeats: by current, as fitted, or by the program's law.

Both move spike times and not latents. A latency latent that is moved while the intervals stay leaves the neurons that a
decoder has seen and drags the rate along: 16 % of latency made 2 to 3 % of interval at 180 and 260 pA.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.noise.scales import latency_looseness, rate_looseness


@dataclass(frozen=True, kw_only=True, eq=False)
class TimingScatter:
    """By what share latency and rate vary over repeats, by current: linear between the currents, constant beyond.

    Attributes:
        current_pa: Increasing (pA), shape ``(stimulus,)``.
        latency: SD of the first spike's time over its mean, shape ``(stimulus,)``.
        rate: SD of the intervals' common factor, shape ``(stimulus,)``.
    """

    current_pa: Float[Tensor, " stimulus"]
    latency: Float[Tensor, " stimulus"]
    rate: Float[Tensor, " stimulus"]

    def at(self, current_pa: Float[Tensor, " row"]) -> tuple[Float[Tensor, " row"], Float[Tensor, " row"]]:
        """Shares of latency and rate at these currents (pA)."""
        x, known = current_pa.detach().cpu().numpy(), self.current_pa.numpy()
        latency, rate = (torch.from_numpy(np.interp(x, known, y.numpy())) for y in (self.latency, self.rate))
        return latency, rate

    def move(
        self, times_ms: Float[Tensor, "row spike"], current_pa: Float[Tensor, " row"], generator: torch.Generator
    ) -> Float[Tensor, "row spike"]:
        """Spike times (ms after onset) of other repeats: the first moved, the train behind it stretched.

        Args:
            times_ms: Times of the noiseless response, increasing.
            current_pa: Step of each row.
            generator: Source of randomness, on the CPU.
        """
        draws = torch.randn(2, len(times_ms), generator=generator, dtype=torch.float64)
        factors = (1 + share * e for share, e in zip(self.at(current_pa), draws, strict=True))
        early, slow = (f.clamp(min=0.05)[:, None].to(times_ms) for f in factors)
        first = times_ms[:, :1]
        return torch.where(torch.isfinite(times_ms), first * early + (times_ms - first) * slow, times_ms)


@dataclass(frozen=True, kw_only=True)
class TimingByInterval:
    """By what share latency and rate vary over repeats, by how long they are: the law of the program.

    Attributes:
        latency: SD of the log latency of a first spike at 10 ms; grows with its root.
        rate: SD of the log rate in firing at 50 Hz; grows as the interval to the power 1.75.
    """

    latency: float
    rate: float

    def move(
        self,
        times_ms: Float[Tensor, "row spike"],
        current_pa: Float[Tensor, " row"],  # noqa: ARG002
        generator: torch.Generator,
    ) -> Float[Tensor, "row spike"]:
        """Spike times (ms after onset) of other repeats, as :class:`~noble_prob.noise.trains.SpikeTrains` expects them.

        Args:
            times_ms: Times of the noiseless response, increasing.
            current_pa: Step of each row; of no account here.
            generator: Source of randomness, on the CPU.
        """
        a, b = torch.randn(2, len(times_ms), generator=generator, dtype=torch.float64)
        first, second = times_ms[:, 0], times_ms[:, min(1, times_ms.shape[1] - 1)]
        early = (self.latency * latency_looseness(first) * a.to(first)).exp()
        slow = (self.rate * rate_looseness(second - first) * b.to(first)).exp()
        moved = (first * early)[:, None] + (times_ms - first[:, None]) * slow[:, None]
        return torch.where(torch.isfinite(times_ms), moved, times_ms)
