"""What the reader of a posterior should know about its data: sweeps left out, no baseline, choices of a reader."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch

from noble_prob.features.rest import Window, plain_window, rest_windows
from noble_prob.findings.base import Finding
from noble_prob.recording import Recording, Step
from noble_prob.recording.step import SHORTEST_STEP_MS

HELD_PA = 5.0
"""Holding current beyond which a neuron is not at rest (pA): amplifiers are off by less."""

THRESHOLD_MV = -20.0
"""Voltage that a spike exceeds (mV)."""


MISSED_MS = 0.2525
"""Sampling interval beyond which a brief spike may leave no sample above threshold (ms)."""


def told(reasons: Sequence[str], steps: Sequence[Step | None]) -> str:
    """Every reason once, with the range of the steps that it is about."""
    parts = []
    for reason in sorted({r for r in reasons if r}):
        size = [s.amplitude_pa for s, r in zip(steps, reasons, strict=True) if r == reason and s]
        parts.append(reason + (f" ({span(size)} pA)" if size else ""))
    return "; ".join(parts)


def remedy(recording: Recording, range_pa: tuple[float, float]) -> str:
    """What to do about a recording without a usable step: read another pulse, if its file has one that is usable.

    Args:
        recording: Its provenance names the pulses of its file.
        range_pa: Lowest and highest current of the decoder (pA).
    """
    kept = {sweep.get("pulse") for sweep in recording.provenance.get("sweeps", ())}
    for pulse in recording.provenance.get("pulses", ()):
        low, high = pulse["amplitude_pa"]
        inside = high >= range_pa[0] and low <= range_pa[1] and pulse["duration_ms"] >= SHORTEST_STEP_MS
        if inside and pulse["number"] not in kept:
            return (
                f"read the pulse of {span((low, high))} pA for {pulse['duration_ms']:.0f} ms by "
                f"`--pulse {pulse['number']}`, or record longer steps"
            )
    return "record longer steps or use another decoder"


def left_out(reasons: Sequence[str], steps: Sequence[Step | None]) -> tuple[Finding, ...]:
    """One finding about the sweeps left out, if any were."""
    dropped = {k: reason for k, reason in enumerate(reasons) if reason}
    if not dropped:
        return ()
    return _caution(
        f"{len(dropped)} of {len(reasons)} sweeps were not used: {told(reasons, steps)}.",
        "Nothing, if the rest is enough; the decoder answers steps within its range of currents only.",
        sweeps=list(dropped),
        reasons=list(dropped.values()),
    )


def cut_short(ends_ms: Mapping[int, float], n_sweeps: int) -> tuple[Finding, ...]:
    """One finding about the sweeps that were looked at in part, if any were."""
    if not ends_ms:
        return ()
    return _caution(
        f"{len(ends_ms)} of {n_sweeps} sweeps were used only until the recording ends or has a gap, "
        f"{span(ends_ms.values())} ms into the step.",
        "Nothing, if the rest is enough; features of the end of these steps were left out.",
        sweeps=list(ends_ms),
        until_ms=list(ends_ms.values()),
    )


def coarse(dt_ms: float) -> tuple[Finding, ...]:
    """One finding about spikes whose shape was left out because samples are too far apart.

    Args:
        dt_ms: Sampling interval (ms).
    """
    missed = " Below 4 kHz spikes themselves are missed." if dt_ms > MISSED_MS else ""
    return _caution(
        f"The recording was sampled at {1 / dt_ms:.3g} kHz: the peak, trough and width of a spike can not be told from "
        f"less than 10 kHz and were left out.{missed}",
        "Export the recording without decimation, or record at 16 kHz or more; what the posterior says of the shape of "
        "spikes comes from the prior.",
        dt_ms=dt_ms,
    )


def read_with_choices(recording: Recording) -> tuple[Finding, ...]:
    """One finding about what the reader of the file chose or left out, if it had to."""
    remarks = [str(remark) for remark in recording.provenance.get("remarks", ())]
    if not remarks:
        return ()
    return (
        Finding(
            code="NP111",
            title="Reading of the file",
            severity="caution",
            sentence=" ".join(remarks),
            evidence={"remarks": remarks},
            remedy="Nothing, if this is what was meant; else choose the channel, the pulse or the file yourself.",
        ),
    )


def without_baseline(recording: Recording) -> tuple[Finding, ...]:
    """Findings on the resting voltage: nothing recorded, gaps, pulses of current or spikes before the step.

    Args:
        recording: Repeats count as sweeps of their own.
    """
    absent, gaps, fired, total = 0, [], 0, 0
    moved: list[Window | None] = []
    time, device = recording.time_ms, recording.voltage_mv.device
    for k, (step, rest) in enumerate(zip(recording.steps, rest_windows(recording), strict=True)):
        if step is not None:
            start, stop = rest or plain_window(recording, step)
            before = (time >= start - 1e-6) & (time < stop - 1e-6)
            voltage = recording.voltage_mv[..., k, before.to(device)]
            voltage = voltage.reshape(voltage.shape[:-1].numel(), voltage.shape[-1])  # none at all: -1 is unknown
            known = torch.isfinite(voltage)
            began = known.cumsum(-1) > 0  # that a recording begins late is no gap
            missing = (began & ~known).sum(-1)
            absent += int((~known.any(-1)).sum())
            gaps += missing[missing > 0].tolist()
            total += len(known)
            fired += int((voltage > THRESHOLD_MV).any(-1).sum()) if rest else 0
            if rest != plain_window(recording, step):
                moved += [rest and (step.onset_ms - rest[0], step.onset_ms - rest[1])] * len(known)
    return (*_absent(absent, total), *_gaps(gaps, total), *_moved(moved, total), *_fired(fired, total))


def _absent(n: int, total: int) -> tuple[Finding, ...]:
    if not n:
        return ()
    return _caution(
        f"In {n} of {total} sweeps nothing was recorded before the step: their resting voltage, and what "
        "is measured from it, were left out.",
        "Export the sweeps from some 100 ms before the step on.",
        without_baseline=n,
    )


def _gaps(samples: Sequence[int], total: int) -> tuple[Finding, ...]:
    if not samples:
        return ()
    return _caution(
        f"In {len(samples)} of {total} sweeps {span(samples)} of the samples before the step are "
        "missing: the resting voltage is the mean of the others.",
        "Nothing, if the gap is short; see that it hides no drift or artefact.",
        missing_before_step=list(samples),
    )


def _moved(before_ms: Sequence[Window | None], total: int) -> tuple[Finding, ...]:
    """Of sweeps in which pulses precede the step: from and until when before it the rest was looked for."""
    lost, found = sum(window is None for window in before_ms), [window for window in before_ms if window]
    sentences = []
    if found:
        first, last = (span([window[k] for window in found]) for k in (0, 1))
        sentences.append(
            f"In {len(found)} of {total} sweeps a pulse of current precedes the step: their resting voltage is the "
            f"mean of the samples from {first} ms until {last} ms before the step, where the neuron was at rest."
        )
    if lost:
        sentences.append(
            f"In {lost} of {total} sweeps the current left its holding level shortly before the step, so that no 20 ms "
            "at rest are left: their resting voltage, and what is measured from it, were left out."
        )
    remedy = "Nothing, if this is what was meant; leave 200 ms between a test pulse and the step when you record."
    return tuple(note for text in sentences for note in _caution(text, remedy, pulses_before_step=list(before_ms)))


def _fired(n: int, total: int) -> tuple[Finding, ...]:
    if not n:
        return ()
    return _caution(
        f"In {n} of {total} sweeps the neuron fired before the step: their resting voltage, and what is measured from "
        "it (deflection, input resistance, time constants), were left out; a neuron that fires by itself is not at "
        "rest there, as those of the decoder are.",
        "Nothing, if the other sweeps are enough; do not read the resting voltage as that of a silent neuron.",
        fired_before_step=n,
    )


def held(recording: Recording) -> tuple[Finding, ...]:
    """One finding about sweeps whose neuron was not at rest before the step, if any were."""
    current = {k: s.holding_pa for k, s in enumerate(recording.steps) if s and abs(s.holding_pa) > HELD_PA}
    if not current:
        return ()
    return _caution(
        f"{len(current)} of {recording.n_sweeps} sweeps were recorded under a holding current of "
        f"{span(current.values())} pA; the decoder knows steps from rest, so the neuron inferred is one "
        "that rests where this one was held.",
        "Record without holding current, or do not read the resting voltage as the neuron's own.",
        holding_pa=list(current.values()),
    )


def _caution(sentence: str, remedy: str, **evidence: object) -> tuple[Finding, ...]:
    """A finding about what was used of a recording."""
    return (
        Finding(
            code="NP110",
            title="Use of the sweeps",
            severity="caution",
            sentence=sentence,
            remedy=remedy,
            evidence=evidence,
        ),
    )


def span(values: Collection[float]) -> str:
    """Smallest and largest value, once where they are the same."""
    low, high = f"{min(values):.0f}", f"{max(values):.0f}"
    return low if low == high else f"{low} to {high}"
