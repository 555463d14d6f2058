"""Simulated responses of many models, as integers: what a decoder is trained on before anything is measured."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int, Int16
from torch import Tensor

from noble_prob.decoder.base import Window
from noble_prob.errors import require
from noble_prob.population.latents import STANDARD_CURRENTS_PA
from noble_prob.recording import Protocol, Recording

MV_PER_COUNT, MV_OFFSET = 0.01, -70.0


@dataclass(frozen=True, kw_only=True)
class ResponseSet:
    """Responses of many models to a few step currents each.

    Attributes:
        cell: Name of the cell the models are of.
        window: Grid and stimulus.
        model: Number of each published model, -1 for perturbed ones, shape ``(model,)``.
        current_pa: Step currents (pA), shape ``(model, sweep)``.
        counts: Voltage, ``mV = counts * 0.01 - 70``, shape ``(model, sweep, time)``.
    """

    cell: str
    window: Window
    model: Int[Tensor, " model"]
    current_pa: Float[Tensor, "model sweep"]
    counts: Int16[Tensor, "model sweep time"]

    def __len__(self) -> int:
        return len(self.model)

    def take(self, index: Tensor) -> ResponseSet:
        """The models at these positions."""
        return replace(self, model=self.model[index], current_pa=self.current_pa[index], counts=self.counts[index])

    def voltage_mv(self, index: Tensor | slice = slice(None)) -> Float[Tensor, "model sweep time"]:
        """Voltage of some models (mV, float32)."""
        return self.counts[index].to(torch.float32) * MV_PER_COUNT + MV_OFFSET

    def recording(self, index: Tensor | slice, sweeps: Sequence[int]) -> Recording:
        """Some models' responses to currents that are the same for all of them.

        Args:
            index: Positions of the models.
            sweeps: Columns.

        Raises:
            UsageError: If the currents of a column differ.
        """
        currents = self.current_pa[index][:, list(sweeps)]
        require(bool((currents == currents[:1]).all()), "sweeps", "columns whose current is the same for every model",
                list(sweeps), "use the columns of the standard protocol")  # fmt: skip
        return Recording(protocol=self.protocol(currents[0]), voltage_mv=self.voltage_mv(index)[:, list(sweeps)],
                         axes=("neuron",))  # fmt: skip

    def protocol(self, currents_pa: Float[Tensor, " sweep"]) -> Protocol:
        """Steps of these heights (pA) on the set's grid."""
        w = self.window
        return Protocol.step_family(currents_pa, onset_ms=w.onset_ms, duration_ms=w.duration_ms,
                                    total_ms=w.n_samples * w.dt_ms, dt_ms=w.dt_ms)  # fmt: skip

    def digest(self) -> str:
        """SHA-256 over models, currents and every 64th sample."""
        parts = (self.model, self.current_pa, self.counts[..., ::64])
        text = b"".join(np.ascontiguousarray(part.numpy()).tobytes() for part in parts)
        return hashlib.sha256(self.cell.encode() + text).hexdigest()


def standard_columns(responses: ResponseSet) -> tuple[int, ...]:
    """Columns that hold the standard protocol: the same current for every model, one for each of its steps.

    Args:
        responses: Any set.

    Raises:
        UsageError: If a step of the protocol is missing.
    """
    found = []
    for current in STANDARD_CURRENTS_PA:
        columns = torch.nonzero(((responses.current_pa - current).abs() < 0.5).all(0)).flatten().tolist()
        require(bool(columns), "responses", f"to contain a step of {current:.0f} pA for every model",
                f"none in {responses.cell!r}", "simulate the standard protocol of every model")  # fmt: skip
        found.append(columns[0])
    return tuple(found)


def concatenate(sets: Sequence[ResponseSet]) -> ResponseSet:
    """Join sets of one cell and grid; a published model that comes again is left out.

    Args:
        sets: At least one.

    Raises:
        UsageError: If their cells, grids or numbers of currents differ.
    """
    head = sets[0]
    for other in sets:
        w, o = replace(head.window, current_range_pa=(0.0, 0.0)), replace(other.window, current_range_pa=(0.0, 0.0))
        same = w == o and head.current_pa.shape[1] == other.current_pa.shape[1]
        require(same and head.cell == other.cell, "sets", f"of {head.cell} on one grid with one number of currents",
                f"{other.cell} with {other.current_pa.shape[1]} currents on {o}", "make the data alike")  # fmt: skip
    model = torch.cat([s.model for s in sets])
    keep = torch.nonzero(_first_of_each(model)).flatten()
    low, high = zip(*(s.window.current_range_pa for s in sets), strict=True)
    joined = replace(
        head,
        window=replace(head.window, current_range_pa=(min(low), max(high))),
        model=model,
        current_pa=torch.cat([s.current_pa for s in sets]),
        counts=torch.cat([s.counts for s in sets]),
    )
    return joined if len(keep) == len(model) else joined.take(keep)


def _first_of_each(model: Int[Tensor, " model"]) -> Tensor:
    """True for perturbed models and for the first of every published number."""
    seen: set[int] = set()
    keep = []
    for number in model.tolist():
        keep.append(number < 0 or number not in seen)
        seen.add(number)
    return torch.tensor(keep, dtype=torch.bool)
