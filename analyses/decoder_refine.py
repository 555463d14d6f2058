"""Train the spike map of a finished decoder on, with the published models' own responses and a few perturbed ones.

A large penalty on bending between neurons (``straight``, see docs/training.md) buys spike times of unseen neurons, and
costs some of the latencies near rheobase, whose logarithm diverges there. This goes on from such a decoder with a
smaller one at a low learning rate. Spikes that never come, at currents below zero, stay where they are, also half-way
between neurons: the operator looks at them too. The error model is then measured anew on validation models. The
shipped VIP decoder was finished so:

    python analyses/decoder_refine.py --cell vip-650077366 --checkpoint out/vip/vip-650077366 --out out/refined \
        out/data/vip-held-out out/data/vip-base out/data/vip-more

The last folders are data sets (see analyses/configs/vip.toml); what of it was held out stays apart here too.
"""

from __future__ import annotations

import argparse
import copy
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from noble_prob.decoder.checkpoint import load_decoder, read_card, save_decoder
from noble_prob.decoder.noble import NobleDecoder
from noble_prob.decoder.spike_map import current_features
from noble_prob.population.latents import SPACES, protocol_of
from noble_prob.training.data import TrainingData, concatenate, prepare
from noble_prob.training.error_model import measure_error
from noble_prob.training.loop import Schedule, figures, fit
from noble_prob.training.publish import LATENT_TABLE, model_counts
from noble_prob.training.responses import standard_columns
from noble_prob.training.sources import from_store
from noble_prob.training.tasks import SpikeMapTask

DESCRIBED = ("decoder", "architecture", "latent_space", "window", "summary_names", "error", "weights_sha256")
"""What a card says of the decoder itself, written anew."""

KEEP = 3.0
"""Weight of departing from the old spike map where nobody fires."""


def main() -> None:
    args = options()
    decoder = load_decoder(args.checkpoint)
    assert isinstance(decoder, NobleDecoder)
    stores = [from_store(path, cell=args.cell) for path in args.data]
    data = prepare(concatenate(stores), latents=SPACES[decoder.space.name], validation=args.validation, seed=args.seed)
    decoder.spike_map.requires_grad_(True)
    task = Refinement(data, decoder, near_pa=tuple(args.near_pa), near_share=args.near_share)
    before = task.validate()
    schedule = Schedule(steps=args.steps, batch=args.batch, peak_lr=args.rate, weight_decay=0.03, ema=0.99,
                        straight=args.straight, straight_left=args.straight_left, seed=args.seed,
                        validate_every=max(1, args.steps // 4))  # fmt: skip
    row = fit(task, schedule, name="refine")[-1]
    for name, value in figures(row).items():
        print(f"{name}: {before[name]:.4f} -> {value:.4f}")
    decoder.spike_map.requires_grad_(False)
    decoder.error = measure_error(decoder, data, standard_sweeps=columns(data, decoder))
    write(decoder, data, args, {"schedule": schedule.settings(), "before": before, "after": figures(row)})


class Refinement(SpikeMapTask):
    """The task of the spike map, with a hold on the times that never come, and more rows from near threshold."""

    def __init__(self, data: TrainingData, decoder: NobleDecoder, *, near_pa: tuple[float, ...], near_share: float):
        super().__init__(data, decoder)
        low, high = near_pa
        self.near = torch.nonzero((self.train.current >= low) & (self.train.current <= high)).flatten()
        self.near_share = near_share
        self.old = copy.deepcopy(decoder.spike_map).requires_grad_(False)

    def draw(self, batch: int, generator: torch.Generator) -> Tensor:
        """A batch for every member; ``near_share`` of it from near threshold."""
        rows = super().draw(batch, generator)
        near = torch.randint(len(self.near), rows.shape, generator=generator)
        chosen = torch.rand(rows.shape, generator=generator) < self.near_share
        return torch.where(chosen, self.near[near], rows)

    def loss(self, rows: Tensor) -> Tensor:
        """That of the spike map, and the departure from the old one at currents that make nobody fire."""
        x, current = self.train.x[rows], self.train.current[rows]
        inputs = torch.cat([0.5 * (x + x.roll(1, 0)), current_features(current)], -1)
        inputs = inputs.unflatten(0, (self.old.members, -1))
        silent = (current <= 0).unflatten(0, (self.old.members, -1))
        new, old = (m.logarithms(m.net(inputs))[..., :25] for m in (self.decoder.spike_map, self.old))
        off = (new - old).abs()
        return super().loss(rows) + KEEP * ((off[..., 0] + 2 * off[..., 1:].mean(-1)) * silent).mean(1).sum()


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--cell", required=True)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--batch", type=int, default=384)
    parser.add_argument("--rate", type=float, default=3e-4)
    parser.add_argument("--straight", type=float, default=1.0)
    parser.add_argument("--straight-left", type=float, default=1.0)
    parser.add_argument("--near-pa", type=float, nargs=2, default=(8.0, 45.0))
    parser.add_argument("--near-share", type=float, default=0.0)
    parser.add_argument("--validation", type=int, default=36)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def columns(data: TrainingData, decoder: NobleDecoder) -> Any:
    """Where the standard protocol is."""
    return standard_columns(data.responses, protocol_of(decoder.space.latents))


def write(decoder: NobleDecoder, data: TrainingData, args: argparse.Namespace, refined: dict[str, Any]) -> None:
    """The checkpoint, its card with what was done here, and the latent table as it was."""
    card = read_card(args.checkpoint)
    facts = {name: value for name, value in card.items() if name not in DESCRIBED}
    refined |= {"models": model_counts(data), "data_sha256": data.digest()}
    facts["training"] = {**card["training"], "refined": refined}
    save_decoder(decoder, args.out, facts)
    shutil.copy(args.checkpoint / LATENT_TABLE, args.out / LATENT_TABLE)


if __name__ == "__main__":
    main()
