"""A recorded neuron and a simulated one are the same type, so everything that measures one judges the other.

A :class:`Protocol` is what was injected, a :class:`Recording` is what came back. Time is in milliseconds (a file is
read from its first sample on), current in picoampere (positive depolarises), voltage in millivolt. Every sweep of a
recording shares one regular time grid; an ensemble is a recording whose leading axes are named (``draw``, ``neuron`` or
``trial``: see :mod:`noble_prob.latent` for why the name matters).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.errors import UsageError, require


@dataclass(frozen=True, kw_only=True)
class Step:
    """A square pulse of current: the stimulus of one sweep.

    Attributes:
        onset_ms: First moment of the pulse, on the time axis of its protocol (ms).
        duration_ms: Length of the pulse (ms).
        amplitude_pa: Height above the holding current (pA).
        holding_pa: Current outside the pulse (pA).
    """

    onset_ms: float
    duration_ms: float
    amplitude_pa: float
    holding_pa: float = 0.0

    @property
    def offset_ms(self) -> float:
        """End of the pulse (ms)."""
        return self.onset_ms + self.duration_ms


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What is injected: one current waveform per sweep on a shared grid.

    Attributes:
        time_ms: Sample times, regular and increasing (ms), shape ``(time,)``.
        current_pa: Injected current (pA), shape ``(sweep, time)``.
        steps: Per sweep the pulse it contains, or None where the waveform is not a single step.
    """

    time_ms: Float[Tensor, " time"]
    current_pa: Float[Tensor, "sweep time"]
    steps: tuple[Step | None, ...]

    def __post_init__(self) -> None:
        _require_grid(self.time_ms)
        require(
            self.current_pa.shape == (len(self.steps), len(self.time_ms)),
            "current_pa",
            f"of shape (sweep, time) = {(len(self.steps), len(self.time_ms))}",
            tuple(self.current_pa.shape),
            "give one row per sweep on the grid of `time_ms`",
        )

    @classmethod
    def step_family(
        cls,
        amplitudes_pa: Sequence[float] | Tensor,
        *,
        onset_ms: float = 12.0,
        duration_ms: float = 400.0,
        total_ms: float = 512.0,
        dt_ms: float = 0.0625,
        holding_pa: float = 0.0,
    ) -> Protocol:
        """Square pulses of several amplitudes, one sweep each.

        Args:
            amplitudes_pa: Pulse heights (pA), one per sweep.
            onset_ms: Start of every pulse (ms).
            duration_ms: Length of every pulse (ms).
            total_ms: Length of a sweep (ms).
            dt_ms: Sampling interval (ms).
            holding_pa: Current outside the pulse (pA).

        Raises:
            UsageError: If the pulse does not fit into the sweep or an amplitude is not finite.
        """
        amps = torch.as_tensor(amplitudes_pa, dtype=torch.float64).reshape(-1)
        require(
            bool(torch.isfinite(amps).all()) and len(amps) > 0,
            "amplitudes_pa",
            "at least one finite current in pA",
            amps.tolist(),
            "pass the pulse heights as numbers",
        )
        require(
            onset_ms >= 0 and duration_ms > 0 and onset_ms + duration_ms <= total_ms,
            "duration_ms",
            f"positive and end within the sweep of {total_ms} ms",
            duration_ms,
            "shorten the pulse or lengthen `total_ms`",
        )
        time = torch.arange(round(total_ms / dt_ms), dtype=torch.float64) * dt_ms
        on = (time >= onset_ms - 1e-9) & (time < onset_ms + duration_ms - 1e-9)
        steps = tuple(
            Step(onset_ms=onset_ms, duration_ms=duration_ms, amplitude_pa=a, holding_pa=holding_pa)
            for a in amps.tolist()
        )
        return cls(time_ms=time, current_pa=holding_pa + amps[:, None] * on, steps=steps)

    @property
    def dt_ms(self) -> float:
        """Sampling interval (ms)."""
        return float(self.time_ms[1] - self.time_ms[0])

    @property
    def amplitudes_pa(self) -> Float[Tensor, " sweep"]:
        """Step heights (pA); NaN for a sweep that is not a step."""
        return torch.tensor([float("nan") if s is None else s.amplitude_pa for s in self.steps], dtype=torch.float64)


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


def _require_grid(time_ms: Tensor) -> None:
    """Refuse a time axis that is not regular and increasing."""
    require(
        time_ms.ndim == 1 and len(time_ms) >= 2,
        "time_ms",
        "one axis of at least two samples",
        tuple(time_ms.shape),
        "give the sample times of one sweep",
    )
    step = torch.diff(time_ms)
    require(
        bool(torch.isfinite(time_ms).all()) and bool((step > 0).all()),
        "time_ms",
        "finite and increasing",
        "NaN, or a step back",
        "sort the samples and give times in ms",
    )
    ragged = float((step - step.mean()).abs().max() / step.mean())
    require(
        ragged < 0.05,
        "time_ms",
        "regularly sampled",
        f"intervals that differ by {100 * ragged:.0f} %",
        "resample the recording to a regular grid",
    )
