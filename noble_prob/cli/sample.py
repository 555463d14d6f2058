"""Novel neurons of a cell and their responses to a current step.

Draws neurons from the prior over latent features (fitted to biophysical models of the cell) and renders the voltage
of each. None of them was ever simulated; `plausibility` says how ordinary each one is: the share of the prior's draws
that are less dense, 0 far out, 1 at the mode.

  noble-prob sample --cell pvalb-689331391 --draws 100 --current-pa 150 --seed 1 --out ensemble

writes ensemble/ensemble.npz (voltage_mv (neuron, time), time_ms, latents (neuron, latent), latent_names, plausibility)
and ensemble/summary.json (features over neurons).
"""

from __future__ import annotations

import argparse

from noble_prob.cli.options import add_cell, add_out, finite, load_cell, positive, seed
from noble_prob.cli.output import new_folder, tell, write_json


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this verb."""
    add_cell(parser)
    parser.add_argument("--draws", type=positive, default=100, help="number of neurons (100)")
    parser.add_argument("--current-pa", type=finite, required=True, help="height of the current step (pA)")
    parser.add_argument("--seed", type=seed, default=0, help="same seed, same neurons (0)")
    add_out(parser, "folder for ensemble.npz and summary.json")


def run(args: argparse.Namespace) -> int:
    """Draw, respond, write."""
    import numpy as np

    from noble_prob.sampling import sample_ensemble

    with new_folder(args.out, "ensemble.npz", "summary.json") as folder:
        ensemble = sample_ensemble(load_cell(args), draws=args.draws, current_pa=args.current_pa, seed=args.seed,
                                   device=args.device, progress=not args.quiet)  # fmt: skip
        np.savez_compressed(folder / "ensemble.npz", **ensemble.arrays())  # type: ignore[arg-type]
        summary = ensemble.summary()
        write_json(folder / "summary.json", summary)
    count = summary["features"]["spike_count"]
    text = (
        f"{summary['draws']} neurons like {summary['cell']} at {summary['current_pa']:g} pA: {summary['spiking']} spike"
    )
    tell(args, f"{text}, {count['mean']:.1f} spikes on average; written to {args.out}/ensemble.npz.", summary)
    return 0
