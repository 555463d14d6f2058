"""Sizes of the decoder's networks."""

from __future__ import annotations

from dataclasses import dataclass

from noble_prob.decoder.spike_map import SpikeMap


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Sizes of the networks; what a checkpoint needs to rebuild them.

    Attributes:
        n_spikes: Spike times predicted.
        map_width: Units per hidden layer of the spike map.
        map_depth: Hidden layers of the spike map.
        map_members: Networks averaged in the spike map.
        map_rhythms: Whether intervals of the spike map may alternate.
        width: Channels of the operator.
        layers: Fourier layers of the operator.
        modes: Fourier modes as ``neuralop`` counts them.
        hidden: Hidden channels of the operator's channel MLPs.
    """

    n_spikes: int = 64
    map_width: int = 256
    map_depth: int = 3
    map_members: int = 3
    map_rhythms: bool = True
    width: int = 32
    layers: int = 6
    modes: int = 256
    hidden: int = 32


def new_spike_map(architecture: Architecture, *, n_latents: int) -> SpikeMap:
    """A spike map of these sizes with random weights.

    Args:
        architecture: Sizes.
        n_latents: Dimension of the latent space.
    """
    a = architecture
    return SpikeMap(
        n_latents=n_latents,
        n_spikes=a.n_spikes,
        width=a.map_width,
        depth=a.map_depth,
        members=a.map_members,
        rhythms=a.map_rhythms,
    )
