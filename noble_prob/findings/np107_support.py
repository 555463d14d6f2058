"""NP107: is this recording one that the decoder's population could give at all?

The prior predictive answers before any fitting: recordings of these sweeps are drawn from the whole population with
the decoder's error and trial noise, and the real one is placed among them by every feature of every sweep (robust
deviations, summed; no tuning to this recording). *Issue* when it lies further out than 99 % of the draws, or when its
features often do not exist in them, or when the posterior has gone to the outermost 0.5 % of the prior or beyond the
decoder's training data, or when most neurons of the prior lie beyond it: the latents then describe the nearest thing
the decoder knows, not this cell. *Caution* between 95 and 99 %. The features that stand out most are named. *Passed*
otherwise, which is no test of the cell's type: six of six simulated cells of PVALB passed with the decoder of a VIP
cell. Of 220 recordings drawn from the program 2 met the issue and 7 the caution (together 4 %, standard error 1.3). It
sees strange recordings, not a prior that is somewhat wrong: 1 of 5 was at the edge whose spike peak lay 3 to 5 prior
SDs off, and none of 5 that lay twice as far out as the prior's draws in every latent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from noble_prob.calibration.predictive import PredictiveCheck
from noble_prob.calibration.replay import check_posterior
from noble_prob.findings.base import Finding
from noble_prob.findings.registry import check
from noble_prob.findings.standouts import standouts
from noble_prob.inference.belongs import SUPPORT
from noble_prob.inference.posterior import Posterior

OUT, EDGE, MISSING, FAR = 0.01, 0.05, 0.1, 0.005
REMEDY = (
    "Do not read the latents as properties of this cell; use a decoder of its own type, or look at the named features."
)


@check("NP107", SUPPORT, Posterior)
def support(result: Posterior, say: Callable[..., Finding]) -> Iterator[Finding]:
    """Places the recording among prior predictive draws and the posterior among the population."""
    placed = check_posterior(result, prior=True)
    quantile, distance = _median(result, "density_quantile"), _median(result, "support")
    p = _surprise(placed)
    evidence = {
        "p_prior_predictive": p,
        "missing_share": placed.missing,
        "values": placed.n_cells,
        "prior_density_quantile": quantile,
        "support_distance": distance,
    }
    if placed.n_cells == 0 and not placed.missing:
        yield say("not judged", "No feature of this recording is defined.", **evidence)
        return
    named = "; ".join(standouts(placed, "of the population's"))
    where = f": {named}" if named else ""
    reasons = _reasons(p, where, placed.missing, quantile, distance)
    if reasons:
        sentence = f"This recording is outside the decoder's support: {'; '.join(reasons)}."
        yield say("issue", sentence, REMEDY, **evidence)
    elif p <= EDGE:
        yield say("caution", f"This recording is at the edge of the decoder's support{where}.", REMEDY, **evidence)
    else:
        yield say("passed", "Recordings like this one occur in the decoder's population.", **evidence)


def _reasons(p: float, where: str, missing: float, quantile: float, distance: float) -> list[str]:
    """Why a recording is outside: every figure that is beyond its limit, in words."""
    figures = (
        (p <= OUT, f"hardly any recording drawn from the population has such features (p = {p:.2g}){where}"),
        (missing > MISSING, f"{100 * missing:.0f} % of its features hardly occur in such recordings"),
        (quantile < FAR, "the latents that fit it best lie in the outermost 0.5 % of the population"),
        (distance > 1.0, f"its latents lie {distance:.3g} times as far out as the decoder's training data reaches"),
    )
    return [reason for fires, reason in figures if fires]


def _surprise(placed: PredictiveCheck) -> float:
    """The smaller of two p values, doubled: the whole recording, and its most unusual feature (both corrected)."""
    each = [p for p in (placed.p_misfit, *placed.p_feature.tolist()) if np.isfinite(p)]
    return min(1.0, 2 * min(each)) if each else float("nan")


def _median(result: Posterior, name: str) -> float:
    """Median over the posterior of a figure about membership; NaN if it was not recorded."""
    values = result.membership.get(name)
    return float("nan") if values is None else float(values.median())
