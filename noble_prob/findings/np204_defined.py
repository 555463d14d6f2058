"""NP204: does a feature exist as often as it should?

A latency exists only where there is a spike; a width only where the spike repolarises. *Issue* when the share of
rows in which a feature exists is named by the corrected test, after NP201 has fallen. Silent otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from noble_prob.calibration.result import Calibration
from noble_prob.findings.base import Finding
from noble_prob.findings.registry import check


@check("NP204", "Definedness of a feature", Calibration)
def defined(result: Calibration, say: Callable[..., Finding]) -> Iterator[Finding]:
    """One finding per feature that exists too often or too rarely."""
    n, m = len(result.observed), len(result.ensemble)
    for item in result.features:
        if result.miscalibrated and item.p_defined <= result.alpha:
            yield say(
                "issue",
                f"{item.name} is defined in {item.n} of {n} rows of the experiment, in {item.m} of {m} of the "
                "ensemble.",
                "Look at the traces in which it is undefined: a missing spike, a depolarisation block, a cut-off "
                "sweep.",
                feature=item.name, observed_share=item.n / n, predicted_share=item.m / m, p_corrected=item.p_defined,
            )  # fmt: skip
