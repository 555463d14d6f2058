"""NP204: does a feature exist as often as it should?

A latency exists only where there is a spike; a width only where the spike repolarises. *Issue* when the share of
rows in which a feature exists is named by the corrected test, after NP201 has found a misfit. Not emitted otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from noble_prob.calibration.result import Calibration, FeatureVerdict
from noble_prob.findings.base import Finding
from noble_prob.findings.registry import check
from noble_prob.findings.words import begun, in_words, listed


@check("NP204", "Definedness of a feature", Calibration)
def defined(result: Calibration, say: Callable[..., Finding]) -> Iterator[Finding]:
    """One finding per set of features that exist in the same wrong share of the rows."""
    n, m = len(result.observed), len(result.ensemble)
    groups: dict[tuple[int, int], list[FeatureVerdict]] = {}
    for item in result.features:
        if result.miscalibrated and item.p_defined <= result.alpha:
            groups.setdefault((item.n, item.m), []).append(item)
    for (seen, drawn), items in groups.items():
        names = begun(listed(in_words(item.name) for item in items))
        yield say(
            "issue",
            f"{names} {'is' if len(items) == 1 else 'are'} defined in {seen} of {n} rows of the experiment, in "
            f"{drawn} of {m} of the ensemble.",
            "Look at the traces in which it is undefined: a missing spike, a depolarisation block, a cut-off sweep.",
            feature=", ".join(item.name for item in items),
            observed_share=seen / n,
            predicted_share=drawn / m,
            p_corrected=min(item.p_defined for item in items),
        )
