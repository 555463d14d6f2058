"""NP111: what did the reader of the file have to choose?

*Caution* when a file left a choice: several voltage channels, electrodes, sweep families or pulses per sweep, series
without a partner or without a stimulus, a bias current that was added, pulses that depart from a prepulse, sweeps that
may begin inside their step, sweeps that no membrane gives (railed, lost, constant), stimuli that begin at other times
than their responses, samples that are missing, a table whose last sweep is shorter than the others; and when a negative
junction potential was given, which raises the voltage. The sentence says what was taken. Not emitted when there was
nothing to choose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from noble_prob.findings.base import Finding
from noble_prob.findings.registry import check
from noble_prob.inference.posterior import Posterior


@check("NP111", "Reading of the file", Posterior)
def choices(result: Posterior, say: Callable[..., Finding]) -> Iterator[Finding]:  # noqa: ARG001
    """Hands on what was noted when the file was read."""
    yield from (note for note in result.notes if note.code == "NP111")
