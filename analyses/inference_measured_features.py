"""A cell's row in a table of measured features, with the models of that very cell: what they agree on, what not.

No trace of the recorded cell is needed: measured features are turned into latents, with a measurement SD, and the
posterior of the latents given these features alone is a Gaussian with the prior's moments times a Gaussian
likelihood, in closed form. Definitions differ between tables (sampling, width at another height), so the offset and
scatter of each feature are first measured on the published models, whose rows in a table of the same source and whose
latents from our own simulations are both known; the scatter and the usual change between sweeps of one cell make the
measurement SD. Features that the table of models lacks keep their definition, and the usual change as SD.

What the population can not reach is told three ways: each feature against the prior, each feature against what the
other features predict, and the f-I slope, computed by one definition (:mod:`noble_prob.features.fi`) for the models'
reference traces and for draws of the posterior, beside the slope in the table.

    python analyses/inference_measured_features.py --experiment CSV --published CSV --reference DIR [--json OUT]
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable, Mapping
from math import log
from pathlib import Path

import numpy as np
import torch

import noble_prob as nb
from noble_prob.cells import Cell
from noble_prob.evaluation import read_reference, reference_files
from noble_prob.noise.scales import usual_sd

Row = Mapping[str, str]
TIMING_LOG_SD = 0.05
"""Usual change of the logarithm of a latency or interval between sweeps of one cell."""
SPIKING = {
    "first_spike_latency_ms": lambda r: log(float(r["time_to_first_spike"])),
    "first_isi_ms": lambda r: log(1000 / float(r["inv_first_ISI"])),
    "mean_isi_ms": lambda r: log((1000 - float(r["time_to_first_spike"])) / float(r["Spikecount"])),
    "ap1_peak_mv": lambda r: float(r["AP1_peak"]),
    "ap1_trough_mv": lambda r: float(r["AP1_peak"]) - float(r["AHP1_depth_from_peak"]),
    "ap1_width_ms": lambda r: float(r["AP1_width"]),
}
PASSIVE = {
    "resting_voltage_mv": lambda r: float(r["voltage_base"]),
    "sag_mv": lambda r: float(r["sag_amplitude"]),
    "voltage_deflection_mv": lambda r: float(r["steady_state_voltage_stimend"]) - float(r["voltage_base"]),
}
"""Latents from columns of the tables (1 s steps) by the feature they are: spiking ones at 180 pA, others at -110."""
NOT_IN_MODELS_TABLE = ("voltage_deflection_mv",)


def columns(cell: Cell) -> dict[str, Callable[[Row], float]]:
    """By name of latent: how it is read from a row."""
    out = {}
    for latent in cell.prior.space.latents:
        rule = {180.0: SPIKING, -110.0: PASSIVE}.get(latent.current_pa, {}).get(latent.feature)
        if rule:
            out[latent.name] = rule
    return out


def definitions(cell: Cell, published: Path) -> dict[str, tuple[float, float]]:
    """Offset and scatter of every column against our latents, over the published models."""
    with published.open(newline="") as file:
        rows = {20 * (int(float(r["seed"])) - 1) + int(float(r["hof"])): r for r in csv.DictReader(file)}
    known = {
        int(label): dict(zip(group.space.names, value.tolist(), strict=True))
        for group in (cell.models, cell.held_out)
        for label, value in zip(group.labels, group.value, strict=True)
    }
    out = {}
    for latent in cell.prior.space.latents:
        if latent.name in columns(cell) and latent.feature not in NOT_IN_MODELS_TABLE:
            rule = columns(cell)[latent.name]
            gaps = np.array([values[latent.name] - rule(rows[k]) for k, values in known.items() if k in rows])
            out[latent.name] = (float(gaps.mean()), float(gaps.std()))
    return out


def measured(cell: Cell, experiment: Path, published: Path, spec_id: str) -> tuple[torch.Tensor, torch.Tensor, Row]:
    """Latents of the row and their SDs (coordinate units, NaN where not measured), and the row."""
    with experiment.open(newline="") as file:
        row = next(r for r in csv.DictReader(file) if r["spec_id"] == spec_id)
    parts = {
        side: {k.removeprefix(f"{side}."): v for k, v in row.items() if k.startswith(f"{side}.")}
        for side in ("hyperpol", "depol")
    }
    gaps, value, sd = definitions(cell, published), [], []
    for latent in cell.prior.space.latents:
        rule = columns(cell).get(latent.name)
        offset, scatter = gaps.get(latent.name, (0.0, 0.0))
        usual = TIMING_LOG_SD if latent.log else usual_sd(latent.feature)
        side = "depol" if latent.feature in SPIKING else "hyperpol"
        value.append(rule(parts[side]) + offset if rule else float("nan"))
        sd.append((scatter**2 + usual**2) ** 0.5)
    return torch.tensor(value, dtype=torch.float64), torch.tensor(sd, dtype=torch.float64), row


def condition(
    mean: torch.Tensor, covariance: torch.Tensor, value: torch.Tensor, sd: torch.Tensor, seen: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and covariance of a Gaussian given noisy values of some of its coordinates."""
    gain = covariance[:, seen] @ torch.linalg.inv(covariance[seen][:, seen] + torch.diag(sd[seen] ** 2))
    return mean + gain @ (value[seen] - mean[seen]), covariance - gain @ covariance[seen]


