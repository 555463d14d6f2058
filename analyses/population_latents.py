"""The latent features of a simulated population, with the published models on top.

Claim: perturbed models that were accepted surround the models they come from; a decoder trained on them interpolates.
Prints the acceptance rate and rejections by reason, and draws every pair of latents.

    python analyses/population_latents.py --store SET [--hof DIR] --out pairs.png
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from noble_prob.latent import Latent
from noble_prob.population.builtin import open_hof
from noble_prob.population.latents import SPACES, latent_values, protocol_of
from noble_prob.population.simulate import simulate
from noble_prob.population.store import Store
from noble_prob.recording import Protocol


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


def draw(values: Tensor, published: Tensor | None, latents: tuple[Latent, ...], path: Path) -> None:
    """Every pair of latents: the population in grey, the published models on top."""
    from matplotlib.figure import Figure

    n = len(latents)
    figure = Figure(figsize=(1.15 * n, 1.15 * n), layout="constrained")
    for (row, column), ax in np.ndenumerate(figure.subplots(n, n, squeeze=False)):
        if column > row:
            ax.axis("off")
            continue
        groups = [(values, "0.6", 1.0), *([] if published is None else [(published, "C3", 6.0)])]
        for group, colour, size in groups:
            if row == column:
                ax.hist(group[:, row], bins=30, density=True, histtype="stepfilled", color=colour, alpha=0.6)
            else:
                ax.scatter(group[:, column], group[:, row], s=size, color=colour, lw=0, rasterized=True)
        ax.tick_params(labelsize=5, labelleft=column == 0 and row > 0, labelbottom=row == n - 1)
        if row == n - 1:
            ax.set_xlabel(f"{latents[column].name}\n({latents[column].unit})", fontsize=6)
        if column == 0 and row:
            ax.set_ylabel(f"{latents[row].name}\n({latents[row].unit})", fontsize=6)
    figure.savefig(path, dpi=75)


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
        published = own[defined]
    print(f"latents defined: {len(values)} of {status['accepted']}")
    draw(values, published, latents, args.out)


if __name__ == "__main__":
    main()
