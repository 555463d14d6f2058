"""The latent features of a simulated population, with the published models on top.

Claim: perturbed models that were accepted surround the models they come from; a decoder trained on them interpolates.
Prints the acceptance rate and rejections by reason, and draws every pair of latents.

    python analyses/population_latents.py --store SET [--hof DIR] --out pairs.svg
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import torch
from torch import Tensor

from noble_prob.latent import Latent
from noble_prob.population.builtin import open_hof
from noble_prob.population.latents import SPACES, latent_values, protocol_of
from noble_prob.population.simulate import simulate
from noble_prob.population.store import Store
from noble_prob.recording import Protocol
from noble_prob.report import PairPlot
from noble_prob.report.figures.latents import draw_pairs


def of_store(store: Store, latents: tuple[Latent, ...]) -> Tensor:
    """Latents of the accepted models of a data set, shape ``(model, latent)``; models that lack one are left out."""
    width = len(store.manifest["design"]["standard_pa"])
    rows = []
    for chunk in store:
        if chunk.accepted.any():
            responses = chunk.select(chunk.accepted).recording(range(width), sample_ms=store.manifest["dt_ms"])
            values, defined = latent_values(responses, latents)
            rows.append(values[defined])
    return torch.cat(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--hof", default=None, help="folder of the published models, or 'builtin'")
    parser.add_argument("--space", choices=SPACES, default="features16", help="latent space (features13 for 'builtin')")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    store = Store(args.store)
    status = Counter(s for chunk in store for s in chunk.status)
    for name, n in status.most_common():
        print(f"{n:6d}  {name}")
    print(f"accepted: {100 * status['accepted'] / status.total():.1f} % of {status.total()}")
    latents = SPACES[args.space]
    values = of_store(store, latents)
    published = None
    if args.hof is not None:
        protocol = Protocol.step_family(protocol_of(latents))
        own, defined = latent_values(simulate(open_hof(args.hof), protocol, jobs=args.jobs), latents)
        published = own[defined].numpy()
    print(f"latents defined: {len(values)} of {status['accepted']}")
    on_top = values.numpy() if published is None else published
    panel = PairPlot(
        names=[item.name for item in latents], units=[item.unit for item in latents], posterior=on_top,
        prior=None if published is None else values.numpy(),
    )  # fmt: skip
    args.out.write_text(draw_pairs(panel, "population", max_points=1000))


if __name__ == "__main__":
    main()
