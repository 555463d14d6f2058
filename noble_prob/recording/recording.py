"""What came back: the voltage of one neuron, or of an ensemble, under a protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.errors import require
from noble_prob.recording.checks import numbers
from noble_prob.recording.protocol import Protocol
from noble_prob.recording.step import Step


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Recording:
    """What an electrode, a simulator or a decoder gives: current in, voltage out; equal to itself only.

    Attributes:
        protocol: The injected current of every sweep.
        voltage_mv: Membrane voltage (mV), shape ``(*batch, sweep, time)``; NaN marks missing samples.
        axes: Names of the leading batch axes, outermost first (``()`` for one neuron recorded once).
        provenance: Where it came from: file, hash, seed, versions, remarks.

    Raises:
        UsageError: If the voltage is not on the grid of the protocol, or an axis has no name of its own.
    """

    protocol: Protocol
    voltage_mv: Float[Tensor, "*batch sweep time"]
    axes: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require(isinstance(self.protocol, Protocol), "protocol", "a Protocol", type(self.protocol).__name__,
                "build one by Protocol or Protocol.step_family")  # fmt: skip
        object.__setattr__(self, "voltage_mv", numbers(self.voltage_mv, "voltage_mv"))
        object.__setattr__(self, "axes", (self.axes,) if isinstance(self.axes, str) else tuple(self.axes))
        shape = tuple(self.protocol.current_pa.shape)
        require(
            tuple(self.voltage_mv.shape[-2:]) == shape,
            "voltage_mv",
            f"of shape (*batch, sweep, time) with {shape} last",
            tuple(self.voltage_mv.shape),
            "give voltage on the grid of the protocol",
        )
        require(
            self.voltage_mv.ndim - 2 == len(self.axes) == len(set(self.axes)),
            "axes",
            f"{self.voltage_mv.ndim - 2} different names, one per batch axis",
            self.axes,
            "name each leading axis: draw, neuron or trial",
        )

    def __repr__(self) -> str:
        batch = [f"{name} {n}" for name, n in zip(self.axes, self.voltage_mv.shape, strict=False)]
        return f"Recording({', '.join(batch)}{'; ' if batch else ''}{self.protocol.outline()}; mV)"

    @property
    def time_ms(self) -> Float[Tensor, " time"]:
        """Sample times (ms)."""
        return self.protocol.time_ms

    @property
    def current_pa(self) -> Float[Tensor, "sweep time"]:
        """Injected current (pA)."""
        return self.protocol.current_pa

    @property
    def steps(self) -> tuple[Step | None, ...]:
        """The pulse of each sweep, or None."""
        return self.protocol.steps

    @property
    def dt_ms(self) -> float:
        """Sampling interval (ms)."""
        return self.protocol.dt_ms

    @property
    def n_sweeps(self) -> int:
        """Number of sweeps."""
        return len(self.steps)

    def select(self, sweeps: int | Sequence[int] | Sequence[bool] | Tensor) -> Recording:
        """The same neuron with only some of its sweeps, in the given order.

        Args:
            sweeps: Sweep indices, one index, or True and False for every sweep.

        Raises:
            UsageError: If an index is out of range, none is given, or a mask is not as long as there are sweeps.
        """
        chosen = self._indices(sweeps)
        index = torch.tensor(chosen)
        protocol = Protocol(
            time_ms=self.time_ms,
            current_pa=self.current_pa[index.to(self.current_pa.device)],
            steps=tuple(self.steps[i] for i in chosen),
        )
        provenance = dict(self.provenance)
        if len(provenance.get("sweeps", ())) == self.n_sweeps:  # where each sweep comes from goes with it
            provenance["sweeps"] = [provenance["sweeps"][i] for i in chosen]
        voltage = self.voltage_mv[..., index.to(self.voltage_mv.device), :]
        return replace(self, protocol=protocol, voltage_mv=voltage, provenance=provenance)

    def _indices(self, sweeps: Any) -> list[int]:
        """Indices of sweeps that were given by one index, several, or a mask."""
        index = numbers([sweeps] if isinstance(sweeps, int) else sweeps, "sweeps").reshape(-1)
        given = torch.as_tensor(sweeps).reshape(-1)
        if given.dtype == torch.bool:
            require(len(given) == self.n_sweeps, "sweeps", f"one True or False for each of {self.n_sweeps} sweeps",
                    f"{len(given)} of them", "give a mask for every sweep, or indices")  # fmt: skip
            index = given.nonzero()[:, 0]
        good = (index >= -self.n_sweeps) & (index < self.n_sweeps) & (index == index.round())
        require(bool(good.all()) and len(index) > 0, "sweeps", f"indices below {self.n_sweeps}, at least one",
                index.tolist(), "pick existing sweeps")  # fmt: skip
        return [int(i) for i in index.tolist()]
