"""What came back: the voltage of one neuron, or of an ensemble, under a protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.errors import UsageError, require
from noble_prob.recording.protocol import Protocol
from noble_prob.recording.step import Step


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What an electrode, a simulator or a decoder gives: current in, voltage out.

    Attributes:
        protocol: The injected current of every sweep.
        voltage_mv: Membrane voltage (mV), shape ``(*batch, sweep, time)``; NaN marks missing samples.
        axes: Names of the leading batch axes, outermost first (``()`` for one neuron recorded once).
        provenance: Where it came from: file, hash, seed, versions, remarks.
    """

    protocol: Protocol
    voltage_mv: Float[Tensor, "*batch sweep time"]
    axes: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = tuple(self.protocol.current_pa.shape)
        require(
            tuple(self.voltage_mv.shape[-2:]) == shape,
            "voltage_mv",
            f"of shape (*batch, sweep, time) with {shape} last",
            tuple(self.voltage_mv.shape),
            "give voltage on the grid of the protocol",
        )
        require(
            self.voltage_mv.ndim - 2 == len(self.axes),
            "axes",
            f"{self.voltage_mv.ndim - 2} names, one per batch axis",
            self.axes,
            "name each leading axis: draw, neuron or trial",
        )

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

    def select(self, sweeps: Sequence[int]) -> Recording:
        """The same neuron with only some of its sweeps, in the given order.

        Args:
            sweeps: Sweep indices.

        Raises:
            UsageError: If an index is out of range or none is given.
        """
        bad = [i for i in sweeps if not -self.n_sweeps <= i < self.n_sweeps]
        if bad or not len(sweeps):
            raise UsageError(
                "sweeps", f"indices below {self.n_sweeps}, at least one", list(sweeps), "pick existing sweeps"
            )
        index = torch.as_tensor(list(sweeps))
        protocol = Protocol(
            time_ms=self.time_ms,
            current_pa=self.current_pa[index],
            steps=tuple(self.steps[i] for i in sweeps),
        )
        provenance = dict(self.provenance)
        if len(provenance.get("sweeps", ())) == self.n_sweeps:  # where each sweep comes from goes with it
            provenance["sweeps"] = [provenance["sweeps"][i] for i in sweeps]
        voltage = self.voltage_mv[..., index.to(self.voltage_mv.device), :]
        return replace(self, protocol=protocol, voltage_mv=voltage, provenance=provenance)
