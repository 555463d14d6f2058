"""NP205: what could not be judged, and why?

*Not judged* for every feature that is undefined, or does not vary, in experiment or ensemble: its spread has no
ratio. Silent when every feature was judged. Silence of other checks about such a feature is no pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from noble_prob.calibration.result import Calibration
from noble_prob.findings.base import Finding
from noble_prob.findings.registry import check


@check("NP205", "Features not judged", Calibration)
def unjudged(result: Calibration, say: Callable[..., Finding]) -> Iterator[Finding]:
    """One finding for all of them."""
    reasons = dict(result.skipped)
    for item in result.features:
        if item.severity == "not judged":
            reasons[item.name] = item.sentence.split(": ", 1)[1].rstrip(".")
    if reasons:
        listed = "; ".join(reason if name in reason else f"{name}: {reason}" for name, reason in reasons.items())
        yield say("not judged", f"{len(reasons)} features could not be judged: {listed}.",
                  "Give more rows, or a stimulus that defines them.", features=list(reasons))  # fmt: skip
