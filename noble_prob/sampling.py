"""An ensemble of novel neurons under current steps, and what is worth knowing about it.

prior -> neurons -> voltages -> features, plausibility
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray

from noble_prob.cells import Cell
from noble_prob.ensemble import draw, require_room, respond
from noble_prob.errors import require_count
from noble_prob.features import Features, measure
from noble_prob.latent import Neurons
from noble_prob.priors import Plausibility, plausibility
from noble_prob.recording import Recording

SUMMARISED = (
    "spike_count",
    "first_spike_latency_ms",
    "mean_isi_ms",
    "ap1_peak_mv",
    "ap1_width_ms",
    "resting_voltage_mv",
    "voltage_deflection_mv",
    "sag_mv",
)


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """Novel neurons, their responses, and how plausible they are.

    Attributes:
        cell: Name of the cell they resemble.
        neurons: Their latents, axis ``neuron``.
        responses: Their voltage under each step, axes ``("neuron",)`` or ``("neuron", "trial")``.
        plausibility: Each neuron against the population.
        features: Measured on the responses.
        seed: Seed of the draw.
        models: The published models that the prior was fitted to, where known.
    """

    cell: str
    neurons: Neurons
    responses: Recording
    plausibility: Plausibility
    features: Features
    seed: int
    models: Neurons | None = None

    @property
    def current_pa(self) -> tuple[float, ...]:
        """Heights of the steps (pA)."""
        return tuple(self.responses.protocol.amplitudes_pa.tolist())

    @property
    def made(self) -> dict[str, Any]:
        """How it was made: seed, family of the prior, hash of the decoder's weights, version of this package."""
        known = {**self.neurons.provenance, **self.responses.provenance, "seed": self.seed}
        return {name: known[name] for name in ("seed", "prior", "decoder_sha256", "made_by") if name in known}

    def arrays(self) -> dict[str, ndarray]:
        """Arrays by name; axes in brackets, ``trial`` where there are repeats, ``current`` where there are several.

        ``voltage_mv`` (neuron, trial, current, time), ``time_ms``, ``current_pa``, ``latents`` (neuron, latent),
        ``latent_names``, ``latent_units``, ``plausibility`` (density quantile, 0 far out, 1 at the mode),
        ``nearest_sd``, ``support``.
        """
        p, voltage = self.plausibility, self.responses.voltage_mv.numpy()
        current = self.responses.protocol.amplitudes_pa.numpy()
        one = len(current) == 1
        return {
            "voltage_mv": voltage[..., 0, :] if one else voltage,
            "time_ms": self.responses.time_ms.numpy(),
            "current_pa": current[0] if one else current,
            "latents": self.neurons.value.cpu().numpy(),
            "latent_names": np.array(self.neurons.space.names),
            "latent_units": np.array(self.neurons.space.units),
            "plausibility": p.density_quantile.cpu().numpy(),
            "nearest_sd": p.nearest_sd.cpu().numpy(),
            "support": p.support.cpu().numpy(),
        }

    def summary(self) -> dict[str, Any]:
        """JSON values: size, how it was made, plausibility, and of each step features over neurons and repeats.

        Of a feature: mean, SD, and number of responses that have it. ``current_pa``, ``spiking`` (neurons that spike)
        and ``features`` are those of the step; of several steps, lists with an entry for each.
        """
        p, trials = self.plausibility, self.responses.voltage_mv.shape[1:-2]
        steps = [self._of_step(k) for k in range(len(self.current_pa))]
        of_steps = steps[0] if len(steps) == 1 else {name: [step[name] for step in steps] for name in steps[0]}
        return {
            "cell": self.cell,
            "draws": len(self.neurons),
            "trials": trials[0] if trials else None,
            **self.made,
            **of_steps,
            "plausibility": {
                "median_density_quantile": float(p.density_quantile.median()),
                "median_nearest_sd": float(p.nearest_sd.median()),
                "beyond_decoder_support": int((p.support > 1).sum()),
                "outside_range_of_models": int(p.outside_range.any(-1).sum()),
            },
        }

    def _of_step(self, k: int) -> dict[str, Any]:
        """Current, number of neurons that spike, and features of one step."""
        table = {}
        for name, unit in zip(self.features.names, self.features.units, strict=True):
            value, mask = (x[..., k] for x in self.features[name])
            kept = value[mask].double()
            table[name] = {
                "unit": unit,
                "n": len(kept),
                "mean": float(kept.mean()) if len(kept) else None,
                "sd": float(kept.std()) if len(kept) > 1 else None,
            }
        fires = (self.features["spike_count"][0][..., k] > 0).reshape(len(self.neurons), -1)
        return {"current_pa": self.current_pa[k], "spiking": int(fires.any(-1).sum()), "features": table}


def sample_ensemble(
    cell: Cell,
    *,
    draws: int,
    current_pa: float | Sequence[float],
    seed: int,
    trials: int | None = None,
    extrapolate: bool = False,
    device: str | None = None,
    progress: bool = False,
) -> Ensemble:
    """Draw novel neurons of a cell and inject steps into each.

    Args:
        cell: The cell.
        draws: How many neurons.
        current_pa: Height of the step, or of each (pA).
        seed: Same seed, same neurons.
        trials: Repeats of each neuron under the usual trial-to-trial variability; None for the noiseless response.
        extrapolate: Also answer steps beyond the decoder's currents: nothing vouches for it.
        device: Where the cell's decoder lives.
        progress: Show a bar on stderr.

    Raises:
        UsageError: If a current is beyond the decoder's range, ``draws`` or ``trials`` are not positive, or the voltage
            would not fit into memory.
    """
    steps = list(current_pa) if isinstance(current_pa, Sequence) else [current_pa]
    for step in () if extrapolate else steps:
        cell.require_current(step)
    require_count(draws, "draws", "neurons")
    require_room(cell.decoder, draws, len(steps), trials if isinstance(trials, int) else None, "draws")
    neurons = draw(cell.prior, draws, seed=seed)
    responses = respond(
        cell.decoder,
        neurons,
        steps,
        trials=trials,
        seed=seed,
        device=device,
        progress=progress,
        extrapolate=extrapolate,
    )
    return Ensemble(
        cell=cell.name,
        neurons=neurons,
        responses=responses,
        seed=seed,
        features=measure(responses, names=SUMMARISED),
        plausibility=plausibility(cell.prior, neurons, decoder=cell.decoder),
        models=cell.models,
    )
