"""The predictive check of a :class:`~noble_prob.inference.posterior.Posterior`: its evidence against its draws."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from numpy import ndarray

from noble_prob.calibration.predictive import PredictiveCheck, check_predictive
from noble_prob.features import FEATURES
from noble_prob.inference.posterior import Posterior

TRAIN = {"spike_count": "", "first_spike_ms": "ms", "mean_isi_ms": "ms", "isi_cv": "", "last_spike_ms": "ms"}
"""Features of a train of spike times (ms after onset) and their units."""


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


def check_posterior(posterior: Posterior, *, alpha: float = 0.05, seed: int = 0) -> PredictiveCheck:
    """Posterior predictive check of one recording, by sweep and feature.

    Args:
        posterior: With its evidence and predictive draws.
        alpha: Level of a misfit.
        seed: Of ties.
    """
    evidence, predictive = posterior.evidence, posterior.predictive
    summary = evidence.design.summary_names
    kept = [k for k, name in enumerate(summary) if name not in TRAIN]

    def table(times: torch.Tensor, values: torch.Tensor) -> ndarray:
        rest = values.detach().cpu().numpy().astype(float)[..., kept]
        return np.concatenate([train_features(times.detach().cpu().numpy()), rest], -1)

    units = ["" if FEATURES[summary[k]].unit == "1" else FEATURES[summary[k]].unit for k in kept]
    return check_predictive(
        table(evidence.times_ms, evidence.summary), table(predictive.times_ms, predictive.summary),
        names=(*TRAIN, *(summary[k] for k in kept)), units=(*TRAIN.values(), *units),
        sweeps=tuple(f"{a:+.0f} pA" for a in evidence.design.current_pa.tolist()), alpha=alpha, seed=seed,
    )  # fmt: skip
