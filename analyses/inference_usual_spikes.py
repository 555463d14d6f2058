"""How latency and rate differ between sweeps, by how fast a neuron fires: the powers in ``noble_prob.noise.scales``.

Sweeps of training models under a background current, as ``inference_held_out.py --folds`` leaves them in its folder,
are compared with the decoder's noiseless responses. The log error of a latency ``L`` is taken for Gaussian of variance
``sigma^2 L + (k (L / 10 ms)^p)^2``, that of a mean interval ``m`` over ``n`` intervals for one of ``sigma^2 m / n + (k
(m / 20 ms)^p)^2``, with phase diffusion ``sigma`` (0.15 for latencies, fitted for rates) and ``k`` fitted; printed is
by how many nats each power ``p`` is worse than the best, and the same for the growth of the decoder's own error.

Beside it, real cells. ``--repeats-of`` a recording whose steps come in several series: log ratios of latency and rate
between the first two, by current. ``--sweeps-of`` a recording with one sweep at each of many currents: how the first
spike's shape scatters about its course (second differences over the current), and how intervals do about theirs within
a sweep (a parabola over the logarithm of their number), as phase diffusion.

Run: ``python analyses/inference_usual_spikes.py --folder out/folds [--repeats-of DIR] [--sweeps-of FILE]``
"""

import argparse
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import minimize

import noble_prob as nb
from noble_prob.noise.scales import BRISK_MS, EARLY_MS

DIFFUSION = 0.15
POWERS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5)


def errors(cell: nb.Cell, folder: Path) -> np.ndarray:
    """Per sweep with three spikes: current, predicted latency and mean interval, intervals, two log errors."""
    rows, label = [], {int(name): k for k, name in enumerate(cell.models.labels)}
    for path in sorted(folder.glob("model_*_n1_*.npz")):
        with np.load(path) as data:
            current, times = data["current"], data["times"]
        latents = cell.models.value[label[int(path.name[6:8])]].expand(len(current), -1)
        predicted = cell.decoder.spike_times(latents, torch.from_numpy(current)).detach().double().numpy()
        for c, seen, said in zip(current, times, predicted, strict=True):
            n = int(np.isfinite(seen).sum())
            if n > 2:
                mean = (said[n - 1] - said[0]) / (n - 1)
                rows.append(
                    (
                        c,
                        said[0],
                        mean,
                        n - 1,
                        np.log(seen[0] / said[0]),
                        np.log((seen[n - 1] - seen[0]) / (n - 1) / mean),
                    )
                )
    return np.array(rows)


def misfit(error: np.ndarray, walk: np.ndarray, growth: np.ndarray, sigma: float | None) -> float:
    """Smallest negative log density over ``k``, and ``sigma`` if it is not given."""

    def loss(free: np.ndarray) -> float:
        variance = (np.exp(free[1]) if sigma is None else sigma) ** 2 * walk + (np.exp(free[0]) * growth) ** 2
        return float((0.5 * np.log(variance) + 0.5 * error**2 / variance).sum())

    starts = [[np.log(k), np.log(s)] for k in (0.003, 0.03) for s in (0.1, 0.3)]
    return min(minimize(loss, start, method="Nelder-Mead", options={"maxiter": 4000}).fun for start in starts)


def show(what: str, fit: Callable[[np.ndarray], float], ratio: np.ndarray, slowness: np.ndarray) -> None:
    """Nats by which each growth is worse than the best power."""
    found = {p: fit(ratio**p) for p in POWERS}
    best = min(found.values())
    print(
        what
        + ": "
        + ", ".join(f"{p:g} {value - best:.0f}" for p, value in found.items())
        + f"; as the decoder's error grows {fit(slowness) - best:.0f}"
    )


def trains(recording: nb.Recording) -> list[tuple[float, np.ndarray]]:
    """Current (pA) and spike times (ms after onset) of every step that makes the cell fire three spikes, by current."""
    rows = []
    for v, step in zip(recording.voltage_mv, recording.steps, strict=True):
        if step is not None:
            end = step.onset_ms + step.duration_ms
            peaks = nb.find_spikes(v, recording.time_ms, start_ms=step.onset_ms, stop_ms=end).peak_ms
            rows.append((step.amplitude_pa, peaks[torch.isfinite(peaks)].numpy() - step.onset_ms))
    return sorted((row for row in rows if len(row[1]) > 2), key=lambda row: row[0])


def series(recording: nb.Recording) -> None:
    """Log ratios between neighbours in current that are one current twice."""
    rows = trains(recording)
    for (c, a), (d, b) in pairwise(rows):
        if d - c < 5:
            ia, ib = np.diff(a).mean(), np.diff(b).mean()
            print(
                f"{c:6.0f} pA: latency {a[0]:5.1f} and {b[0]:5.1f} ms, log ratio {abs(np.log(a[0] / b[0])):.2f}; "
                f"interval {ia:5.1f} and {ib:5.1f} ms, {abs(np.log(ia / ib)):.2f}"
            )


def one_of_each(recording: nb.Recording) -> None:
    """Scatter of the first spike's shape between sweeps, and phase diffusion within each."""
    order = np.argsort(recording.protocol.amplitudes_pa.numpy())
    for name in ("ap1_peak_mv", "ap1_trough_mv", "ap1_width_ms"):
        value = nb.measure(recording, names=(name,)).value.numpy().reshape(-1)[order]
        bend = np.diff(value[np.isfinite(value)], 2)
        print(f"{name}: scatter {np.sqrt((bend**2).mean() / 6):.3f} over {len(bend) + 2} sweeps")
    for c, times in trains(recording):
        x = np.log(np.diff(times))[1:]
        if len(x) > 5:
            at = np.log1p(np.arange(len(x)))
            off = x - np.polyval(np.polyfit(at, x, 2), at)
            mean = np.diff(times)[1:].mean()
            print(f"{c:6.0f} pA: interval {mean:5.1f} ms, diffusion {off.std() / np.sqrt(mean / 1000):.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--cell", default="pvalb-689331391")
    parser.add_argument("--repeats-of", type=Path, help="recording with several series of steps")
    parser.add_argument("--sweeps-of", type=Path, help="recording with one sweep at each current")
    args = parser.parse_args()
    cell = nb.load_cell(args.cell)
    current, latency, mean, n, off_latency, off_rate = errors(cell, args.folder).T
    print(f"{len(current)} sweeps")
    for c in np.unique(current):
        at = current == c
        print(
            f"{c:6.0f} pA: latency {np.median(latency[at]):6.1f} ms, SD {100 * off_latency[at].std():5.2f} %; "
            f"interval {np.median(mean[at]):6.1f} ms, SD {100 * off_rate[at].std():5.2f} %"
        )
    slow = [cell.decoder.error.slowness(torch.from_numpy(x)).numpy() for x in (latency, mean)]
    show("latency", lambda g: misfit(off_latency, latency / 1000, g, DIFFUSION), latency / EARLY_MS, slow[0])
    show("rate", lambda g: misfit(off_rate, mean / 1000 / n, g, None), mean / BRISK_MS, slow[1])
    if args.repeats_of:
        series(nb.read(args.repeats_of))
    if args.sweeps_of:
        one_of_each(nb.read(args.sweeps_of))


if __name__ == "__main__":
    main()
