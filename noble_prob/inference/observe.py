"""From a recording to what the likelihood looks at: spike times, summary features, and how far each step is looked at.

The *common window*: a decoder was trained on steps of one length, a recording may have others. By causality the
response up to the shorter of the two lengths is the same, so that is what is compared. Steps shorter than 100 ms are
refused: they say too little. Samples that are missing (the file ends, or the voltage is not a number) are not silence:
a sweep is looked at until the first of them. Where a step is shorter than the decoder's, or looked at in part, features
that look at its end are masked.

The lowest of many noisy samples lies below the trace, the more so the more samples there are: 0.3 mV of noise deepens a
sag by 1 mV and a trough by 0.5 (12 published models at 50 kHz). So minima are those of a running mean
(:data:`SMOOTHED_MS`), of which 0.09 mV are left in a sag and 0.02 in a trough (0.17 and 0.08 at 16 kHz) and which moves
a noise-free sag by 0.001 and a trough by 0.016 mV, a sixth of a posterior's SD at most. Catalogue and eFEL keep the raw
minimum. Everything is measured at the decoder's rate (:mod:`noble_prob.inference.rate`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.decoder.base import Decoder
from noble_prob.errors import require
from noble_prob.features import find_spikes, measure
from noble_prob.features.registry import FEATURES
from noble_prob.findings.base import Finding
from noble_prob.inference.notes import (
    coarse,
    cut_short,
    held,
    left_out,
    read_with_choices,
    remedy,
    told,
    without_baseline,
)
from noble_prob.inference.rate import mask_shape, on_grid, too_coarse
from noble_prob.noise import Design, Evidence
from noble_prob.readers.checks import check_recording
from noble_prob.recording import Recording, Step
from noble_prob.recording.step import SHORTEST_STEP_MS

SMOOTHED_MS = {"sag_mv": 1.0, "sag_ratio": 1.0, "ap1_trough_mv": 0.3}
"""Features that are minima of the trace, and the running mean that they are taken of (ms)."""


@dataclass(frozen=True, kw_only=True)
class Observation:
    """Evidence and where it came from.

    Attributes:
        evidence: What the likelihood sees.
        sweeps: Index, in the recording, of each sweep of the evidence.
        notes: What was left out and why, and what the reader of the file had to choose.
        source: Where the recording came from: its provenance as plain values, empty for evidence without a file.
    """

    evidence: Evidence
    sweeps: tuple[int, ...]
    notes: tuple[Finding, ...]
    source: Mapping[str, Any] = field(default_factory=dict)


def observe(recording: Recording, decoder: Decoder) -> Observation:
    """Extract spike times and summary features on the common window.

    Args:
        recording: One neuron: no batch axis but of one member, or a ``trial`` axis whose repeats become further sweeps.
        decoder: Its window, current range and summary features are used.

    Raises:
        UsageError: If the recording is an ensemble, in units that no file would be read in, or no sweep has a usable
            step.
    """
    recording = _one_neuron(recording)
    check_recording(recording, "this recording")
    recorded = _recorded_ms(recording)
    reasons = [_why_not(step, ms, decoder) for step, ms in zip(recording.steps, recorded, strict=True)]
    kept = [k for k, reason in enumerate(reasons) if not reason]
    _require_usable(kept, reasons, recording, decoder)
    part = recording.select(kept)
    grid, blurred = on_grid(part, decoder), too_coarse(part, decoder)
    repeats = 1 if not recording.axes else recording.voltage_mv.shape[0]
    whole = [min(step.duration_ms, decoder.window.duration_ms) for step in part.steps if step]
    ends = [min(end, recorded[k]) for end, k in zip(whole, kept, strict=True)]
    names = decoder.summary_names
    summary = _summary(grid, decoder).reshape(-1, len(names))
    design = Design(
        current_pa=part.protocol.amplitudes_pa.repeat(repeats),
        summary_names=names,
        end_ms=torch.tensor(ends, dtype=torch.float64).repeat(repeats),
    )
    masked = mask_late(mask_shape(summary, names) if blurred else summary, design, decoder).to(torch.float64)
    evidence = Evidence(design=design, times_ms=_times(grid, ends), summary=masked)
    cut = {k: end for end, full, k in zip(ends, whole, kept, strict=True) if end < full - 1.0}
    notes = (
        *left_out(reasons, recording.steps),
        *cut_short(cut, len(reasons)),
        *(coarse(part.dt_ms) if blurred else ()),
        *without_baseline(part),
        *held(part),
        *read_with_choices(recording),
    )
    return Observation(evidence=evidence, sweeps=tuple(kept) * repeats, notes=notes, source=dict(part.provenance))


def _one_neuron(recording: Recording) -> Recording:
    """The recording without axes of one member; an ensemble is refused."""
    one = recording.squeeze()
    batch = next((name for name in one.axes if name != "trial"), "")
    require(
        one.axes in ((), ("trial",)),
        "recording.axes",
        "() or ('trial',): one neuron",
        f"{one.axes} of {' x '.join(map(str, one.voltage_mv.shape[:-2]))}",
        f"pass one member, `ensemble.members(0, axis={batch!r})`, or a list of such",
    )
    return one


def _require_usable(kept: Sequence[int], reasons: list[str], recording: Recording, decoder: Decoder) -> None:
    """Refuse a recording without a usable step, and say why none of its sweeps is."""
    require(
        bool(kept),
        "recording",
        f"at least one step of {SHORTEST_STEP_MS:.0f} ms or more within the decoder's currents",
        told(reasons, recording.steps),
        remedy(recording, decoder.window.current_range_pa),
    )


def _summary(recording: Recording, decoder: Decoder) -> Float[Tensor, "*batch sweep feature"]:
    """The decoder's summary features; minima of a running mean, or of the trace where that has no spike any more."""
    names, window = decoder.summary_names, decoder.window.duration_ms
    out = measure(recording, names=names, window_ms=window).value
    for k, name in enumerate(names):
        if name in SMOOTHED_MS:
            voltage = running_mean(recording.voltage_mv, round(SMOOTHED_MS[name] / recording.dt_ms))
            smooth = replace(recording, voltage_mv=voltage)
            calm = measure(smooth, names=(name,), window_ms=window).value[..., 0]
            out[..., k] = torch.where(torch.isfinite(calm), calm, out[..., k])
    return out


