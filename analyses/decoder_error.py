"""The error of a decoder, measured again: as a function of the current, on models it has not seen.

A checkpoint carries the error model that inference believes. Where the way of measuring has changed, the weights need
not be trained again: this reads the data that the configuration names, measures on its validation models, prints, and
writes the new error into the checkpoint's card (``--write``). What is amortised for the old error has then to be
trained again.

How the errors of one model's features hang together over the current is seen at many currents per model, which
training does without. ``--stores`` are data sets of perturbed models made for that, none of which is in the training
data (other seeds of ``noble-prob populate``); all of their models count.

Run: ``python analyses/decoder_error.py analyses/configs/pvalb.toml --cell pvalb-689331391 --write`` or, with stores of
``noble-prob populate --hof HOF --design pvalb --n-models 85 --n-random 12 --near-share 0.15 --seed 101 --dt-ms 0.025
--range-pa=-110,300 --out out/errors-a`` and the like, ``... --stores out/errors-a out/errors-b --write``
"""

import argparse
from dataclasses import replace
from pathlib import Path

from noble_prob.decoder.base import DecoderError
from noble_prob.decoder.checkpoint import cell_folder, load_decoder, write_error
from noble_prob.decoder.noble import NobleDecoder
from noble_prob.population.latents import SPACES, protocol_of
from noble_prob.training.config import read_config
from noble_prob.training.data import VALIDATION
from noble_prob.training.error_model import measure_error
from noble_prob.training.gather import gather, unseen
from noble_prob.training.responses import standard_columns


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--cell", required=True)
    parser.add_argument("--folder", type=Path, help="the checkpoint; the shipped one if not given")
    parser.add_argument(
        "--stores", type=Path, nargs="+", help="data sets of unseen models, in place of the training data"
    )
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    config = replace(read_config(args.config), device="cpu")
    folder = args.folder or cell_folder(args.cell)
    decoder = load_decoder(folder)
    cell = next(c for c in config.cells if c.name == args.cell)
    if args.stores:
        data = unseen(args.stores, cell.name, config.latent_space, held_out=cell.held_out)
    else:
        data = gather(cell, config)
    columns = standard_columns(data.responses, protocol_of(SPACES[config.latent_space]))
    error = measure_error(decoder, data, standard_sweeps=columns)
    show(decoder, error, int((data.split == VALIDATION).sum()))
    if args.write:
        write_error(folder, error)


def show(decoder: NobleDecoder, error: DecoderError, models: int) -> None:
    """Print an error model."""
    print(
        f"{models} models: latency {error.latency_log_sd:.5f}, rate {error.rate_log_sd:.5f}, residual "
        f"{error.residual_ms:.3f} ms, correlated over {error.current_length_pa:.0f} pA, doubled at "
        f"{error.slow_ms:.0f} ms"
    )
    for k, name in enumerate(decoder.summary_names):
        course = " ".join(f"{f:.2f}" for f in error.summary_factor[:, k])
        print(
            f"{name:28s} SD {error.summary_sd[k]:.4f}, {error.summary_shares[k]:.0%} over "
            f"{error.summary_lengths_pa[k]:.0f} pA, times {course}"
        )
    print("at", " ".join(f"{i:.0f}" for i in error.summary_knots_pa), "pA")


if __name__ == "__main__":
    main()
