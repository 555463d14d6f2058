"""Step currents as a decoder knows them: from rest, with its own onset, length and sampling."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from noble_prob.decoder.base import Window
from noble_prob.errors import listed, require
from noble_prob.recording import Protocol


def on_grid(protocol: Protocol | Sequence[float] | Tensor, window: Window) -> Protocol:
    """A step family on a decoder's grid.

    Args:
        protocol: Step amplitudes (pA), or a protocol that is such a family already.
        window: The decoder's.

    Raises:
        UsageError: If the protocol has another grid, another stimulus or a holding current.
    """
    w = window
    if not isinstance(protocol, Protocol):
        return Protocol.step_family(
            protocol, onset_ms=w.onset_ms, duration_ms=w.duration_ms, total_ms=w.n_samples * w.dt_ms, dt_ms=w.dt_ms
        )
    wanted = f"steps from {w.onset_ms} ms for {w.duration_ms} ms on {w.n_samples} samples of {w.dt_ms} ms"
    grid = len(protocol.time_ms) == w.n_samples and abs(protocol.dt_ms - w.dt_ms) < 1e-6
    onset = w.onset_ms + float(protocol.time_ms[0])
    fits = all(
        s and abs(s.onset_ms - onset) < w.dt_ms and abs(s.duration_ms - w.duration_ms) < w.dt_ms for s in protocol.steps
    )
    require(grid and fits, "protocol", wanted, "another grid or stimulus", "pass the step amplitudes in pA instead")
    held = [s.holding_pa for s in protocol.steps if s and s.holding_pa]
    require(
        not held,
        "protocol",
        "steps from rest: the decoder knows no holding current",
        f"{listed(held, 3)} pA",
        "pass the step amplitudes in pA instead",
    )
    return protocol
