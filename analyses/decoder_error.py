"""The error of a decoder, measured again: as a function of the current, on models it has not seen.

A checkpoint carries the error model that inference believes. Where the way of measuring has changed, the weights need
not be trained again: this reads the data that the configuration names, measures on its validation models, prints, and
writes the new error into the checkpoint's card (``--write``). What is amortised for the old error has then to be
trained again.

How the errors of one model's features hang together over the current is seen at many currents per model, which
training does without. ``--store`` is a data set of perturbed models made for that, none of which is in the training
data (another ``--seed`` of ``noble-prob populate``); all of its models count, and of what is measured the features'
part is taken. How wrong the timing is stays as it was: a few odd models decide that, and training sets hundreds aside.

Run: ``python analyses/decoder_error.py analyses/configs/pvalb.toml --cell pvalb-689331391 --write`` or, with a store of
``noble-prob populate --hof HOF --design pvalb --n-models 85 --n-random 12 --near-share 0.15 --seed 101 --dt-ms 0.025
--range-pa=-110,300 --out out/errors``, ``... --store out/errors --write``
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from noble_prob.decoder.base import DecoderError
from noble_prob.decoder.checkpoint import cell_folder, load_decoder, write_error
from noble_prob.decoder.noble import NobleDecoder
from noble_prob.population.latents import HELD_OUT_MODELS, SPACES, protocol_of
from noble_prob.training.config import read_config
from noble_prob.training.data import VALIDATION, TrainingData, prepare
from noble_prob.training.error_model import measure_error
from noble_prob.training.gather import gather
from noble_prob.training.responses import standard_columns
from noble_prob.training.sources import from_store


def unseen(store: Path, cell: str, space: str) -> TrainingData:
    """All models of a data set, none of them trained on."""
    responses = from_store(store, cell=cell, held_out=HELD_OUT_MODELS)
    data = prepare(responses, latents=SPACES[space], validation=1, seed=0)
    return replace(data, split=torch.full_like(data.split, VALIDATION))


def features_of(new: DecoderError, old: DecoderError) -> DecoderError:
    """The old error with the new one's features."""
    return replace(old, **{name: value for name, value in vars(new).items() if name.startswith("summary_")})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--cell", required=True)
    parser.add_argument("--folder", type=Path, help="the checkpoint; the shipped one if not given")
    parser.add_argument("--store", type=Path, help="data set of unseen models: take the features' errors from there")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    config = replace(read_config(args.config), device="cpu")
    folder = args.folder or cell_folder(args.cell)
    decoder = load_decoder(folder)
    if args.store:
        data = unseen(args.store, args.cell, config.latent_space)
    else:
        data = gather(next(c for c in config.cells if c.name == args.cell), config)
    columns = standard_columns(data.responses, protocol_of(SPACES[config.latent_space]))
    error = measure_error(decoder, data, standard_sweeps=columns)
    if args.store:
        error = features_of(error, decoder.error)
    show(decoder, error, int((data.split == VALIDATION).sum()))
    if args.write:
        write_error(folder, error)


def show(decoder: NobleDecoder, error: DecoderError, models: int) -> None:
    """Print an error model."""
    print(f"{models} models: latency {error.latency_log_sd:.5f}, rate {error.rate_log_sd:.5f}, residual "
          f"{error.residual_ms:.3f} ms, correlated over {error.current_length_pa:.0f} pA, doubled at "
          f"{error.slow_ms:.0f} ms")  # fmt: skip
    for k, name in enumerate(decoder.summary_names):
        course = " ".join(f"{f:.2f}" for f in error.summary_factor[:, k])
        print(f"{name:28s} SD {error.summary_sd[k]:.4f}, {error.summary_shares[k]:.0%} over "
              f"{error.summary_lengths_pa[k]:.0f} pA, times {course}")  # fmt: skip
    print("at", " ".join(f"{i:.0f}" for i in error.summary_knots_pa), "pA")


if __name__ == "__main__":
    main()
