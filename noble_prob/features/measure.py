"""From a recording to its features: one value and one mask per sweep, recorded and simulated alike.

Sweeps whose steps begin and end together are measured side by side, in chunks of bounded size, on the device that
holds the voltage. NaN never leaves unannounced: wherever ``mask`` is False the value is NaN, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from noble_prob.errors import UsageError, listed, require, require_kind
from noble_prob.features import action_potential, subthreshold, timing  # noqa: F401  (they fill the catalogue)
from noble_prob.features.registry import FEATURES, Feature, lookup
from noble_prob.features.rest import Window, rest_windows
from noble_prob.features.spikes import require_threshold
from noble_prob.features.sweeps import Sweeps
from noble_prob.recording import Recording, Step

CHUNK_SAMPLES = 2**22
"""Samples that are measured at once; bounds the working memory to some 200 MB."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Features:
    """Values of several features for every sweep of a recording; equal to themselves only.

    Attributes:
        names: Feature names, in the order of the last axis.
        units: Their units.
        value: Values in these units, NaN where undefined, shape ``(*batch, sweep, feature)``.
        mask: Whether a value is defined, shape ``(*batch, sweep, feature)``.
        axes: Names of the batch axes, those of the recording.
        steps: The step of each sweep, or None, those of the recording; empty where they are not known.
        labels: Names of the members of the outermost batch axis, those of the recording; empty where there are none.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    value: Float[Tensor, "*batch sweep feature"]
    mask: Bool[Tensor, "*batch sweep feature"]
    axes: tuple[str, ...] = ()
    steps: tuple[Step | None, ...] = ()
    labels: tuple[str, ...] = ()

    def __repr__(self) -> str:
        sizes = ", ".join(f"{n} {size}" for n, size in zip((*self.axes, "sweep"), self.value.shape, strict=False))
        units = [f"{name} ({unit})" if unit else name for name, unit in zip(self.names, self.units, strict=True)]
        return f"Features({sizes}; {listed(units, 4)}; {int(self.mask.sum())} of {self.mask.numel()} values defined)"

    def __getitem__(self, name: str) -> tuple[Tensor, Tensor]:
        """Value and mask of one feature, each of shape ``(*batch, sweep)``.

        Raises:
            UsageError: If the feature was not measured.
        """
        if name not in self.names:
            raise UsageError("name", f"among {', '.join(self.names)}", name, "measure the feature first")
        k = self.names.index(name)
        return self.value[..., k], self.mask[..., k]

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Plain JSON values: per feature its unit and nested lists ``(*batch, sweep)``, None where undefined."""
        return {
            name: {"unit": unit, "value": _plain(self.value[..., k].tolist(), self.mask[..., k].tolist())}
            for k, (name, unit) in enumerate(zip(self.names, self.units, strict=True))
        }


def _plain(value: Any, mask: Any) -> Any:
    """Nested lists with None where the mask is False."""
    if isinstance(value, list):
        return [_plain(v, m) for v, m in zip(value, mask, strict=True)]
    return value if mask else None