def slopes(cell: Cell, mean: torch.Tensor, covariance: torch.Tensor, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """f-I slopes (Hz/nA) of the reference traces of all models, and of draws of the posterior."""
    models, files = [], reference_files(folder)
    for label in (*cell.models.labels, *cell.held_out.labels):
        value, defined = nb.fi_curve(read_reference(files[int(label)], cell.decoder.window))["fi_slope_hz_per_na"]
        models.append(float(value) if bool(defined) else np.nan)
    generator = torch.Generator().manual_seed(0)
    root = torch.linalg.cholesky(covariance + 1e-10 * torch.eye(len(mean)))
    draws = mean + torch.randn(24, len(mean), generator=generator, dtype=torch.float64) @ root.T
    neurons = nb.Neurons(space=cell.prior.space, value=draws, axis="draw")
    curve = nb.fi_curve(nb.respond(cell.decoder, neurons, [20.0 * k for k in range(14)]))
    value, defined = curve["fi_slope_hz_per_na"]
    return np.array(models), torch.where(defined, value, torch.nan).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiment", type=Path, required=True)
    parser.add_argument("--published", type=Path, required=True)
    parser.add_argument("--reference", type=Path, required=True)
    parser.add_argument("--cell", default="pvalb-689331391")
    parser.add_argument("--spec-id", default="689331391")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    cell = nb.load_cell(args.cell)
    space = cell.prior.space
    value, sd, row = measured(cell, args.experiment, args.published, args.spec_id)
    seen = torch.isfinite(value)
    scale = space.sd.to(value)
    mean, covariance = space.unstandardise(cell.prior.moments[0]), scale[:, None] * cell.prior.moments[1] * scale
    after, left = condition(mean, covariance, value, sd, seen)
    rows = {}
    print(f"{int(seen.sum())} of {len(space)} latents of cell {args.spec_id} are measured")
    print(f"{'latent':<22}{'unit':>7}{'measured':>10}{'SD':>7}{'models':>17}{'z':>7}{'z | rest':>9}{'posterior':>16}")
    every = torch.cat([cell.models.value, cell.held_out.value])
    for k, latent in enumerate(space.latents):
        others = seen & (torch.arange(len(space)) != k)
        rest, spread = condition(mean, covariance, value, sd, others)
        z = [float((value[k] - m[k]) / (c[k, k] + sd[k] ** 2) ** 0.5) for m, c in ((mean, covariance), (rest, spread))]
        band = (float(every[:, k].min()), float(every[:, k].max()))
        rows[latent.name] = {
            "measured": float(value[k]),
            "sd": float(sd[k]),
            "models": band,
            "z": z[0],
            "z_rest": z[1],
            "posterior": [float(after[k]), float(left[k, k] ** 0.5)],
        }
        print(
            f"{latent.name:<22}{latent.unit:>7}{float(value[k]):>10.3g}{float(sd[k]):>7.2g}"
            f"{band[0]:>8.3g} ..{band[1]:>6.3g}{z[0]:>7.1f}{z[1]:>9.1f}"
            f"{float(after[k]):>9.3g} +-{float(left[k, k]) ** 0.5:>5.2g}"
        )
    off = value[seen] - mean[seen]
    distance = float(off @ torch.linalg.solve(covariance[seen][:, seen] + torch.diag(sd[seen] ** 2), off)) ** 0.5
    radius = float(torch.distributions.Chi2(seen.sum().double()).mean) ** 0.5
    print(f"all together: {distance:.1f} SDs from the population's centre, where its members lie near {radius:.1f}")
    models, draws = slopes(cell, after, left, args.reference)
    print(
        f"f-I slope (Hz/nA), one definition: models {np.nanmean(models):.0f} +- {np.nanstd(models):.0f} "
        f"({np.nanmin(models):.0f} .. {np.nanmax(models):.0f}); posterior {np.nanmean(draws):.0f} +- "
        f"{np.nanstd(draws):.0f}; the table says {float(row['slope']):.0f} for the cell"
    )
    if args.json:
        slope = {
            "models": [float(np.nanmean(models)), float(np.nanstd(models))],
            "table": float(row["slope"]),
            "posterior": [float(np.nanmean(draws)), float(np.nanstd(draws))],
        }
        args.json.write_text(json.dumps({"latents": rows, "distance": distance, "fi_slope": slope}, indent=1) + "\n")


if __name__ == "__main__":
    main()
