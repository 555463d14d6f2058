"""How much of each step was looked at: a step longer than the decoder's is compared up to the end of that alone."""

from __future__ import annotations

from dataclasses import replace

from noble_prob.decoder.base import Decoder
from noble_prob.inference.notes import span
from noble_prob.inference.observe import Observation, observe
from noble_prob.inference.posterior import Posterior
from noble_prob.recording import Recording


def observe_steps(recording: Recording, decoder: Decoder) -> Observation:
    """As :func:`~noble_prob.inference.observe.observe`, with the lengths of the steps (``step_ms``) in its source.

    Args:
        recording: Of one neuron.
        decoder: See there.

    Raises:
        UsageError: See there.
    """
    found = observe(recording, decoder)
    steps = [recording.steps[k] for k in found.sweeps]
    return replace(found, source={**found.source, "step_ms": [round(s.duration_ms, 6) for s in steps if s]})


def looked_at(posterior: Posterior) -> str:
    """``first 400 ms of 1000 ms steps``; empty where every step was looked at to its end, or its length is not known.

    Args:
        posterior: Of one recording.
    """
    steps = posterior.provenance.get("recording", {}).get("step_ms", ())
    if not steps:
        return ""
    ends = posterior.evidence.design.end_ms.tolist()
    part = [(end, step) for end, step in zip(ends, steps, strict=True) if end < step - 1]
    if not part:
        return ""
    few = "" if len(part) == len(ends) else f" ({len(part)} of {len(ends)} sweeps)"
    seen, whole = zip(*part, strict=True)
    return f"first {span(seen)} ms of {span(whole)} ms steps{few}"
