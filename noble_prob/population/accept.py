"""Which simulated neurons are plausible: every feature within k standard deviations of a target.

A :class:`Criterion` is one row of the table: a feature, the step of the standard protocol it is measured on, and the
bounds it must keep; its ``source`` says where the bounds come from. An undefined feature fails its criterion. A model
is accepted if it meets all; otherwise all that it misses are named, so that rejections can be counted by reason.

Reference: Druckmann et al. (2007) Frontiers in Neuroscience 1, 7-18 (features in units of their standard deviation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.errors import require
from noble_prob.features.measure import measure
from noble_prob.recording import Recording


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """One row of the table of targets.

    Attributes:
        feature: Name of the feature.
        current_pa: Step of the standard protocol (pA).
        low: Smallest acceptable value, in the feature's unit.
        high: Largest acceptable value.
        mean: Target, NaN for plain bounds.
        sd: Its standard deviation, NaN for plain bounds.
        source: Where it comes from.
    """

    feature: str
    current_pa: float
    low: float = -float("inf")
    high: float = float("inf")
    mean: float = float("nan")
    sd: float = float("nan")
    source: str = "bounds"

    @property
    def reason(self) -> str:
        """How a rejection by this criterion is called."""
        return f"{self.feature} at {self.current_pa:g} pA"


FIRES = (Criterion(feature="spike_count", current_pa=180.0, low=5.0, source="fires at all"),)
"""The weakest rule: five spikes at 180 pA. It keeps a training population wide."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of one model.

    Attributes:
        reasons: The criteria it misses; empty if accepted.
    """

    reasons: tuple[str, ...]

    @property
    def status(self) -> str:
        """``"accepted"`` or ``"rejected: ..."`` with the reasons."""
        return "accepted" if not self.reasons else "rejected: " + "; ".join(self.reasons)


def judge_models(recording: Recording, criteria: Sequence[Criterion] = FIRES) -> list[Verdict]:
    """Accept or reject the neurons of a recording of the standard protocol.

    Args:
        recording: Axis ``neuron`` first, or one neuron; sweeps at the criteria's currents.
        criteria: The table of targets.

    Returns:
        One verdict per neuron.

    Raises:
        UsageError: If the recording has no sweep at the current of a criterion.
    """
    if not criteria:
        return [Verdict(reasons=())] * recording.voltage_mv[..., 0, 0].numel()
    value = criterion_values(recording, criteria)
    low, high = (torch.tensor([getattr(c, end) for c in criteria], dtype=value.dtype) for end in ("low", "high"))
    met = (value >= low) & (value <= high)  # NaN meets nothing
    return [
        Verdict(reasons=tuple(c.reason for c, ok in zip(criteria, row, strict=True) if not ok)) for row in met.tolist()
    ]


def criterion_values(recording: Recording, criteria: Sequence[Criterion]) -> Float[Tensor, "neuron criterion"]:
    """The feature of every criterion; NaN where undefined."""
    names = tuple(dict.fromkeys(c.feature for c in criteria))
    sweeps = [_sweep_at(recording, c.current_pa) for c in criteria]
    used = sorted(set(sweeps))
    value = measure(recording.select(used), names=names).value
    value = value.reshape(-1, len(used), len(names))
    return torch.stack(
        [value[:, used.index(s), names.index(c.feature)] for s, c in zip(sweeps, criteria, strict=True)], -1
    )


def _sweep_at(recording: Recording, current_pa: float) -> int:
    """The sweep with a step of this height."""
    off = (recording.protocol.amplitudes_pa - current_pa).abs().nan_to_num(float("inf"))
    require(
        float(off.min()) < 0.5,
        "recording",
        f"one with a sweep at {current_pa:g} pA",
        recording.protocol.amplitudes_pa.tolist(),
        "record the standard protocol",
    )
    return int(off.argmin())
