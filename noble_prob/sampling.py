"""An ensemble of novel neurons under one current, and what is worth knowing about it.

prior -> neurons -> voltages -> features, plausibility
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray

from noble_prob.cells import Cell
from noble_prob.ensemble import draw, respond
from noble_prob.features import Features, measure
from noble_prob.latent import Neurons
from noble_prob.priors import Plausibility, plausibility
from noble_prob.recording import Recording

SUMMARISED = ("spike_count", "first_spike_latency_ms", "mean_isi_ms", "ap1_peak_mv", "ap1_width_ms",
              "resting_voltage_mv", "voltage_deflection_mv", "sag_mv")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """Novel neurons, their responses, and how plausible they are.

    Attributes:
        cell: Name of the cell they resemble.
        neurons: Their latents, axis ``neuron``.
        responses: Their voltage under one step, axis ``neuron``.
        plausibility: Each neuron against the population.
        features: Measured on the responses.
        seed: Seed of the draw.
    """

    cell: str
    neurons: Neurons
    responses: Recording
    plausibility: Plausibility
    features: Features
    seed: int

    def arrays(self) -> dict[str, ndarray]:
        """Arrays by name: ``voltage_mv`` (neuron, time), ``time_ms``, ``latents`` (neuron, latent), ``latent_names``,
        ``latent_units``, ``plausibility`` (density quantile, 0 far out, 1 at the mode), ``nearest_sd``, ``support``."""  # noqa: D205, D209
        p = self.plausibility
        return {
            "voltage_mv": self.responses.voltage_mv[:, 0].numpy(), "time_ms": self.responses.time_ms.numpy(),
            "current_pa": self.responses.protocol.amplitudes_pa.numpy()[0],
            "latents": self.neurons.value.cpu().numpy(), "latent_names": np.array(self.neurons.space.names),
            "latent_units": np.array(self.neurons.space.units), "plausibility": p.density_quantile.cpu().numpy(),
            "nearest_sd": p.nearest_sd.cpu().numpy(), "support": p.support.cpu().numpy(),
        }  # fmt: skip

    def summary(self) -> dict[str, Any]:
        """JSON values: size, current, seed, features over neurons (mean, SD, number with the feature), plausibility."""
        table = {}
        for name, unit in zip(self.features.names, self.features.units, strict=True):
            value, mask = (x[:, 0] for x in self.features[name])
            kept = value[mask].double()
            table[name] = {"unit": unit, "n": len(kept), "mean": float(kept.mean()) if len(kept) else None,
                           "sd": float(kept.std()) if len(kept) > 1 else None}  # fmt: skip
        p = self.plausibility
        return {
            "cell": self.cell, "draws": len(self.neurons), "seed": self.seed,
            "current_pa": float(self.responses.protocol.amplitudes_pa[0]),
            "spiking": int((self.features["spike_count"][0] > 0).sum()), "features": table,
            "plausibility": {"median_density_quantile": float(p.density_quantile.median()),
                             "median_nearest_sd": float(p.nearest_sd.median()),
                             "beyond_decoder_support": int((p.support > 1).sum()),
                             "outside_range_of_models": int(p.outside_range.any(-1).sum())},
        }  # fmt: skip


def sample_ensemble(
    cell: Cell, *, draws: int, current_pa: float, seed: int, device: str | None = None, progress: bool = False
) -> Ensemble:
    """Draw novel neurons of a cell and inject a step into each.

    Args:
        cell: The cell.
        draws: How many neurons.
        current_pa: Height of the step (pA).
        seed: Same seed, same neurons.
        device: Where the cell's decoder lives.
        progress: Show a bar on stderr.

    Raises:
        UsageError: If the current is beyond the decoder's range or ``draws`` is not positive.
    """
    cell.require_current(current_pa)
    neurons = draw(cell.prior, draws, seed=seed)
    responses = respond(cell.decoder, neurons, [current_pa], device=device, progress=progress)
    return Ensemble(
        cell=cell.name, neurons=neurons, responses=responses, seed=seed, features=measure(responses, names=SUMMARISED),
        plausibility=plausibility(cell.prior, neurons, decoder=cell.decoder),
    )  # fmt: skip
