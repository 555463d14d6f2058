"""NP102: did trajectories diverge?

*Caution* when any kept trajectory did, *issue* when more than one in a hundred did: a region of strong curvature was
not explored, and the posterior may lack it. *Passed* without divergences. Not emitted for draws that come from no
trajectory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from noble_prob.findings.base import Finding
from noble_prob.findings.registry import check
from noble_prob.inference.posterior import Posterior

REMEDY = "Draw again with another seed and a longer warm-up; where it stays, the posterior misses a corner."


@check("NP102", "Divergent trajectories", Posterior)
def divergences(result: Posterior, say: Callable[..., Finding]) -> Iterator[Finding]:
    """Counts them."""
    if "diverging" not in result.stats:
        return
    n, total = int(result.stats["diverging"].sum()), result.stats["diverging"].numel()
    if n == 0:
        yield say("passed", f"None of {total} trajectories diverged.", divergences=0, draws=total)
        return
    severity = "issue" if n > 0.01 * total else "caution"
    yield say(severity, f"{n} of {total} trajectories diverged.", REMEDY, divergences=n, draws=total)
