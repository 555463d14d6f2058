"""NP230: could the prior ensemble be moved to the population, and what is left of it?

*Issue* when no weights reproduce the population's means and SDs: the ensemble does not reach it. *Caution* when they
do but the effective sample size falls below a tenth of the ensemble or below 20. *Passed* otherwise. Always emitted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from noble_prob.calibration.recalibrate import Recalibration
from noble_prob.findings.base import Finding
from noble_prob.findings.registry import check


@check("NP230", "Recalibrated prior", Recalibration)
def recalibration(result: Recalibration, say: Callable[..., Finding]) -> Iterator[Finding]:
    """One finding."""
    share = f"effective sample size {result.ess:.1f} of {result.n}"
    evidence = {"ess": result.ess, "n": result.n, "features": list(result.names), "reached": result.reached}
    off = np.maximum(
        np.abs(result.after_mean - result.target_mean), np.abs(result.after_sd - result.target_sd)
    ) / np.where(result.target_sd > 0, result.target_sd, 1.0)
    if not result.reached:
        worst = int(np.argmax(off))
        yield say(
            "issue",
            f"No weights bring the ensemble to the population ({share}); {result.names[worst]} stays {off[worst]:.1f} "
            "population SDs off in mean or spread.",
            "Widen the prior, or fit models to more cells of the type.",
            worst=result.names[worst],
            **evidence,
        )
    elif result.ess < max(0.1 * result.n, 20):
        yield say(
            "caution",
            f"The reweighted ensemble matches the population, but rests on few neurons: {share}.",
            "Draw more neurons, or widen the prior instead of reweighting it.",
            **evidence,
        )
    else:
        yield say("passed", f"The reweighted ensemble has the population's means and SDs ({share}).", **evidence)
