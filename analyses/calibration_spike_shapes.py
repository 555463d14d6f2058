"""Thirty-two spikes, one by one: how much the shape of an action potential varies from trial to trial.

A 2 nA pulse of 2 ms evokes one spike per sweep (``File_axon_6.abf``). Each sweep becomes a row of shape features. The
table says how much of their variance is drift; the odd sweeps against the even ones are a control that must agree;
and an ensemble with the odd sweeps' mean and half or twice their spread must be caught, with the power that is
printed.

    python analyses/calibration_spike_shapes.py --recording File_axon_6.abf [--out DIR]
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from noble_prob import readers
from noble_prob.calibration import FeatureTable, calibrate_repeats, compare_experiments, separate_drift
from noble_prob.recording import Recording
from noble_prob.report import render
from noble_prob.report.parts import calibration_part, drift_part, merge

NAMES = ("resting_voltage_mv", "peak_mv", "peak_time_ms", "width_ms", "rise_mv_per_ms", "fall_mv_per_ms", "trough_mv")
UNITS = ("mV", "mV", "ms", "ms", "mV/ms", "mV/ms", "mV")
BEFORE_MS, AFTER_MS = 5.0, 30.0


def shapes(recording: Recording) -> FeatureTable:
    """One row of shape features per sweep; the width is taken halfway between rest and peak."""
    dt = recording.dt_ms
    rows = [_shape(v.to(torch.float64), dt) for v in recording.voltage_mv]
    return FeatureTable(names=NAMES, units=UNITS, value=np.array(rows), axis="trial", source="recording")


def _shape(v: Tensor, dt: float) -> list[float]:
    top = int(v.argmax())
    rest = float(v[max(0, top - round(BEFORE_MS / dt)) : top - round(1.5 / dt)].median())
    left, mid, right = (float(x) for x in v[top - 1 : top + 2])
    curvature = left - 2 * mid + right
    shift = 0.5 * (left - right) / curvature if curvature < 0 else 0.0
    peak = mid - 0.25 * (left - right) * shift
    half = 0.5 * (rest + peak)
    up = max(k for k in range(1, top) if v[k - 1] < half <= v[k])
    down = min(k for k in range(top, len(v) - 1) if v[k] >= half > v[k + 1])
    rise = up - (float(v[up]) - half) / float(v[up] - v[up - 1])
    fall = down + (float(v[down]) - half) / float(v[down] - v[down + 1])
    slope = torch.diff(v[top - round(2 / dt) : top + round(4 / dt)]) / dt
    trough = float(v[top : top + round(AFTER_MS / dt)].min())
    return [rest, peak, (top + shift) * dt, (fall - rise) * dt, float(slope.max()), float(slope.min()), trough]


def predicted(table: FeatureTable, factor: float, rows: int = 400, seed: int = 0) -> FeatureTable:
    """Further repeats under a Gaussian fitted to the table, its own uncertainty included; deviations times ``factor``.

    A covariance of seven features from sixteen sweeps is uncertain, and plugging it in would be too narrow along some
    directions. Each predicted row therefore has its own covariance and mean, drawn from the normal-inverse-Wishart
    posterior with a weak prior around the diagonal.
    """
    n, p = table.value.shape
    mean, scatter = table.value.mean(0), (n - 1) * np.cov(table.value.T)
    posterior = stats.invwishart(df=p + 2 + n, scale=scatter + np.diag(np.diag(scatter)) / (n - 1))
    rng = np.random.default_rng(seed)
    root = np.linalg.cholesky(posterior.rvs(size=rows, random_state=rng))
    noise = rng.standard_normal((rows, p)) * np.sqrt(1 + 1 / n)
    value = mean + factor * np.einsum("rij,rj->ri", root, noise)
    return replace(table, value=value, source=f"Gaussian, spread times {factor:g}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recording", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=None)
    args = parser.parse_args()
    table = shapes(readers.read(args.recording))
    drift = separate_drift(table, seed=1)
    for k, name in enumerate(NAMES):
        print(
            f"{name:20s} mean {table.value[:, k].mean():8.2f}  total SD {drift.total_sd[k]:6.3f}  jitter SD "
            f"{drift.jitter_sd[k]:6.3f} {UNITS[k]:5s}  drift {100 * drift.drift_share[k]:3.0f} %  "
            f"p {drift.p_value[k]:.3f}"
        )
    odd = np.arange(len(table)) % 2 == 1
    halves = compare_experiments(table.rows(odd), table.rows(~odd), seed=1)
    print("odd and even:", halves.sentence, halves.power_sentence)
    parts = [drift_part(drift), calibration_part(halves, level="odd and even sweeps")]
    for factor in (0.5, 1.0, 2.0):
        result = calibrate_repeats(table.rows(~odd), predicted(table.rows(odd), factor), seed=1)
        print(f"spread times {factor}:", result.sentence, result.power_sentence)
        parts.append(calibration_part(result, level=f"Gaussian ensemble, spread times {factor:g}"))
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        page = merge("Thirty-two spikes", parts, subtitle=args.recording.name, provenance={"seed": 1})
        for form, name in (("html", "report.html"), ("json", "report.json")):
            (args.out / name).write_text(render(page, form), encoding="utf-8")


if __name__ == "__main__":
    main()
