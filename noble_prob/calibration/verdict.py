"""One verdict from many statistics: 3 % false alarms, whatever the number of features and however they hang together.

The rows of experiment and ensemble are relabelled at random. If the experiment's rows are further members of the
ensemble, every relabelling was as likely as the true one, so the rank of a statistic among its relabelled values is
an exact p value (Fisher's permutation test), for any distribution, correlation, size and pattern of gaps.

1. *Joint* questions: the spread of all features, the largest spread misfit of any feature, location, definedness.
   Their p values, divided by their share of the level, are combined by their minimum, whose own distribution comes
   from the same relabellings (Westfall and Young, 1993). This one number decides: the level of the whole report is
   ``alpha``.
2. Only after it has fallen are features *named*: those whose own misfit exceeds what the largest misfit of any feature
   reaches in all but a share ``alpha`` of the relabellings (single-step maxT).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from noble_prob.calibration.contrast import Contrast, contrast, scale

LEVEL = 0.03
"""Share of right ensembles that are called wrong; the test is exact, so a promise of "at most 5 %" that shall also
hold in a count over some hundred calibrations needs a margin."""
QUESTIONS = ("joint_spread", "any_spread", "location", "defined")
"""The joint questions, in order."""
WEIGHTS = np.array([0.5, 0.15, 0.25, 0.1])
"""Share of the level that each question gets: a calibration is about spread first."""
SMALLEST_LEVEL = 0.001
"""Below it the pseudo-experiments that the power comes from would have to be more."""

_TIES = int(sum(np.floor(WEIGHTS / WEIGHTS.min() + 1e-9)))
"""Relabellings that rank first enough in some question to tie with a truth that ranks first in the lightest one."""


def fewest_relabellings(alpha: float) -> int:
    """Relabellings with which a truth beyond all of them, in whichever question, has a p value of ``alpha`` at most.

    Args:
        alpha: Level of the test.
    """
    return math.ceil(_TIES / alpha - 1e-9) - 1


@dataclass(frozen=True, kw_only=True)
class Test:
    """Outcome of the relabelling test.

    Attributes:
        p_value: Of the whole comparison.
        p_question: Of each of :data:`QUESTIONS`, not corrected, shape ``(4,)``.
        p_spread: Corrected over features, NaN where not testable, shape ``(feature,)``.
        p_location: Corrected over features, shape ``(feature,)``.
        p_defined: Corrected over features, shape ``(feature,)``.
    """

    __test__ = False  # not a test for pytest

    p_value: float
    p_question: Float[ndarray, " question"]
    p_spread: Float[ndarray, " feature"]
    p_location: Float[ndarray, " feature"]
    p_defined: Float[ndarray, " feature"]


def relabel_test(
    observed: Float[ndarray, "n feature"],
    ensemble: Float[ndarray, "m feature"],
    *,
    permutations: int = 1999,
    seed: int | np.random.Generator = 0,
    fitted_to: int | None = None,
) -> Test:
    """Could the observed rows be further members of the ensemble?

    Args:
        observed: Rows of the experiment, NaN where undefined.
        ensemble: Rows of the ensemble.
        fitted_to: Rows of the same kind from which the ensemble's mean was estimated, if it was: see :func:`allow`.
        permutations: Random relabellings, see :func:`fewest_relabellings`.
        seed: Of the relabellings.
    """
    rng = np.random.default_rng(seed)
    n, rows = len(observed), len(observed) + len(ensemble)
    member = np.zeros((permutations + 1, rows))
    member[0, :n] = 1
    chosen = np.argpartition(rng.random((permutations, rows)), n - 1, axis=1)[:, :n]
    np.put_along_axis(member[1:], chosen, 1.0, axis=1)
    found = contrast(scale(np.concatenate([observed, ensemble])), member)
    return decide(found if fitted_to is None else allow(found, n, len(ensemble), fitted_to))


def allow(c: Contrast, n: int, m: int, fitted_to: int) -> Contrast:
    """The true labelling's distance of means, shrunk to what relabelled rows show.

    All rows of a fitted ensemble share the error of its mean, which relabelling does not know: instead of ``1/n + 1/m``
    the squared distance has the variance ``1/n + 1/m + 1/fitted_to`` (in squared SDs). Spreads are left as they are.
    """
    factor = allowance(n, m, fitted_to)
    location, joint = c.location.copy(), c.joint_location.copy()
    location[0] /= factor**0.5
    joint[0] /= factor
    return replace(c, location=location, joint_location=joint)


def allowance(n: int, m: int, fitted_to: int) -> float:
    """By how much the squared distance of means grows if that of ``m`` rows was estimated from other ``fitted_to``."""
    return 1 + (1 / fitted_to) / (1 / n + 1 / m)


def decide(c: Contrast) -> Test:
    """Combine statistics whose first row is the truth and whose others are relabellings."""
    z = standardise(c, slice(None))
    p = p_values(questions(z), slice(None))
    smallest = (p / WEIGHTS).min(-1)
    return Test(
        p_value=float((smallest <= smallest[0] + 1e-12).mean()),
        p_question=p[0],
        p_spread=_max_t(z.spread),
        p_location=_max_t(z.location),
        p_defined=_max_t(z.defined),
    )


def standardise(c: Contrast, reference: slice) -> Contrast:
    """Centre and scale each statistic by the rows that show chance alone, so that features can be compared."""
    return Contrast(
        spread=_standard(c.spread, reference),
        location=_standard(c.location, reference),
        defined=_standard(c.defined, reference),
        joint_spread=_standard(c.joint_spread[:, None], reference)[:, 0],
        joint_location=c.joint_location,
    )


def questions(z: Contrast) -> Float[ndarray, "relabelling question"]:
    """One number per row and joint question, large where it is misfit."""
    return np.stack([np.abs(z.joint_spread), largest(z.spread), z.joint_location, largest(z.defined)], -1)


def p_values(statistic: Float[ndarray, "row question"], reference: slice) -> Float[ndarray, "row question"]:
    """Share of the reference rows whose statistic is at least as large, for every row and question."""
    out = np.empty_like(statistic)
    for k, column in enumerate(statistic.T):
        ordered = np.sort(column[reference])
        out[:, k] = 1.0 - np.searchsorted(ordered, column - 1e-9, side="left") / len(ordered)
    return out


def largest(z: Float[ndarray, "row feature"]) -> Float[ndarray, " row"]:
    """Largest absolute value over features, 0 where none is defined."""
    return np.abs(np.nan_to_num(z)).max(-1)


def _standard(statistic: ndarray, reference: slice) -> ndarray:
    """Each column centred and scaled by its reference rows; columns without any value stay NaN."""
    out = np.full_like(statistic, np.nan)
    known = np.isfinite(statistic[reference]).any(0)
    chance = statistic[reference][:, known]
    spread = np.nanstd(chance, axis=0)
    out[:, known] = (statistic[:, known] - np.nanmean(chance, axis=0)) / np.where(spread > 0, spread, 1.0)
    return out


def _max_t(z: ndarray) -> ndarray:
    """Corrected p value of each feature: how often the largest misfit of any feature is at least as large."""
    p = (largest(z)[:, None] >= np.abs(z[0]) - 1e-9).mean(0)
    return np.where(np.isfinite(z[0]), p, np.nan)
