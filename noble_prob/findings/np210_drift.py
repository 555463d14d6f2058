"""NP210: do the repeats drift?

*Caution* for every feature whose successive repeats are more alike than its repeats in random order (corrected over
features, 5 %): its SD over the session is then not trial-to-trial jitter. *Not judged* with fewer than six repeats
in a row, where no order is remarkable enough. Not emitted otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from noble_prob.calibration.pooling import Drift
from noble_prob.findings.base import Finding
from noble_prob.findings.registry import check

FEWEST = 6


@check("NP210", "Drift over repeats", Drift)
def drift(result: Drift, say: Callable[..., Finding]) -> Iterator[Finding]:
    """One finding per drifting feature, or one that says it could not be seen."""
    if result.n.max(initial=0) < FEWEST:
        yield say(
            "not judged",
            f"Drift can not be told from jitter with {int(result.n.max(initial=0))} repeats.",
            f"Record at least {FEWEST} repeats.",
            n=int(result.n.max(initial=0)),
        )
        return
    for k, name in enumerate(result.names):
        if result.p_value[k] <= 0.05:
            unit = f" {result.units[k]}" if result.units[k] else ""
            yield say(
                "caution",
                f"{name} drifts: {100 * result.drift_share[k]:.0f} % of its variance over {int(result.n[k])} "
                "repeats is slow; "
                f"the jitter of successive repeats is {result.jitter_sd[k]:.3g}{unit}, the total SD "
                f"{result.total_sd[k]:.3g}{unit}.",
                "Judge the ensemble against the jitter, or detrend the session first.",
                feature=name,
                jitter_sd=float(result.jitter_sd[k]),
                total_sd=float(result.total_sd[k]),
                drift_share=float(result.drift_share[k]),
                p_corrected=float(result.p_value[k]),
                n=int(result.n[k]),
            )
