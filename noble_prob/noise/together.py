"""Which summary features vary together in a sweep, because they are read off the same part of the trace.

The voltage at the end of a step enters the deflection (from the rest up to it) and the sag (from the lowest voltage up
to it) with the same sign: what moves it moves both. Taken for independent, the two would point twice at one latent
direction, along which the deflection and the sag of neurons differ as well, and the posterior would be too sure of it.
In biophysical models under a background current their correlation is 0.59 (PVALB) and 0.36 (VIP)
(``analyses/inference_usual_noise.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

TOGETHER = {("voltage_deflection_mv", "sag_mv"): 0.5}
"""Pairs of features and the correlation of their variation between sweeps."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """Features whose density is a joint one, side by side with others of the same kind.

    Attributes:
        places: Index of each feature among the summary features: rows of one, or of two that vary together.
        correlation: Of the two, one per row; empty for rows of one.
    """

    places: tuple[tuple[int, ...], ...]
    correlation: tuple[float, ...] = ()

    def rows(self, x: Float[Tensor, "*batch feature sweep"]) -> Float[Tensor, "*batch row both"]:
        """Values by row: those of the sweeps, for two features one after the other."""
        return x[..., torch.tensor(self.places, device=x.device), :].flatten(-2)

    def covariance(
        self, smooth: Float[Tensor, "*batch feature sweep sweep"], own: Float[Tensor, "*batch feature sweep"]
    ) -> Float[Tensor, "*batch row both both"]:
        """Covariance of every row.

        Args:
            smooth: Covariance over the sweeps of what no two features share.
            own: SD of each feature's variation between sweeps; ``smooth`` does not hold it yet.
        """
        alone = smooth + torch.diag_embed(own**2)
        place = torch.tensor(self.places, device=own.device).T
        if not self.correlation:
            return alone[..., place[0], :, :]
        rho = torch.tensor(self.correlation, dtype=own.dtype, device=own.device)[:, None]
        cross = torch.diag_embed(rho * own[..., place[0], :] * own[..., place[1], :])
        upper = torch.cat([alone[..., place[0], :, :], cross], -1)
        return torch.cat([upper, torch.cat([cross, alone[..., place[1], :, :]], -1)], -2)


def blocks(names: tuple[str, ...]) -> tuple[Block, ...]:
    """The features that vary alone, and the pairs that vary together, if there are any.

    Args:
        names: Summary features.
    """
    pairs = {pair: rho for pair, rho in TOGETHER.items() if set(pair) <= set(names)}
    paired = {name for pair in pairs for name in pair}
    single = tuple((k,) for k, name in enumerate(names) if name not in paired)
    both = tuple((names.index(a), names.index(b)) for a, b in pairs)
    found = Block(places=single), Block(places=both, correlation=tuple(pairs.values()))
    return tuple(block for block in found if block.places)
