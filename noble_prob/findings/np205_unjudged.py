"""NP205: what could not be judged, and why?

*Not judged* for every feature that is undefined, or does not vary, in experiment or ensemble: its spread has no
ratio; and, in a sentence of their own, for those whose spread alone, off by two, would have been missed too often.
Another sentence names the columns that only one of the two tables has, which were left out of the comparison; where the
ensemble is a cell's, the remedy names what they may have been meant as. A last one names columns that number the rows,
which are no features. Not emitted when every feature was judged. That other checks emit nothing about such a feature is
no pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from noble_prob.calibration.matching import nearest
from noble_prob.calibration.result import Calibration
from noble_prob.calibration.wording import percent
from noble_prob.errors import listed
from noble_prob.examination.columns import NUMBERS
from noble_prob.findings.base import Finding
from noble_prob.findings.registry import check
from noble_prob.findings.words import in_words


@check("NP205", "Features not judged", Calibration)
def unjudged(result: Calibration, say: Callable[..., Finding]) -> Iterator[Finding]:
    """At most one finding of each kind."""
    yield from _not_comparable(result, say)
    yield from _too_weak(result, say)
    yield from _alone(result, say)
    yield from _running(result, say)


def _alone(result: Calibration, say: Callable[..., Finding]) -> Iterator[Finding]:
    """Columns that one table has and the other has not."""
    if result.offered:
        yield from _unnamed(result, say)
        return
    told = []
    for which, source in (("first", result.observed.source), ("second", result.ensemble.source)):
        names = [name for name, owner in result.left_out.items() if owner == which]
        if names:
            told.append(f"only the {which} table ({source}) has numbers for {listed(names, 12)}")
    if told:
        yield say(
            "not judged",
            f"Columns left out of the comparison: {'; '.join(told)}.",
            "Give a feature the same name in both tables if both have it.",
            left_out=dict(result.left_out),
        )


def _unnamed(result: Calibration, say: Callable[..., Finding]) -> Iterator[Finding]:
    """Columns of the only table that the ensemble has no name for, and what they may have been meant as."""
    names = [name for name, owner in result.left_out.items() if owner == "first"]
    if names:
        free = [name for name in result.offered if name not in result.observed.names]
        meant = {name: near for name in names if (near := nearest(name, free))}
        rename = ", ".join(f"{name} ({near}?)" for name, near in meant.items())
        yield say(
            "not judged",
            f"Columns left out of the comparison, for the ensemble has none of the name: {listed(names, 12)}.",
            f"Rename{f': {rename}' if rename else ' them'}. The ensemble has "
            f"{listed(free, 6)}; more in noble_prob.features.FEATURES.",
            left_out=dict(result.left_out),
            meant=meant,
        )


def _running(result: Calibration, say: Callable[..., Finding]) -> Iterator[Finding]:
    """Columns that number the rows."""
    names = [name for name, reason in result.skipped.items() if reason == NUMBERS]
    if names:
        yield say(
            "not judged",
            f"Columns left out of the comparison, for they number the rows: {listed(names, 12)}.",
            "Nothing, if so; else head the column as the feature it is, with its unit.",
            numbers=names,
        )


def _not_comparable(result: Calibration, say: Callable[..., Finding]) -> Iterator[Finding]:
    """Features whose spread has no ratio."""
    reasons = {name: reason for name, reason in result.skipped.items() if reason != NUMBERS}
    for item in result.features:
        if item.severity == "not judged" and not np.isfinite(item.sd_ratio):
            reasons[item.name] = item.sentence.split(": ", 1)[1].rstrip(".")
    if reasons:
        listed = "; ".join(
            reason if name in reason else f"{in_words(name)}: {reason}" for name, reason in reasons.items()
        )
        count = f"{len(reasons)} feature{'s' if len(reasons) > 1 else ''}"
        yield say(
            "not judged",
            f"{count} could not be judged: {listed}.",
            "Give more rows, or a stimulus that defines them.",
            features=list(reasons),
        )


def _too_weak(result: Calibration, say: Callable[..., Finding]) -> Iterator[Finding]:
    """Features that too few rows judge alone."""
    weak = [item for item in result.features if item.severity == "not judged" and np.isfinite(item.sd_ratio)]
    if weak:
        most = max(np.nan_to_num([item.power_narrow, item.power_wide]).min() for item in weak)
        yield say(
            "not judged",
            f"Too few rows to judge each of these features alone (power at most {percent(most)}): "
            f"{', '.join(in_words(item.name) for item in weak)}.",
            "Give more rows; the joint verdict (NP201) still holds.",
            features=[item.name for item in weak],
            power=float(most),
        )
