"""Are the neurons of a Hall-of-Fame prior as diverse as human cells of the type? No, and this says by how much.

The prior is fitted to the latents of the models of *one* cell. Here draws from it meet the measured features of all
human PVALB (or VIP) cells of a table, on features that mean the same on both sides: resting voltage, sag, height and
width of the first spike, and the depth of the trough below the peak. The first step checks that claim: the published
features of the very same models against our own latents of them.

Then the prior is recalibrated in the two ways there are, as an explicit choice, before and after shown: weights of the
drawn neurons (``tilt``, with the effective sample size that is left), and moved latents (``widen``).

    python analyses/calibration_populations.py --table human_cell_features.csv --type PVALB \
        --cell pvalb-689331391 [--published published_features.csv] [--out DIR]
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import torch

from noble_prob.calibration import Calibration, FeatureTable, calibrate_population, tilt, widen
from noble_prob.decoder.checkpoint import cell_folder, read_card
from noble_prob.ensemble import draw
from noble_prob.findings.registry import judge
from noble_prob.latent import LatentSpace, Neurons
from noble_prob.priors import fit_prior
from noble_prob.report import ReportData, Table, render
from noble_prob.report.parts import calibration_part, merge

FEATURES = (
    ("resting voltage", "mV"),
    ("sag", "mV"),
    ("AP1 peak", "mV"),
    ("AP1 peak to trough", "mV"),
    ("AP1 width", "ms"),
)
EXPERIMENT = (
    "hyperpol.voltage_base",
    "hyperpol.sag_amplitude",
    "depol.AP1_peak",
    "depol.AHP1_depth_from_peak",
    "depol.AP1_width",
)
PUBLISHED = ("voltage_base", "sag_amplitude", "AP1_peak", "AHP1_depth_from_peak", "AP1_width")
LATENTS = ("resting_voltage", "sag", "ap1_peak", "ap1_trough", "ap1_width")


def table_of(rows: list[dict[str, str]], columns: tuple[str, ...], source: str) -> FeatureTable:
    """Columns of a CSV as features of neurons; what is not a number is undefined."""
    value = np.array([[number(row.get(column)) for column in columns] for row in rows])
    return FeatureTable(
        names=tuple(n for n, _ in FEATURES),
        units=tuple(u for _, u in FEATURES),
        value=value,
        axis="neuron",
        source=source,
    )


def number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def features_of(neurons: Neurons, source: str) -> FeatureTable:
    """The same features read off the latents."""
    names = neurons.space.names
    column = {name: neurons.value[:, names.index(name)].numpy() for name in LATENTS}
    column["ap1_trough"] = column["ap1_peak"] - column["ap1_trough"]
    return FeatureTable(
        names=tuple(n for n, _ in FEATURES),
        units=tuple(u for _, u in FEATURES),
        value=np.column_stack([column[n] for n in LATENTS]),
        axis="neuron",
        source=source,
    )


def hall_of_fame(cell: str) -> Neurons:
    """The shipped latents of the models of a cell that the prior may see."""
    folder = cell_folder(cell)
    space = LatentSpace.from_dict(read_card(folder)["latent_space"])
    rows = [row for row in read_rows(folder / "hof_latents.csv") if row["split"] == "train"]
    value = torch.tensor([[number(row[name]) for name in space.names] for row in rows], dtype=torch.float64)
    whole = torch.isfinite(value).all(1)
    labels = [row["model"] for row, kept in zip(rows, whole.tolist(), strict=True) if kept]
    return Neurons(space=space, value=value[whole], axis="neuron", labels=labels)


def check_definitions(models: Neurons, published: Path) -> None:
    """Published and own features of the same models: bias, spread of the difference, correlation."""
    numbered = {model_number(row): row for row in read_rows(published)}
    theirs = table_of([numbered[int(label)] for label in models.labels], PUBLISHED, "published").value
    ours = features_of(models, "own").value
    print("same models, own minus published: mean, SD, correlation")
    for k, (name, unit) in enumerate(FEATURES):
        off = ours[:, k] - theirs[:, k]
        known = np.isfinite(off)
        r = np.corrcoef(ours[known, k], theirs[known, k])[0, 1]
        print(f"  {name:20s} {off[known].mean():+7.3f} {off[known].std():6.3f} {unit}  r = {r:.3f}")


def model_number(row: dict[str, str]) -> int:
    """Number of a published model: 20 (seed - 1) + place; one of the tables counts places from one."""
    seed, place = (row["seed"], row["hof"]) if "seed" in row else (row["seed_no"], str(float(row["hof_no"]) - 1))
    return round(20 * (float(seed) - 1) + float(place))


def show(what: str, result: Calibration) -> None:
    print(f"\n{what}: {result.sentence}")
    for f in result.features:
        print(
            f"  {f.name:20s} n {f.n:3d}  observed {f.observed_mean:7.2f} +- {f.observed_sd:5.2f}  predicted "
            f"{f.predicted_mean:7.2f} +- {f.predicted_sd:5.2f} {f.unit}  SD ratio {f.sd_ratio:.2f} "
            f"({f.sd_ratio_low:.2f} .. {f.sd_ratio_high:.2f})  89 % holds {100 * f.coverage_89:.0f} %"
        )


def moved(neurons: Neurons, population: FeatureTable) -> Neurons:
    """Latents that are measured features, brought to the population's mean and SD."""
    mean = {latent: float(np.nanmean(population.value[:, k])) for k, latent in enumerate(LATENTS)}
    sd = {latent: float(np.nanstd(population.value[:, k])) for k, latent in enumerate(LATENTS)}
    trough = population.value[:, 2] - population.value[:, 3]
    mean["ap1_trough"], sd["ap1_trough"] = float(np.nanmean(trough)), float(np.nanstd(trough))
    return widen(neurons, mean, sd)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--type", default="PVALB")
    parser.add_argument("--cell", default="pvalb-689331391")
    parser.add_argument("--published", type=Path, default=None)
    parser.add_argument("--out", type=Path, default=None)
    args = parser.parse_args()
    human = table_of(
        [r for r in read_rows(args.table) if r["cell_type"] == args.type], EXPERIMENT, f"human {args.type}"
    )
    models = hall_of_fame(args.cell)
    if args.published:
        check_definitions(models, args.published)
    drawn = draw(fit_prior(models, seed=1), 2000, seed=1)
    before = calibrate_population(human, features_of(drawn, "prior"), permutations=999, seed=1)
    show("prior", before)
    weights = tilt(features_of(drawn, "prior"), human)
    found = judge(weights)
    print(f"\ntilt: {found[0].sentence}")
    after = calibrate_population(human, features_of(moved(drawn, human), "widened prior"), permutations=999, seed=1)
    show("widened prior", after)
    if args.out:
        write(
            args.out,
            args.type,
            before,
            after,
            ReportData(
                title="",
                findings=found,
                tables=[
                    Table(
                        title="Reweighted prior",
                        columns=(
                            "feature",
                            "unit",
                            "population mean",
                            "population SD",
                            "prior mean",
                            "prior SD",
                            "reweighted mean",
                            "reweighted SD",
                        ),
                        rows=list(
                            zip(
                                weights.names,
                                weights.units,
                                weights.target_mean,
                                weights.target_sd,
                                weights.before_mean,
                                weights.before_sd,
                                weights.after_mean,
                                weights.after_sd,
                                strict=True,
                            )
                        ),
                        caption=f"Effective sample size {weights.ess:.1f} of {weights.n} drawn neurons.",
                    )
                ],
            ),
        )


def write(out: Path, kind: str, before: Calibration, after: Calibration, extra: ReportData) -> None:
    parts = [
        calibration_part(before, level="Between neurons: prior"),
        extra,
        calibration_part(after, level="Between neurons: widened prior"),
    ]
    page = merge(f"Human {kind} cells", parts, provenance={"seed": 1})
    out.mkdir(parents=True, exist_ok=True)
    for form, name in (("html", "report.html"), ("json", "report.json")):
        (out / name).write_text(render(page, form), encoding="utf-8")


if __name__ == "__main__":
    main()
