"""Novel neurons of a cell and their responses to current steps.

Draws neurons from the prior over latent features (fitted to biophysical models of the cell) and renders the voltage
of each. None of them was ever simulated; `plausibility` says how ordinary each one is: the share of the prior's draws
that are less dense, 0 far out, 1 at the mode.

  noble-prob sample --cell pvalb-689331391 --draws 100 --current-pa 150 --seed 1 --out ensemble

several steps, for an f-I curve, and repeats of each neuron:

  noble-prob sample --draws 200 --current-pa -110 25 50 100 180 --out curve
  noble-prob sample --draws 20 --trials 30 --current-pa 60 --out repeats

The first writes ensemble/ensemble.npz (voltage_mv (neuron, time), time_ms, current_pa, latents (neuron, latent),
latent_names, plausibility; with repeats and several steps voltage_mv is (neuron, trial, current, time)),
ensemble/summary.json (features over neurons) and ensemble/report.html (voltages, f-I curve, latents beside those of the
published models).
"""

from __future__ import annotations

import argparse
from typing import Any

from noble_prob.cli.options import add_cell, add_out, finite, load_cell, positive, seed
from noble_prob.cli.output import hint_na, new_folder, tell, write_json, write_text


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this verb."""
    add_cell(parser)
    parser.add_argument("--draws", type=positive, default=100, help="number of neurons (100)")
    parser.add_argument(
        "--current-pa",
        type=finite,
        nargs="+",
        required=True,
        metavar="PA",
        help="height of the current step, or of each of several (pA)",
    )
    parser.add_argument(
        "--trials",
        type=positive,
        help="repeats of each neuron, which differ as inference expects of trials (none: noiseless responses)",
    )
    parser.add_argument(
        "--extrapolate",
        action="store_true",
        help="also answer steps beyond the decoder's currents: nothing vouches for it",
    )
    parser.add_argument("--seed", type=seed, default=0, help="same seed, same neurons (0)")
    add_out(parser, "folder for ensemble.npz, summary.json and report.html")


def run(args: argparse.Namespace) -> int:
    """Draw, respond, write."""
    import numpy as np

    from noble_prob.report import render
    from noble_prob.report.parts import ensemble_report
    from noble_prob.sampling import sample_ensemble

    hint_na(args.current_pa, "sample")
    with new_folder(args.out, "ensemble.npz", "summary.json", "report.html") as folder:
        ensemble = sample_ensemble(
            load_cell(args),
            draws=args.draws,
            current_pa=args.current_pa,
            trials=args.trials,
            seed=args.seed,
            extrapolate=args.extrapolate,
            device=args.device,
            progress=not args.quiet,
        )
        np.savez_compressed(folder / "ensemble.npz", **ensemble.arrays())  # type: ignore[arg-type]
        summary = ensemble.summary()
        write_json(folder / "summary.json", summary)
        write_text(folder / "report.html", render(ensemble_report(ensemble), "html"))
    tell(args, f"{said(summary)}; written to {args.out}/ensemble.npz. The page: {args.out}/report.html", summary)
    return 0


def said(summary: dict[str, Any]) -> str:
    """How many neurons there are, and how they fire at each step."""
    steps, spiking, features = (summary[name] for name in ("current_pa", "spiking", "features"))
    if not isinstance(steps, list):
        steps, spiking, features = [steps], [spiking], [features]
    parts = [
        f"at {current:g} pA {_spiking(n)}, {table['spike_count']['mean']:.1f} spikes on average"
        for current, n, table in zip(steps, spiking, features, strict=True)
    ]
    neurons = "1 neuron" if summary["draws"] == 1 else f"{summary['draws']} neurons"
    return f"{neurons} like {summary['cell']}: {'; '.join(parts)}"


def _spiking(n: int) -> str:
    """How many spike, in words."""
    return {0: "none spikes", 1: "1 neuron spikes"}.get(n, f"{n} neurons spike")