def running_mean(voltage_mv: Float[Tensor, "*batch time"], samples: int) -> Float[Tensor, "*batch time"]:
    """Mean of an odd number of samples around each one, of those that there are at the ends.

    Args:
        voltage_mv: Voltage (mV); a missing sample (NaN) is missing in every mean that it is part of.
        samples: How many; of an even number one less.
    """
    half = (samples - 1) // 2
    if half < 1:
        return voltage_mv
    flat = voltage_mv.reshape(-1, 1, voltage_mv.shape[-1])
    mean = torch.nn.functional.avg_pool1d(flat, 2 * half + 1, 1, padding=half, count_include_pad=False)
    return mean.reshape(voltage_mv.shape)


def mask_late(
    summary: Float[Tensor, "*batch sweep feature"], design: Design, decoder: Decoder
) -> Float[Tensor, "*batch sweep feature"]:
    """NaN for features of the end of the step where the step is shorter than the decoder's.

    Args:
        summary: Features named in ``design.summary_names``.
        design: Ends of the sweeps.
        decoder: Knows the length of a whole step.
    """
    short = design.end_ms < decoder.window.duration_ms - 1.0
    late = torch.tensor([name in FEATURES and FEATURES[name].whole_step for name in design.summary_names]).to(
        summary.device
    )
    return torch.where(short[..., None] & late, torch.nan, summary)


def _recorded_ms(recording: Recording) -> list[float]:
    """For how long after its onset each sweep was recorded without a gap, by all repeats (ms); 0 without a step."""
    time = recording.time_ms
    after = float(time[-1]) + recording.dt_ms
    missing = ~torch.isfinite(recording.voltage_mv).reshape(-1, recording.n_sweeps, len(time)).all(0)
    out = []
    for step, gaps in zip(recording.steps, missing, strict=True):
        onset = after if step is None else step.onset_ms
        gone = time[gaps.to(time.device) & (time >= onset)]
        out.append((float(gone[0]) if len(gone) else after) - onset)
    return out


def _why_not(step: Step | None, recorded_ms: float, decoder: Decoder) -> str:
    """Why a sweep can not be used; empty if it can."""
    low, high = decoder.window.current_range_pa
    if step is None:
        return "a stimulus that is not a step"
    if step.duration_ms < SHORTEST_STEP_MS - 1e-6:
        return f"steps shorter than {SHORTEST_STEP_MS:.0f} ms"
    if not decoder.window.admits(step.amplitude_pa):
        return f"steps beyond the decoder's {low:.0f} to {high:.0f} pA"
    if recorded_ms < SHORTEST_STEP_MS - 1e-6:
        return f"steps of which less than {SHORTEST_STEP_MS:.0f} ms were recorded without a gap"
    return ""


def _times(recording: Recording, ends: Sequence[float]) -> Tensor:
    """Spike times of every sweep (ms after onset), infinity behind the last, shape ``(sweep, spike)``."""
    rows = []
    for trace in recording.voltage_mv.reshape(-1, recording.n_sweeps, recording.voltage_mv.shape[-1]):
        for v, step, end in zip(trace, recording.steps, ends, strict=True):
            assert step is not None
            spikes = find_spikes(v, recording.time_ms, start_ms=step.onset_ms, stop_ms=step.onset_ms + end)
            peaks = spikes.peak_ms.to(torch.float64)
            rows.append(peaks[torch.isfinite(peaks)] - step.onset_ms)
    width = max(1, max(len(row) for row in rows))
    out = torch.full((len(rows), width), torch.inf, dtype=torch.float64)
    for row, times in zip(out, rows, strict=True):
        row[: len(times)] = times.clamp(min=1e-3)
    return out


def stack(evidences: Sequence[Evidence]) -> Evidence:
    """Evidence of several recordings side by side, padded with sweeps that say nothing.

    A padding sweep has no spike, no feature, and ends so early that silence is certain: its likelihood is one.

    Args:
        evidences: One per recording, with the same summary features.

    Returns:
        Evidence with a leading recording axis.

    Raises:
        UsageError: If the summary features differ.
    """
    names = evidences[0].design.summary_names
    require(
        all(e.design.summary_names == names for e in evidences),
        "evidences",
        f"with the features {names}",
        "others",
        "observe all recordings with one decoder",
    )
    sweeps, width = max(len(e.design) for e in evidences), max(e.times_ms.shape[-1] for e in evidences)
    shape = (len(evidences), sweeps)
    current, end = torch.zeros(shape, dtype=torch.float64), torch.full(shape, 1e-9, dtype=torch.float64)
    times = torch.full((*shape, width), torch.inf, dtype=torch.float64)
    summary = torch.full((*shape, len(names)), torch.nan, dtype=torch.float64)
    for k, e in enumerate(evidences):
        n = len(e.design)
        current[k, :n], end[k, :n] = e.design.current_pa, e.design.end_ms
        times[k, :n, : e.times_ms.shape[-1]], summary[k, :n] = e.times_ms, e.summary
    return Evidence(design=Design(current_pa=current, end_ms=end, summary_names=names), times_ms=times, summary=summary)
