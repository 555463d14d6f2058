"""NP110: were all sweeps used, whole and from rest?

*Caution* when some sweeps of the recording could not be used: no step, a step shorter than 100 ms, or a current
beyond the decoder's; when some were used in part, until the file ends or samples are missing; when nothing was
recorded before a step, or with gaps; when a pulse of current precedes a step, or the neuron fires before it; when the
recording was sampled below 10 kHz, so that the shape of its spikes was left out; and when the neuron was held by a
current of more than 5 pA, for the decoder knows responses from rest. The finding itself is made while the recording is
read for inference and passed on here. Not emitted when all were used whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from noble_prob.findings.base import Finding
from noble_prob.findings.registry import check
from noble_prob.inference.posterior import Posterior


@check("NP110", "Use of the sweeps", Posterior)
def left_out(result: Posterior, say: Callable[..., Finding]) -> Iterator[Finding]:  # noqa: ARG001
    """Hands on the notes that were taken at input."""
    yield from (note for note in result.notes if note.code != "NP111")
