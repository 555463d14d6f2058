"""The latent features of a simulated population, with the published models on top.

Claim: perturbed models that were accepted surround the models they come from; a decoder trained on them interpolates.
Prints the acceptance rate and rejections by reason, and draws every pair of latents, or of those that are named.

    python analyses/population_latents.py --store SET [--hof DIR] [--latents a,b,c] --out pairs.png
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from noble_prob.findings.words import with_step
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


def axis_name(latent: Latent) -> str:
    """Plain name, step and unit of a latent; logarithms of a time are drawn as milliseconds."""
    unit = "ms" if latent.log else latent.unit
    return f"{with_step(latent.name, latent.current_pa).replace(' at ', chr(10) + 'at ')} ({unit})".replace("-", "−")


def draw(groups: dict[str, Tensor], latents: tuple[Latent, ...], path: Path) -> None:
    """Every pair of latents, the last group on top, and a legend."""
    from matplotlib.figure import Figure

    n, looks = len(latents), (("0.6", 2.0), ("C3", 14.0))
    figure = Figure(figsize=(2.1 * n, 2.0 * n), layout="constrained")
    shown = {
        name: np.stack([v[:, k].exp() if x.log else v[:, k] for k, x in enumerate(latents)], 1)
        for name, v in groups.items()
    }
    scales = [Scale(np.concatenate([v[:, k] for v in shown.values()]), axis_name(x)) for k, x in enumerate(latents)]
    panels = figure.subplots(n, n, sharex="col", squeeze=False)
    for (row, column), ax in np.ndenumerate(panels):
        if column > row:
            ax.axis("off")
            continue
        for (name, group), (colour, size) in zip(shown.items(), looks, strict=False):
            if row == column:
                share = np.full(len(group), 1 / len(group))
                ax.hist(group[:, row], bins=scales[row].bins, weights=share, color=colour, alpha=0.6)
            else:
                ax.scatter(group[:, column], group[:, row], s=size, color=colour, lw=0, label=name, rasterized=True)
        dress(ax, scales, row, column)
    handles, names = panels[1, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="upper right", bbox_to_anchor=(0.98, 0.96), fontsize=14, markerscale=4)
    figure.savefig(path, dpi=75)


class Scale:
    """How an axis is drawn: logarithmic where its values differ by more than a factor of ten."""

    def __init__(self, values: np.ndarray, name: str) -> None:
        low, high = values.min(), values.max()
        self.name, self.log = name, bool(low > 0 and high > 10 * low)
        self.bins = np.geomspace(low, high, 31) if self.log else np.linspace(low, high, 31)

    def apply(self, axis: Any) -> None:
        """Scale and ticks of an axis."""
        from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, ScalarFormatter

        if self.log:
            axis.axes.set(**{f"{axis.axis_name}scale": "log"})
            axis.set_minor_formatter(NullFormatter())
        axis.set_major_locator(LogLocator(subs=(1.0,)) if self.log else MaxNLocator(4))
        axis.set_major_formatter(ScalarFormatter())


def dress(ax: Any, scales: list[Scale], row: int, column: int) -> None:
    """Scales, ticks and names of a panel."""
    last, diagonal = row == len(scales) - 1, row == column
    scales[column].apply(ax.xaxis)
    if diagonal:
        ax.set_yticks([])
    else:
        scales[row].apply(ax.yaxis)
    ax.tick_params(labelsize=11, labelleft=column == 0 and not diagonal, labelbottom=last)
    if last:
        ax.set_xlabel(scales[column].name, fontsize=12)
    if column == 0:
        ax.set_ylabel("share" if diagonal else scales[row].name, fontsize=12)


def chosen(space: str, names: str | None) -> tuple[Latent, ...]:
    """The latents of a space, or those of them that are named."""
    known = {latent.name: latent for latent in SPACES[space]}
    wanted = list(known) if names is None else names.split(",")
    unknown = [name for name in wanted if name not in known]
    if unknown or len(wanted) < 2:
        raise SystemExit(f"--latents takes two or more of {', '.join(known)}")
    return tuple(known[name] for name in wanted)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--hof", default=None, help="folder of the published models, or 'builtin'")
    parser.add_argument("--space", choices=SPACES, default="features16", help="latent space (features13 for 'builtin')")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--latents", default=None, help="only these latents of the space, as a,b,c (all)")
    args = parser.parse_args()
    store = Store(args.store)
    status = Counter(s for chunk in store for s in chunk.status)
    for name, n in status.most_common():
        print(f"{n:6d}  {name}")
    print(f"accepted: {100 * status['accepted'] / status.total():.1f} % of {status.total()}")
    latents = chosen(args.space, args.latents)
    values = of_store(store, latents)
    groups = {f"{len(values)} perturbed models": values}
    if args.hof is not None:
        protocol = Protocol.step_family(protocol_of(latents))
        own, defined = latent_values(simulate(open_hof(args.hof), protocol, jobs=args.jobs), latents)
        groups[f"{int(defined.sum())} published models"] = own[defined]
    print(f"latents defined: {len(values)} of {status['accepted']}")
    draw(groups, latents, args.out)


if __name__ == "__main__":
    main()
