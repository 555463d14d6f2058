"""What the reader of a posterior should know about its data: sweeps left out, no baseline, choices of a reader."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch

from noble_prob.features.sweeps import BASELINE_MS
from noble_prob.findings.base import Finding
from noble_prob.recording import Recording, Step

HELD_PA = 5.0
"""Holding current beyond which a neuron is not at rest (pA): amplifiers are off by less."""


def told(reasons: Sequence[str], steps: Sequence[Step | None]) -> str:
    """Every reason once, with the range of the steps that it is about."""
    parts = []
    for reason in sorted({r for r in reasons if r}):
        size = [s.amplitude_pa for s, r in zip(steps, reasons, strict=True) if r == reason and s]
        parts.append(reason + (f" ({_span(size)} pA)" if size else ""))
    return "; ".join(parts)


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
        f"{_span(ends_ms.values())} ms into the step.",
        "Nothing, if the rest is enough; features of the end of these steps were left out.",
        sweeps=list(ends_ms),
        until_ms=list(ends_ms.values()),
    )


def read_with_choices(recording: Recording) -> tuple[Finding, ...]:
    """One finding about what the reader of the file chose or left out, if it had to."""
    remarks = [str(remark) for remark in recording.provenance.get("remarks", ())]
    if not remarks:
        return ()
    return (
        Finding(
            code="NP111", title="Reading of the file", severity="caution", sentence=" ".join(remarks),
            evidence={"remarks": remarks},
            remedy="Nothing, if this is what was meant; else choose the channel, the pulse or the file yourself.",
        ),
    )  # fmt: skip


def without_baseline(recording: Recording) -> tuple[Finding, ...]:
    """Up to two findings: sweeps without a sample before the step, and sweeps with gaps there (repeats count each)."""
    absent, gaps, total = 0, [], 0
    for k, step in enumerate(recording.steps):
        if step is not None:
            time = recording.time_ms
            before = (time >= step.onset_ms - BASELINE_MS - 1e-6) & (time < step.onset_ms - 1e-6)
            known = torch.isfinite(recording.voltage_mv[..., k, before.to(recording.voltage_mv.device)])
            known = known.reshape(known.shape[:-1].numel(), known.shape[-1])  # no sample at all: -1 would be unknown
            began = known.cumsum(-1) > 0  # that a recording begins late is no gap
            missing = (began & ~known).sum(-1)
            absent += int((~known.any(-1)).sum())
            gaps += missing[missing > 0].tolist()
            total += len(known)
    return (*_absent(absent, total), *_gaps(gaps, total))


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
        f"In {len(samples)} of {total} sweeps {_span(samples)} of the samples before the step are "
        "missing: the resting voltage is the mean of the others.",
        "Nothing, if the gap is short; see that it hides no drift or artefact.",
        missing_before_step=list(samples),
    )


def held(recording: Recording) -> tuple[Finding, ...]:
    """One finding about sweeps whose neuron was not at rest before the step, if any were."""
    current = {k: s.holding_pa for k, s in enumerate(recording.steps) if s and abs(s.holding_pa) > HELD_PA}
    if not current:
        return ()
    return _caution(
        f"{len(current)} of {recording.n_sweeps} sweeps were recorded under a holding current of "
        f"{_span(current.values())} pA; the decoder knows steps from rest, so the neuron inferred is one "
        "that rests where this one was held.",
        "Record without holding current, or do not read the resting voltage as the neuron's own.",
        holding_pa=list(current.values()),
    )


def _caution(sentence: str, remedy: str, **evidence: object) -> tuple[Finding, ...]:
    """A finding about what was used of a recording."""
    return (
        Finding(code="NP110", title="Use of the sweeps", severity="caution", sentence=sentence, remedy=remedy,
                evidence=evidence),
    )  # fmt: skip


def _span(values: Collection[float]) -> str:
    """Smallest and largest value, once where they are the same."""
    low, high = f"{min(values):.0f}", f"{max(values):.0f}"
    return low if low == high else f"{low} to {high}"
