"""The predictive check of a :class:`~noble_prob.inference.posterior.Posterior`: its evidence against its draws."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy import ndarray
from torch import Tensor

from noble_prob.calibration.predictive import PredictiveCheck, check_predictive
from noble_prob.features import FEATURES
from noble_prob.inference.posterior import Posterior, Predictive
from noble_prob.noise import Evidence
from noble_prob.recording.step import step_label

TRAIN = {
    "spike_count": "",
    "first_spike_latency_ms": "ms",
    "mean_isi_ms": "ms",
    "isi_cv": "",
    "last_spike_ms": "ms",
}
"""Features of a train of spike times (ms after onset), named as in :data:`FEATURES`, and their units."""


def train_features(times_ms: ndarray) -> ndarray:
    """Features :data:`TRAIN` of spike times padded with infinity or NaN.

    Args:
        times_ms: Shape ``(*batch, spike)``, ms after onset.

    Returns:
        Shape ``(*batch, 5)``; NaN where undefined (latency without spike, intervals with fewer than two or three).
    """
    t = np.where(np.isfinite(times_ms), times_ms, np.nan)
    count = np.isfinite(t).sum(-1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # empty trains are undefined, not zero
        isi = np.diff(t, axis=-1)
        mean = np.nanmean(isi, -1) if isi.shape[-1] else np.full(count.shape, np.nan)
        cv = np.nanstd(isi, -1, ddof=1) / mean if isi.shape[-1] else mean
        first, last = np.nanmin(t, -1), np.nanmax(t, -1)
    return np.stack([count.astype(float), first, mean, np.where(count >= 3, cv, np.nan), last], -1)


def sweep_features(times_ms: Tensor, summary: Tensor, names: Sequence[str]) -> tuple[ndarray, dict[str, str]]:
    """Features of every sweep: those of its train, then those of its summary that are not among them.

    Args:
        times_ms: Spike times padded with infinity or NaN, shape ``(*batch, spike)``, ms after onset.
        summary: Summary features, shape ``(*batch, feature)``.
        names: Of the summary features.

    Returns:
        Values, shape ``(*batch, feature)``, and the unit of each feature by its name.
    """
    kept = [k for k, name in enumerate(names) if name not in TRAIN]
    trains, others = (x.detach().cpu().numpy() for x in (times_ms, summary))
    units = {names[k]: FEATURES[names[k]].unit for k in kept}
    return np.concatenate([train_features(trains), others[..., kept].astype(float)], -1), {**TRAIN, **units}


def check_posterior(
    posterior: Posterior, *, prior: bool = False, alpha: float = 0.05, seed: int = 0
) -> PredictiveCheck:
    """Predictive check of one recording, by sweep and feature.

    Args:
        posterior: With its evidence and predictive draws.
        prior: Whether to compare with the draws of the prior predictive instead of the posterior's.
        alpha: Level of a misfit.
        seed: Of ties.
    """
    return against(posterior.evidence, posterior.prior_predictive if prior else posterior.predictive, alpha, seed)


def against(evidence: Evidence, draws: Predictive, alpha: float, seed: int, *, seen: bool = True) -> PredictiveCheck:
    """Sweeps against predictive draws of the same steps.

    Args:
        evidence: What was observed.
        draws: What was predicted.
        alpha: Level of a misfit.
        seed: Of ties.
        seen: Whether the posterior has seen these sweeps.
    """
    design = evidence.design
    observed, units = sweep_features(evidence.times_ms, evidence.summary, design.summary_names)
    predicted, _ = sweep_features(draws.times_ms, draws.summary, design.summary_names)
    return check_predictive(
        observed,
        predicted,
        names=tuple(units),
        units=tuple(units.values()),
        sweeps=tuple(step_label(a) for a in design.current_pa.tolist()),
        alpha=alpha,
        seed=seed,
        seen=seen,
    )
