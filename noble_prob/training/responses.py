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
        require(
            bool((currents == currents[:1]).all()),
            "sweeps",
            "columns whose current is the same for every model",
            list(sweeps),
            "use the columns of the standard protocol",
        )
        return Recording(
            protocol=self.protocol(currents[0]), voltage_mv=self.voltage_mv(index)[:, list(sweeps)], axes=("neuron",)
        )

    def protocol(self, currents_pa: Float[Tensor, " sweep"]) -> Protocol:
        """Steps of these heights (pA) on the set's grid."""
        w = self.window
        return Protocol.step_family(
            currents_pa, onset_ms=w.onset_ms, duration_ms=w.duration_ms, total_ms=w.n_samples * w.dt_ms, dt_ms=w.dt_ms
        )

    def digest(self) -> str:
        """SHA-256 over models, currents and every 64th sample."""
        parts = (self.model, self.current_pa, self.counts[..., ::64])
        text = b"".join(np.ascontiguousarray(part.numpy()).tobytes() for part in parts)
        return hashlib.sha256(self.cell.encode() + text).hexdigest()


def standard_columns(responses: ResponseSet, protocol_pa: Sequence[float]) -> tuple[int, ...]:
    """Columns that hold a standard protocol: the same current for every model, one for each of its steps.

    Args:
        responses: Any set.
        protocol_pa: Steps of the protocol (pA).

    Raises:
        UsageError: If a step of the protocol is missing.
    """
    found = []
    for current in protocol_pa:
        columns = torch.nonzero(((responses.current_pa - current).abs() < 0.5).all(0)).flatten().tolist()
        require(
            bool(columns),
            "responses",
            f"to contain a step of {current:.0f} pA for every model",
            f"none in {responses.cell!r}",
            "simulate the standard protocol of every model",
        )
        found.append(columns[0])
    return tuple(found)


def fold(responses: ResponseSet, sweeps: int) -> ResponseSet:
    """The same responses with fewer currents per row: the standard protocol and a share of the random ones in each.

    A model that was simulated at many currents becomes several rows of one number.

    Args:
        responses: A set whose standard columns are the same for every model.
        sweeps: Columns that are wanted.

    Raises:
        UsageError: If the random columns can not be shared out evenly.
    """
    current = responses.current_pa
    same = (current == current[:1]).all(0)
    standard, random = (torch.nonzero(mask).flatten() for mask in (same, ~same))
    share = sweeps - len(standard)
    whole = share > 0 and len(random) % share == 0
    require(
        whole,
        "sweeps",
        f"{len(standard)} standard ones and a divisor of {len(random)} random ones",
        sweeps,
        "simulate a multiple of the other sets' random currents",
    )
    parts = [torch.cat([standard, columns]) for columns in random.split(share)]
    return replace(
        responses,
        model=responses.model.repeat(len(parts)),
        current_pa=torch.cat([current[:, columns] for columns in parts]),
        counts=torch.cat([responses.counts[:, columns] for columns in parts]),
    )


def concatenate(sets: Sequence[ResponseSet]) -> ResponseSet:
    """Join sets of one cell and grid; sets with more currents per model than the leanest are folded to its width.

    Args:
        sets: At least one.

    Raises:
        UsageError: If their cells or grids differ, or a set can not be folded.
    """
    width = min(s.current_pa.shape[1] for s in sets)
    sets = [s if s.current_pa.shape[1] == width else fold(s, width) for s in sets]
    head = sets[0]
    for other in sets:
        w, o = replace(head.window, current_range_pa=(0.0, 0.0)), replace(other.window, current_range_pa=(0.0, 0.0))
        require(
            w == o and head.cell == other.cell,
            "sets",
            f"of {head.cell} on one grid",
            f"{other.cell} on {o}",
            "make the data alike",
        )
    low, high = zip(*(s.window.current_range_pa for s in sets), strict=True)
    return replace(
        head,
        window=replace(head.window, current_range_pa=(min(low), max(high))),
        model=torch.cat([s.model for s in sets]),
        current_pa=torch.cat([s.current_pa for s in sets]),
        counts=torch.cat([s.counts for s in sets]),
    )
