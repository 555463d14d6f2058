"""Teach one network what the spike maps of a finished decoder say on average, and write the decoder with that one.

A decoder that is trained with `teachers` in its configuration (analyses/configs) ends like this by itself; here the
teachers are those of a checkpoint, and the neurons to begin from are draws of its cell's prior and the published models
that this was fitted to. Prints how far student and teachers are apart, on neurons that were not used, by their distance
from the training models:

    python analyses/decoder_student.py --checkpoint out/vip/vip-650077366 --prior out/vip/vip-650077366/prior \
        --out out/student/vip-650077366 --device cuda
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import replace
from pathlib import Path

import torch

from noble_prob.decoder.checkpoint import load_decoder, read_card, save_decoder
from noble_prob.decoder.noble import NobleDecoder
from noble_prob.decoder.spike_map import SpikeMap
from noble_prob.priors import Prior
from noble_prob.training.loop import figures, fit
from noble_prob.training.publish import LATENT_TABLE
from noble_prob.training.run import machine
from noble_prob.training.schedule import Schedule
from noble_prob.training.student import StudentTask, spike_map_for

DRAWS = 16_384
"""Neurons of the prior to begin from."""
DESCRIBED = ("decoder", "architecture", "latent_space", "window", "summary_names", "error", "weights_sha256")
"""What a card says of the decoder itself, written anew."""


def main() -> None:
    args = options()
    decoder = load_decoder(args.checkpoint, device=args.device)
    assert isinstance(decoder, NobleDecoder)
    prior = Prior.load(args.prior)
    teachers = decoder.spike_map
    decoder.spike_map = spike_map_for(decoder, width=args.width, members=1, seed=args.seed)
    if args.begin:
        decoder.spike_map.load_state_dict(load_decoder(args.begin, device=args.device).spike_map.state_dict())
    decoder.architecture = replace(decoder.architecture, map_members=1, map_width=args.width)
    task = StudentTask(decoder, teachers, neurons(prior, DRAWS, seed=args.seed).to(args.device))
    schedule = Schedule(
        steps=args.steps, batch=args.batch, optimiser="soap", peak_lr=args.rate, warmup=0.05, ema=0.999, seed=args.seed,
        save_every=args.steps, validate_every=max(1, args.steps // 4), log_every=500,
    )  # fmt: skip
    row = fit(task, schedule, name="student")[-1]
    print({name: round(value, 5) for name, value in figures(row).items()}, f"{row['seconds']:.0f} s")
    compare(decoder, teachers, prior)
    decoder.spike_map.requires_grad_(False)
    card = read_card(args.checkpoint)
    facts = {name: value for name, value in card.items() if name not in DESCRIBED}
    made = {
        "taught_by": card["weights_sha256"], "draws_of_the_prior": DRAWS, "machine": machine(torch.device(args.device)),
        "schedule": schedule.settings(), "wall_s": round(row["seconds"], 1), **figures(row),
    }  # fmt: skip
    if args.begin:
        made["went_on_from"] = read_card(args.begin)["training"]["student"]
    facts["training"] = {**card["training"], "student": made}
    save_decoder(decoder, args.out, facts)
    shutil.copy(args.checkpoint / LATENT_TABLE, args.out / LATENT_TABLE)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--prior", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--begin", type=Path, help="checkpoint of a student to go on from, of this width")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--steps", type=int, default=40_000)
    parser.add_argument("--batch", type=int, default=4096)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


def neurons(prior: Prior, n: int, *, seed: int) -> torch.Tensor:
    """Standardised latents of ``n`` draws and, as often in all, of the published models."""
    return torch.cat([prior.sample_standardised(n, seed=seed), prior.points.repeat(n // len(prior.points), 1)]).float()


@torch.no_grad()
def compare(decoder: NobleDecoder, teachers: SpikeMap, prior: Prior) -> None:
    """Differences of spike times between student and teachers, by support."""
    device, duration = decoder.support_precision.device, decoder.window.duration_ms
    x = prior.sample_standardised(4096, seed=12345).float().to(device)
    generator = torch.Generator(device).manual_seed(1)
    low, high = decoder.window.current_range_pa
    current = low + (high - low) * torch.rand(len(x), generator=generator, device=device)
    support = decoder.support(decoder.space.unstandardise(x.cpu().double()).to(device))
    own, taught = decoder.spike_map.mean_times(x, current), teachers.mean_times(x, current)
    print("support       spikes  median |difference| ms  90 %     99 %     counts that differ %")
    for a, b in ((0.0, 0.5), (0.5, 1.0), (1.0, 1.5)):
        at = (support >= a) & (support < b)
        here = taught[at] < duration
        apart = (own[at] - taught[at]).abs()[here]
        if not len(apart):
            continue
        counts = ((own[at] < duration).sum(-1) != here.sum(-1)).float().mean()
        levels = [float(apart.quantile(q)) for q in (0.5, 0.9, 0.99)]
        print(
            f"{a:.1f} to {b:.1f}  {len(apart):8d}  "
            + "  ".join(f"{v:12.4f}" for v in levels)
            + f"  {100 * counts:8.2f}"
        )


if __name__ == "__main__":
    main()
