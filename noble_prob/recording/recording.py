"""What came back: the voltage of one neuron, or of an ensemble, under a protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.errors import require
from noble_prob.recording.numbers import indices, numbers
from noble_prob.recording.protocol import Protocol
from noble_prob.recording.step import Step

Axis = Literal["draw", "neuron", "trial"]
"""Meaning of a leading axis: see :mod:`noble_prob.latent`."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Recording:
    """What an electrode, a simulator or a decoder gives: current in, voltage out; equal to itself only.

    Attributes:
        protocol: The injected current of every sweep.
        voltage_mv: Membrane voltage (mV), shape ``(*batch, sweep, time)``; NaN marks missing samples. A tensor is kept,
            not copied; arrays, tables and lists are copied, and their masked samples become NaN.
        axes: Names of the leading batch axes, ``draw``, ``neuron`` or ``trial``, outermost first (``()`` for one neuron
            recorded once).
        provenance: Where it came from: file, hash, seed, versions, remarks; of an ensemble ``labels``, the names of the
            members of its outermost axis.

    Raises:
        UsageError: If the voltage is not on the grid of the protocol, or an axis has no name of its own, or another.
    """

    protocol: Protocol
    voltage_mv: Float[Tensor, "*batch sweep time"]
    axes: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require(
            isinstance(self.protocol, Protocol),
            "protocol",
            "a Protocol",
            type(self.protocol).__name__,
            "build one by Protocol or Protocol.step_family",
        )
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
        _require_axes(self.axes, self.voltage_mv.ndim - 2)

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

    def select(self, sweeps: int | slice | Sequence[int] | Sequence[bool] | Tensor) -> Recording:
        """The same neuron with only some of its sweeps, in the given order; for neurons or trials see :meth:`members`.

        Args:
            sweeps: Sweep indices, one index, a slice, or True and False for every sweep.

        Raises:
            UsageError: If an index is out of range, none is given, or a mask is not as long as there are sweeps.
        """
        chosen = indices(sweeps, self.n_sweeps, "sweeps", "sweeps")
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

    def members(
        self, index: int | slice | Sequence[int] | Sequence[bool] | Tensor, *, axis: str | None = None
    ) -> Recording:
        """The same sweeps of only some members of an ensemble, in the given order; the axis stays, one member or many.

        Names of members in ``provenance["labels"]`` go with them.
        One member can be inferred, measured and written as it is; :meth:`squeeze` takes its axis away.

        Args:
            index: Indices along the axis, one index, a slice, or True and False for every member.
            axis: Name of the batch axis; may be left out where there is only one.

        Raises:
            UsageError: If there is no such axis, an index is out of range, none is given, or a mask has another length.
        """
        name = self.axes[0] if axis is None and len(self.axes) == 1 else axis
        require(
            name in self.axes,
            "axis",
            f"among {self.axes}",
            repr(axis),
            "name the axis whose members to take; sweeps are taken by select",
        )
        at = self.axes.index(str(name))
        chosen = indices(index, self.voltage_mv.shape[at], "index", f"members of '{name}'")
        provenance = dict(self.provenance)
        if at == 0 and self.labels:
            provenance["labels"] = [self.labels[i] for i in chosen]
        picked = torch.tensor(chosen, device=self.voltage_mv.device)
        return replace(self, voltage_mv=self.voltage_mv.index_select(at, picked), provenance=provenance)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the members of the outermost batch axis (``provenance["labels"]``); empty where there are none."""
        found = self.provenance.get("labels", ())
        known = self.axes and isinstance(found, list | tuple) and len(found) == len(self.voltage_mv)
        return tuple(str(label) for label in found) if known else ()

    def squeeze(self) -> Recording:
        """The same without the batch axes that have one member: one member of an ensemble is one recording."""
        sizes = zip(self.axes, self.voltage_mv.shape, strict=False)
        axes = tuple(name for name, n in sizes if n != 1)
        shape = [n for n in self.voltage_mv.shape[:-2] if n != 1]
        voltage = self.voltage_mv.reshape(*shape, *self.voltage_mv.shape[-2:])
        return self if axes == self.axes else replace(self, voltage_mv=voltage, axes=axes)


def _require_axes(axes: tuple[str, ...], n: int) -> None:
    """Refuse names of batch axes that are not ``n`` different ones, or not known."""
    require(
        n == len(axes) == len(set(axes)),
        "axes",
        f"{n} different names, one per batch axis",
        axes,
        "name each leading axis: draw, neuron or trial",
    )
    known = get_args(Axis)
    require(
        set(axes) <= set(known),
        "axes",
        f"among {', '.join(known)}",
        axes,
        "name each leading axis by what differs along it",
    )
