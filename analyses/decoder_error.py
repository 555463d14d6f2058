"""The error of a decoder, measured again: as a function of the current, on its validation models.

A checkpoint carries the error model that inference believes. Where the way of measuring has changed, the weights need
not be trained again: this reads the data that the configuration names, measures, prints, and writes the new error into
the checkpoint's card (``--write``). What is amortised for the old error has then to be trained again.

Run: ``python analyses/decoder_error.py analyses/configs/pvalb.toml --cell pvalb-689331391 --write``
"""

import argparse
from dataclasses import replace
from pathlib import Path

from noble_prob.decoder.checkpoint import cell_folder, load_decoder, write_error
from noble_prob.population.latents import SPACES, protocol_of
from noble_prob.training.config import read_config
from noble_prob.training.error_model import measure_error
from noble_prob.training.gather import gather
from noble_prob.training.responses import standard_columns


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--cell", required=True)
    parser.add_argument("--folder", type=Path, help="the checkpoint; the shipped one if not given")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    config = replace(read_config(args.config), device="cpu")
    data = gather(next(c for c in config.cells if c.name == args.cell), config)
    folder = args.folder or cell_folder(args.cell)
    decoder = load_decoder(folder)
    columns = standard_columns(data.responses, protocol_of(SPACES[config.latent_space]))
    error = measure_error(decoder, data, standard_sweeps=columns)
    print(f"latency {error.latency_log_sd:.5f}, rate {error.rate_log_sd:.5f}, residual {error.residual_ms:.3f} ms, "
          f"correlated over {error.current_length_pa:.0f} pA, doubled at {error.slow_ms:.0f} ms")  # fmt: skip
    for k, name in enumerate(decoder.summary_names):
        course = " ".join(f"{f:.2f}" for f in error.summary_factor[:, k])
        print(f"{name:28s} SD {error.summary_sd[k]:.4f}, {error.summary_shares[k]:.0%} over "
              f"{error.summary_lengths_pa[k]:.0f} pA, times {course}")  # fmt: skip
    print("at", " ".join(f"{i:.0f}" for i in error.summary_knots_pa), "pA")
    if args.write:
        write_error(folder, error)


if __name__ == "__main__":
    main()
