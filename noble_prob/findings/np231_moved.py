"""NP231: can the neurons with moved latents be?

*Caution* when the move made neurons that can not be (a duration, a sag or the height of a spike below zero), or put a
tenth or more of them beyond the decoder's support that were inside: their responses are then not to be trusted.
*Passed* otherwise. Always emitted where latents were moved (`--recalibrate widen` or `both`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from noble_prob.examination.moved import Move
from noble_prob.findings.base import Finding
from noble_prob.findings.registry import check
from noble_prob.findings.words import in_words, listed

REMEDY = "Leave out the neurons that can not be, and take no voltage of one beyond the support for granted."
MANY = 0.1
"""Share of the neurons that a move may put beyond the decoder's support."""


@check("NP231", "Moved neurons", Move)
def moved(result: Move, say: Callable[..., Finding]) -> Iterator[Finding]:
    """One finding."""
    evidence = {
        "n": result.n,
        "impossible": result.impossible,
        "below_zero": dict(result.below_zero),
        "beyond": result.beyond,
        "beyond_before": result.beyond_before,
    }
    told = []
    if result.impossible:
        each = listed(f"{in_words(name)} in {count}" for name, count in result.below_zero.items())
        told.append(f"{result.impossible} of {result.n} moved neurons can not be (below zero: {each})")
    if result.beyond - result.beyond_before >= MANY * result.n:
        told.append(
            f"{result.beyond} of {result.n} lie beyond the decoder's support, before the move {result.beyond_before}"
        )
    if told:
        yield say("caution", f"{'; '.join(told)}.", REMEDY, **evidence)
    else:
        yield say(
            "passed",
            f"None of the {result.n} moved neurons has a value below zero that can not be, and {result.beyond} lie "
            f"beyond the decoder's support (before the move {result.beyond_before}).",
            **evidence,
        )
