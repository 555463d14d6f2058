"""NP201: does the ensemble match the experiment, all features together?

*Issue* when the relabelling test rejects at its level: 3 % of right ensembles do. *Passed* when it does not
and a spread off by two in either direction would have been caught with probability 80 % or more; that means agree is
said only if one off by one SD in a single feature would have been caught as often, and else that they are not
contradicted. *Not judged* when it does not reject but the test is weaker than that about spreads, or when there are
fewer than two rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from noble_prob.calibration.result import Calibration
from noble_prob.findings.base import Finding
from noble_prob.findings.registry import check

REMEDY = {
    "trial": "Fit the trial model to these repeats (nb.fit_trials), or report the ensemble's spread as uncalibrated.",
    "neuron": "Recalibrate the prior to this population, or report the ensemble as one of its own models.",
    "draw": "Look at the features named below.",
}
RECALIBRATED = "Report the ensemble as one of its own models: moving means and SDs did not make it match."


@check("NP201", "Ensemble against experiment", Calibration)
def match(result: Calibration, say: Callable[..., Finding]) -> Iterator[Finding]:
    """The verdict of the whole comparison, with its power."""
    more = {"trial": "Record more repeats.", "neuron": "Measure more cells.", "draw": "Record more sweeps."}
    remedy = REMEDY[result.level] if result.severity == "issue" else ""
    if remedy and result.recalibrated:
        remedy = RECALIBRATED
    if result.severity == "not judged":
        remedy = more[result.level]
    yield say(
        result.severity,
        f"{result.sentence} {result.power_sentence}",
        remedy,
        level=result.level,
        n=len(result.observed),
        ensemble=len(result.ensemble),
        p_value=result.p_value,
        alpha=result.alpha,
        power_narrow=result.power_narrow,
        power_wide=result.power_wide,
        power_shift=result.power_shift,
        energy_ratio=result.energy_ratio,
        **{f"p_{k}": v for k, v in result.p_question.items()},
    )
