"""Teach one network what the spike maps of a finished decoder say on average, and write the decoder with that one.

A decoder that is trained with `teachers` in its configuration (analyses/configs) ends like this by itself; here the
teachers are those of a checkpoint. The neurons to begin from are draws of its cell's prior, the published models that
this was fitted to, and perturbed ones, of which the responses to the standard protocol are enough
(``noble-prob populate --n-random 0``): without these a student is right about the prior's draws alone and errs three
times as much as its teachers about models that leave the population along its thin directions. Prints how far student
and teachers are apart, on neurons that were not used: draws of the prior by their distance from the training models,
and the models of ``--check``. On these the error model of the new card is measured too.

    python analyses/decoder_student.py --checkpoint out/vip/vip-650077366 --prior out/vip/vip-650077366/prior \
        --stores out/data/vip-latents --check out/data/vip-unseen --out out/student/vip-650077366 --device cuda
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import replace
from pathlib import Path

import torch

from noble_prob.cells import load_cell
from noble_prob.decoder.base import DecoderError
from noble_prob.decoder.checkpoint import load_decoder, read_card, save_decoder
from noble_prob.decoder.noble import NobleDecoder
from noble_prob.decoder.spike_map import SpikeMap
from noble_prob.population.latents import protocol_of
from noble_prob.priors import Prior
from noble_prob.training.error_model import measure_error
from noble_prob.training.gather import unseen
from noble_prob.training.loop import figures, fit
from noble_prob.training.publish import LATENT_TABLE
from noble_prob.training.responses import standard_columns
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
    apart = load_cell(args.checkpoint).held_out_numbers
    perturbed = [latents_of(decoder, store, apart) for store in args.stores]
    task = StudentTask(decoder, teachers, neurons(prior, perturbed, DRAWS, seed=args.seed).to(args.device))
    schedule = Schedule(
        steps=args.steps,
        batch=args.batch,
        optimiser="soap",
        peak_lr=args.rate,
        warmup=0.05,
        ema=0.999,
        seed=args.seed,
        save_every=args.steps,
        validate_every=max(1, args.steps // 4),
        log_every=500,
    )
    row = fit(task, schedule, name="student")[-1]
    print({name: round(value, 5) for name, value in figures(row).items()}, f"{row['seconds']:.0f} s")
    compare(decoder, teachers, prior, [latents_of(decoder, store, apart) for store in args.check])
    decoder.spike_map.requires_grad_(False)
    decoder.error = error_of(decoder, args.check, args.checkpoint.name, apart)
    card = read_card(args.checkpoint)
    facts = {name: value for name, value in card.items() if name not in DESCRIBED}
    made = {
        "taught_by": card["weights_sha256"],
        "draws_of_the_prior": DRAWS,
        "perturbed_models": sum(len(x) for x in perturbed),
        "machine": machine(torch.device(args.device)),
        "schedule": schedule.settings(),
        "wall_s": round(row["seconds"], 1),
        **figures(row),
    }
    if args.begin:
        made["went_on_from"] = read_card(args.begin)["training"]["student"]
    facts["training"] = {**card["training"], "student": made}
    save_decoder(decoder, args.out, facts)
    shutil.copy(args.checkpoint / LATENT_TABLE, args.out / LATENT_TABLE)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--prior", type=Path, required=True)
    parser.add_argument(
        "--stores", type=Path, nargs="*", default=[], help="data sets of perturbed models to begin from"
    )
    parser.add_argument("--check", type=Path, nargs="+", required=True, help="others: how wrong it is")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--begin", type=Path, help="checkpoint of a student to go on from, of this width")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--steps", type=int, default=40_000)
    parser.add_argument("--batch", type=int, default=4096)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


def error_of(decoder: NobleDecoder, stores: list[Path], cell: str, apart: tuple[int, ...]) -> DecoderError:
    """How wrong the decoder is with its new spike map."""
    data = unseen(stores, cell, decoder.space.name, held_out=apart)
    columns = standard_columns(data.responses, protocol_of(decoder.space.latents))
    return measure_error(decoder, data, standard_sweeps=columns)


def latents_of(decoder: NobleDecoder, store: Path, apart: tuple[int, ...]) -> torch.Tensor:
    """Standardised latents of the perturbed models of a data set, none of a held-out model."""
    return decoder.space.standardise(unseen([store], store.name, decoder.space.name, held_out=apart).latents)


def neurons(prior: Prior, perturbed: list[torch.Tensor], n: int, *, seed: int) -> torch.Tensor:
    """Standardised latents of ``n`` draws and, as often each, of the published and of the perturbed models."""
    models = [prior.points, torch.cat(perturbed)] if perturbed else [prior.points]
    repeated = [x.repeat(n // len(x), 1) for x in models]
    return torch.cat([prior.sample_standardised(n, seed=seed), *repeated]).float()


@torch.no_grad()
def compare(decoder: NobleDecoder, teachers: SpikeMap, prior: Prior, others: list[torch.Tensor]) -> None:
    """Differences of spike times between student and teachers: of draws by support, of perturbed models."""
    draws = prior.sample_standardised(4096, seed=12345).double()
    support = decoder.cpu().support(decoder.space.unstandardise(draws))
    print("neurons                 spikes  median |difference| ms  90 %     99 %     counts that differ %")
    for low, high in ((0.0, 0.5), (0.5, 1.0), (1.0, 1.5)):
        chosen = draws[(support >= low) & (support < high)]
        difference(f"draws, {low:.1f} to {high:.1f}", decoder, teachers.cpu(), chosen)
    for k, x in enumerate(others):
        difference(f"set {k + 1} of --check", decoder, teachers, x.repeat(20, 1))


def difference(title: str, decoder: NobleDecoder, teachers: SpikeMap, x: torch.Tensor) -> None:
    """One row of the table: neurons at random currents."""
    low, high = decoder.window.current_range_pa
    current = low + (high - low) * torch.rand(len(x), generator=torch.Generator().manual_seed(1))
    own, taught = (m.mean_times(x.float(), current) for m in (decoder.spike_map, teachers))
    here = taught < decoder.window.duration_ms
    apart = (own - taught).abs()[here].double()
    if not len(apart):
        return
    counts = ((own < decoder.window.duration_ms).sum(-1) != here.sum(-1)).double().mean()
    levels = [float(apart.sort().values[int(q * (len(apart) - 1))]) for q in (0.5, 0.9, 0.99)]
    print(f"{title:20s} {len(apart):8d}  " + "  ".join(f"{v:12.4f}" for v in levels) + f"  {100 * counts:8.2f}")


if __name__ == "__main__":
    main()