def measure(
    recording: Recording,
    *,
    names: Sequence[str] | None = None,
    threshold_mv: float = -20.0,
    window_ms: float | None = None,
) -> Features:
    """Measure every sweep of a recording, of one neuron or of an ensemble.

    Args:
        recording: Voltage of shape ``(*batch, sweep, time)`` and the protocol that caused it.
        names: Features to measure; all of the catalogue (see :data:`~noble_prob.features.FEATURES`) for None.
        threshold_mv: Voltage that a spike exceeds (mV).
        window_ms: Look at the first so many ms of each step only, as if it ended there (ms): the common window of steps
            of different lengths. None for the whole step.

    Returns:
        One value and one mask per sweep and feature, on the voltage's device. A sweep without a step has the features
        that need none, over its whole length.

    Raises:
        UsageError: If this is no recording, a name is unknown, the threshold is no voltage in mV or ``window_ms`` is
            not positive.
    """
    require_recording(recording)
    require_threshold(threshold_mv)
    words = names is None or (isinstance(names, Iterable) and not isinstance(names, str))
    require(words, "names", "a list of features", repr(names), "put a single one into a list, or leave it out for all")
    wanted = lookup(None if names is None else tuple(names))
    whole = window_ms is None or (isinstance(window_ms, Real) and window_ms > 0)
    require(whole, "window_ms", "a positive number of ms", repr(window_ms), "give the length to look at")
    v = recording.voltage_mv
    value = v.new_full((*v.shape[:-1], len(wanted)), torch.nan)
    for (step, rest), sweeps in _groups(recording):
        index = torch.tensor(sweeps, device=v.device)
        amplitude = recording.protocol.amplitudes_pa.to(v.device)[index].expand(*v.shape[:-2], len(index)).reshape(-1)
        flat = v[..., index, :].reshape(-1, v.shape[-1])
        rows = [
            _measure_group(
                chunk, amplitude[at : at + len(chunk)], recording.time_ms, step, rest, wanted, threshold_mv, window_ms
            )
            for at, chunk in _chunks(flat)
        ]
        if rows:
            value[..., index, :] = torch.cat(rows).reshape(*v.shape[:-2], len(index), len(wanted))
    return Features(
        names=tuple(item.name for item in wanted),
        units=tuple(item.unit for item in wanted),
        value=value,
        mask=torch.isfinite(value),
        axes=recording.axes,
        steps=recording.steps,
        labels=recording.labels,
    )


def require_recording(recording: object) -> None:
    """Refuse what is no recording: bare voltages are what people try.

    Raises:
        UsageError: If it is none.
    """
    require_kind(recording, Recording, "recording", "make one of arrays by from_arrays, of a file by read")


def _groups(recording: Recording) -> Iterator[tuple[tuple[Step | None, Window | None], list[int]]]:
    """Sweeps that rest together and whose steps begin and end together, with one of their steps."""
    groups: dict[tuple[object, ...], list[int]] = {}
    windows = rest_windows(recording)
    for k, (step, rest) in enumerate(zip(recording.steps, windows, strict=True)):
        groups.setdefault((step and (step.onset_ms, step.duration_ms), rest), []).append(k)
    for sweeps in groups.values():
        yield (recording.steps[sweeps[0]], windows[sweeps[0]]), sweeps


def _chunks(flat: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Consecutive traces of at most ``CHUNK_SAMPLES`` samples together, with the position of the first."""
    size = max(1, CHUNK_SAMPLES // flat.shape[1])
    for at in range(0, len(flat), size):
        yield at, flat[at : at + size]


def _measure_group(
    v: Tensor,
    amplitude_pa: Tensor,
    time_ms: Tensor,
    step: Step | None,
    rest: Window | None,
    wanted: tuple[Feature, ...],
    threshold_mv: float,
    window_ms: float | None,
) -> Tensor:
    """Features of traces with a common step, shape ``(trace, feature)``."""
    first = float(time_ms[0])
    end = first + len(time_ms) * float(time_ms[-1] - time_ms[0]) / (len(time_ms) - 1)
    onset, step_end = (first, end) if step is None else (step.onset_ms, step.offset_ms)
    stop = step_end if window_ms is None else min(step_end, onset + window_ms)
    s = Sweeps(
        voltage_mv=v,
        time_ms=time_ms,
        onset_ms=onset,
        stop_ms=stop,
        amplitude_pa=amplitude_pa,
        rest_ms=rest,
        step_end_ms=step_end if step is not None else torch.nan,
        threshold_mv=threshold_mv,
    )
    columns = [s.nan if step is None and item.needs_step else item.compute(s) for item in wanted]
    return torch.stack(columns, -1)


__all__ = ["FEATURES", "Features", "measure"]
