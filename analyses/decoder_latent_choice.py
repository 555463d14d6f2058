"""Which features tell how a new neuron fires: a leave-one-out regression over the published training models.

A Gaussian process (linear plus squared-exponential kernel, hyperparameters by marginal likelihood) predicts latencies,
mean intervals and troughs at many currents from a set of latents, each model from the others. Held-out models take no
part. A feature that lowers the error belongs into the latent space. The reference is a folder as ``noble-prob
evaluate`` takes it. One core, half a minute:

    python analyses/decoder_latent_choice.py --cell vip-650077366 --reference DIR
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import minimize
from tqdm import tqdm

from noble_prob.cells import load_cell
from noble_prob.evaluation import read_reference, reference_files
from noble_prob.features import measure
from noble_prob.latent import Latent
from noble_prob.population.latents import FEATURES16, FEATURES21, FEATURES26, HELD_OUT_MODELS, latent_values

ADDED = (
    "log_mean_isi_to_100ms_180pa",
    "log_mean_isi_to_200ms_180pa",
    "log_mean_isi_100pa",
    "voltage_deflection_m30pa",
    "log_time_constant_m30pa",
)
SIXTEEN, TWENTY_SIX = (tuple(item.name for item in space) for space in (FEATURES16, FEATURES26))
SETS = {
    "features16": SIXTEEN,
    "and adaptation": (*SIXTEEN, *ADDED[:2]),
    "and 100 pA": (*SIXTEEN, *ADDED[:3]),
    "and -30 pA": (*SIXTEEN, *ADDED[:2], *ADDED[3:]),
    "features21": (*SIXTEEN, *ADDED),
    "features26": TWENTY_SIX,
    "without 15 pA": tuple(name for name in TWENTY_SIX if "15pa" not in name),
}
UNION = tuple({item.name: item for item in (*FEATURES21, *FEATURES26)}.values())
LATENCY, ALL, EARLY, TROUGH = "first_spike_latency_ms", "mean_isi_ms", "mean_isi_to_150ms_ms", "ap1_trough_mv"
WORDS = {LATENCY: "latency", ALL: "interval", EARLY: "to 150 ms", TROUGH: "trough"}
TARGETS = [
    *((LATENCY, i) for i in (15, 20, 30, 40, 100)),
    *((ALL, i) for i in (15, 20, 30, 40, 60, 80, 140)),
    *((EARLY, i) for i in (60, 80, 140)),
    *((TROUGH, i) for i in (20, 80)),
]
"""What is predicted: errors in per cent, of the trough in hundredths of a mV."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cell", default="vip-650077366", help="whose grid")
    parser.add_argument("--reference", type=Path, required=True)
    args = parser.parse_args()
    latents, truth = read(args.cell, args.reference, UNION)
    names = [item.name for item in UNION]
    print("mean error (%, of the trough 0.01 mV):", *(f"{WORDS[n]} {i}" for n, i in TARGETS), sep="  ")
    for label, wanted in SETS.items():
        chosen = [names.index(name) for name in wanted]
        errors = [100 * np.abs(left_out(latents[known][:, chosen], y[known])).mean() for y, known in truth]
        print(f"{label:16s}", *(f"{e:6.2f}" for e in errors))


def read(cell: str, folder: Path, space: tuple[Latent, ...]) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """Latents ``(model, latent)``; per target its logarithm (of the trough the value) and where it is defined."""
    window = load_cell(cell).decoder.window
    latents, features = [], []
    for number, path in tqdm(reference_files(folder).items(), unit="model"):
        recording = read_reference(path, window)
        values, defined = latent_values(recording, space)
        if number in HELD_OUT_MODELS or not bool(defined):
            continue
        latents.append(values.numpy())
        amplitudes = recording.protocol.amplitudes_pa
        at = [int((amplitudes - current).abs().argmin()) for _, current in TARGETS]
        found = measure(recording, names=tuple(WORDS))
        features.append([float(found[name][0][i]) for (name, _), i in zip(TARGETS, at, strict=True)])
    columns = np.array(features).T
    truth = [y if name == TROUGH else np.log(y) for (name, _), y in zip(TARGETS, columns, strict=True)]
    return np.array(latents), [(y, np.isfinite(y)) for y in truth]


def left_out(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Errors of the leave-one-out predictions (Rasmussen and Williams 2006, eq. 5.12), in units of ``y``."""
    x, scale = (x - x.mean(0)) / x.std(0), y.std()
    y = (y - y.mean()) / scale
    linear = x @ x.T / x.shape[1]
    distance = np.square(x[:, None] - x[None]).sum(-1) / x.shape[1]

    def covariance(p: np.ndarray) -> np.ndarray:
        straight, bent, length, noise = np.exp(p)
        kernel = straight * linear + bent * np.exp(-distance / (2 * length**2))
        return kernel + 1.0 + (noise + 1e-6) * np.eye(len(y))  # type: ignore[no-any-return]

    def loss(p: np.ndarray) -> float:
        try:
            root = np.linalg.cholesky(covariance(p))
        except np.linalg.LinAlgError:
            return 1e6
        return float(0.5 * np.square(np.linalg.solve(root, y)).sum() + np.log(np.diag(root)).sum() + 0.02 * (p @ p))

    best = minimize(loss, np.array([1.0, 0.0, 1.0, -4.0]), method="Nelder-Mead", options={"maxiter": 400}).x
    inverse = np.linalg.inv(covariance(best))
    return scale * (inverse @ y) / np.diag(inverse)  # type: ignore[no-any-return]


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
