"""Nine repeats of one frozen noise in one cortical cell: drift is found, and separated from trial-to-trial jitter.

No decoder is involved. Each repeat (20 s, ``cell3_test_9rep.npz``) becomes a row of features and a spike train.

1. Is the session stationary? (von Neumann's ratio, corrected over features.)
2. Do early and late repeats scatter alike and around the same mean? Odd and even ones? The second pair is the control:
   both halves have seen the same drift.
3. How reliable are the trains? The coincidence factor Gamma bounds every model of this cell; the energy distance of
   the trains themselves sees timing that no feature does.

    python analyses/calibration_frozen_noise.py --recording cell3_test_9rep.npz [--out DIR]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from noble_prob.calibration import (
    Calibration,
    Drift,
    FeatureTable,
    TrainContrast,
    compare_experiments,
    compare_trains,
    separate_drift,
)
from noble_prob.features import find_spikes
from noble_prob.metrics.spike_trains import coincidence_factor
from noble_prob.report import ReportData, Verdict, render
from noble_prob.report.parts import calibration_part, drift_part, merge, trains_part

NAMES = ("spike_count", "median_voltage_mv", "ap_peak_mv", "ap_peak_sd_mv", "isi_cv", "early_count", "late_count")
UNITS = ("", "mV", "mV", "mV", "", "", "")
WINDOW_MS = 4.0


def measure_repeats(path: Path) -> tuple[FeatureTable, list[np.ndarray], float]:
    """Features and spike trains (ms) of every repeat, and the duration (ms)."""
    with np.load(path) as file:
        voltage, dt_ms = file["V_mV"], 1000.0 * float(file["dt_s"])
    time = torch.arange(voltage.shape[1], dtype=torch.float64) * dt_ms
    spikes = find_spikes(torch.from_numpy(voltage), time, threshold_mv=0.0)
    trains = [row[torch.isfinite(row)].numpy() for row in spikes.peak_ms]
    peaks = [row[torch.isfinite(row)].numpy() for row in spikes.peak_mv]
    duration = voltage.shape[1] * dt_ms
    rows = []
    for v, train, peak in zip(voltage, trains, peaks, strict=True):
        isi, half = np.diff(train), duration / 2
        rows.append(
            (
                len(train),
                np.median(v),
                peak.mean(),
                peak.std(),
                isi.std() / isi.mean(),
                (train < half).sum(),
                (train >= half).sum(),
            )
        )
    table = FeatureTable(names=NAMES, units=UNITS, value=np.array(rows, float), axis="trial", source=path.name)
    return table, trains, duration


def halves(
    table: FeatureTable, trains: list[np.ndarray], second: np.ndarray, what: str
) -> tuple[Calibration, TrainContrast]:
    """Two sets of repeats as two experiments: features, and spike trains."""
    result = compare_experiments(table.rows(~second), table.rows(second), seed=1)
    parts = [[t for t, s in zip(trains, second.tolist(), strict=True) if s is side] for side in (False, True)]
    return result, compare_trains(*parts, stimulus=what, against=f"the {what.split()[2]} ones", seed=1)


def both_halves(table: FeatureTable, trains: list[np.ndarray]) -> dict[str, tuple[Calibration, TrainContrast]]:
    """Early against late repeats, and odd against even ones, the control."""
    order = np.arange(len(table))
    comparisons = {"early and late repeats": order >= 5, "odd and even repeats": order % 2 == 1}
    return {what: halves(table, trains, second, what) for what, second in comparisons.items()}


def session(drift: Drift) -> Verdict:
    """Is the session stationary? One sentence."""
    known = zip(drift.names, drift.drift_share, drift.p_value, strict=True)
    slow = [f"{name} ({100 * share:.0f} % of its variance)" for name, share, p in known if p <= 0.05]
    sentence = f"The session drifts: {', '.join(slow)}." if slow else "No drift was found over the session."
    order = f"Order of {int(drift.n.max())} repeats, permutation test corrected over features."
    return Verdict(level="The session", severity="caution" if slow else "passed", sentence=sentence, power=order)


def page(drift: Drift, found: dict[str, tuple[Calibration, TrainContrast]], source: str) -> ReportData:
    """The report: the session, then each pair of halves, trains first."""
    parts = [ReportData(title="", verdicts=(session(drift),)), drift_part(drift)]
    for what, (result, contrast) in found.items():
        names = (what.split(" and ")[0], what.split(" and ")[1].split(" ")[0])
        verdict = Verdict(level=f"{what}: spike trains", severity=contrast.severity, sentence=contrast.sentence)
        parts += [
            ReportData(title="", verdicts=(verdict,)),
            trains_part(
                contrast, level=what, window_ms=(0, 2000), names=names, xlabel="time after start of sweep (ms)"
            ),
            calibration_part(result, level=what),
        ]
    return merge("Nine repeats of frozen noise", parts, subtitle=source, provenance={"seed": 1})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recording", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=None)
    args = parser.parse_args()
    table, trains, duration = measure_repeats(args.recording)
    drift = separate_drift(table, seed=1)
    for k, name in enumerate(drift.names):
        print(
            f"{name:18s} total SD {drift.total_sd[k]:7.3f}  jitter SD {drift.jitter_sd[k]:7.3f} {drift.units[k]:3s}"
            f" drift {100 * drift.drift_share[k]:3.0f} %  p {drift.p_value[k]:.3f}"
        )
    order = np.arange(len(table))
    found = both_halves(table, trains)
    for what, (result, contrast) in found.items():
        print(f"{what}: {result.sentence} {result.power_sentence}\n  {contrast.sentence}")
    pairs = [(i, j) for i in order for j in order if i != j]
    times = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(t) for t in trains], True, torch.nan)
    first, second = torch.tensor(pairs).T
    gamma = coincidence_factor(times[first], times[second], times.new_full((len(pairs),), duration), delta_ms=WINDOW_MS)
    apart = (first - second).abs()
    near, far = gamma[apart == 1].mean(), gamma[apart >= 5].mean()
    print(f"Gamma ({WINDOW_MS:.0f} ms): all {gamma.mean():.3f}, neighbours {near:.3f}, far {far:.3f}")
    if args.out:
        report = page(drift, found, args.recording.name)
        args.out.mkdir(parents=True, exist_ok=True)
        for form, name in (("html", "report.html"), ("json", "report.json")):
            (args.out / name).write_text(render(report, form), encoding="utf-8")


if __name__ == "__main__":
    main()
