"""Features against current: the recording among predictive draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from noble_prob.calibration.predictive import PredictiveCheck
from noble_prob.findings.base import Finding
from noble_prob.inference import Posterior
from noble_prob.report.panels import FiPanel
from noble_prob.report.plain import label

RATE = "spike_count"
"""Feature that is drawn as a rate, spikes per second of what was looked at of each step."""
FIRST = (RATE, "first_spike_latency_ms", "mean_isi_ms", "isi_cv")
"""Features drawn first; others follow."""
MOST = 0.5
"""Share of draws that must have a feature where the recording has not: a few strange draws would set the axis."""


def predictive_curves(check: PredictiveCheck, posterior: Posterior, findings: Sequence[Finding]) -> tuple[FiPanel, ...]:
    """One curve per feature that is defined somewhere, the rate first.

    Args:
        check: From ``check_posterior``.
        posterior: The posterior it is about.
        findings: Of the check: a curve gets the badge of the finding about its feature.
    """
    design = posterior.evidence.design
    current, seconds = design.current_pa.cpu().numpy(), design.end_ms.cpu().numpy() / 1000.0
    total, n = posterior.latents.shape[:2].numel(), len(check.draws)
    members = f"of {total} posterior draws" if total > n else "posterior draws"
    badges = {f.evidence["feature"]: f.severity for f in findings if f.code == "NP221"}
    curves = []
    for name in [*(n for n in FIRST if n in check.names), *(n for n in check.names if n not in FIRST)]:
        k = check.names.index(name)
        rate = name == RATE
        curves.append(
            FiPanel(
                name=name,
                title="f-I curve" if rate else "",
                ylabel="mean rate (Hz)" if rate else label(name, check.units[k]),
                n_members=n,
                members=members,
                level="Posterior predictive check",
                severity=badges.get(name, ""),
                **_against(check, current, k, seconds if rate else np.ones_like(seconds)),
            )
        )
    return tuple(curve for curve in curves if len(np.asarray(curve.current_pa)))


def _against(check: PredictiveCheck, current: np.ndarray, k: int, per: np.ndarray) -> dict[str, Any]:
    """Median, bands and recorded points of one feature, divided by a number per sweep."""
    share, seen = check.share_defined[:, k], check.observed[:, k] / per
    some = (share > MOST) | (np.isfinite(seen) & (share > 0))
    order = np.flatnonzero(some)[np.argsort(current[some], kind="stable")]
    middle, half, most = ([end[order, k] / per[order] for end in check.band(p)] for p in (0.0, 0.5, 0.89))
    points = np.array([(current[s], seen[s]) for s in range(len(current)) if np.isfinite(seen[s])]).reshape(-1, 2)
    return {
        "current_pa": current[order],
        "median": middle[0],
        "bands": {0.5: tuple(half), 0.89: tuple(most)},
        "observed": points,
        "log": check.units[k] == "ms" and _spans(np.concatenate([*most, points[:, 1]])),
    }


def _spans(values: np.ndarray) -> bool:
    """Whether positive values differ so much that a plain axis would show the largest alone."""
    known = values[np.isfinite(values)]
    return len(known) > 0 and bool(known.min() > 0) and bool(known.max() > 3 * known.min())
