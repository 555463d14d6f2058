"""Claim: neurons that were never simulated behave like neurons.

Their f-I curves rise, none fires at rest, features stay in range. Fifty draws of the prior and fifty points between
two models answer steps of -110 pA and of 0 pA to the top of the decoder's range, every 10 pA. Counted are neurons that
fire without current; steps up at which a spike is lost (it may be counting noise: one that falls beyond the end), or
more than one; and the share of neurons inside the range of the training models, feature by feature.

    python analyses/decoder_novel_neurons.py --cell pvalb-689331391 [--n 50] [--seed 0] [--plot fi.png]
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

import noble_prob as nb
from noble_prob.cells import Cell
from noble_prob.latent import Neurons
from noble_prob.recording import Recording

COMPARED = (
    ("resting_voltage_mv", -110.0),
    ("voltage_deflection_mv", -110.0),
    ("sag_mv", -110.0),
    ("spike_count", 50.0),
    ("spike_count", 180.0),
    ("first_spike_latency_ms", 180.0),
    ("mean_isi_ms", 180.0),
    ("ap1_peak_mv", 180.0),
    ("ap1_trough_mv", 180.0),
    ("ap1_width_ms", 180.0),
)


def between(cell: Cell, n: int, seed: int) -> Neurons:
    """Points at random places between pairs of training models."""
    g = torch.Generator().manual_seed(seed)
    value = cell.models.value
    i, j = (torch.randint(len(value), (n,), generator=g) for _ in range(2))
    w = torch.rand(n, 1, generator=g, dtype=value.dtype)
    return replace(cell.models, value=w * value[i] + (1 - w) * value[j], labels=())


def compared(responses: Recording, currents: list[float]) -> dict[str, Tensor]:
    """The compared features, each ``(neuron,)``, NaN where undefined."""
    features = nb.measure(responses, names=tuple(dict.fromkeys(name for name, _ in COMPARED)))
    out = {}
    for name, current in COMPARED:
        value, mask = features[name]
        k = currents.index(current)
        out[f"{name} at {current:g} pA"] = torch.where(mask[:, k], value[:, k], torch.nan)
    return out


def report(name: str, responses: Recording, currents: list[float], known: dict[str, Tensor]) -> Tensor:
    """Print what is claimed; returns the spike counts, ``(neuron, step)``."""
    count = nb.measure(responses, names=("spike_count",)).value[..., 0]
    drops = -count.diff(dim=-1)
    print(f"{name}: {len(count)} neurons, {len(currents)} steps from {currents[0]:g} to {currents[-1]:g} pA")
    print(f"  fire at rest (0 pA): {int((count[:, currents.index(0.0)] > 0).sum())}")
    print(f"  steps up with one spike less: {int((drops == 1).sum())}, with two or more less: {int((drops > 1).sum())}")
    inside = {
        feature: (
            (v >= known[feature].nan_to_num(torch.inf).amin()) & (v <= known[feature].nan_to_num(-torch.inf).amax())
        )
        for feature, v in compared(responses, currents).items()
    }
    for feature, ok in inside.items():
        print(f"  {feature:<32}{100 * float(ok.double().mean()):6.1f} % inside the training models' range")
    share = torch.stack(list(inside.values())).double().mean()
    print(f"  over all features {100 * float(share):.1f} %")
    return count


def plot(cell: Cell, curves: dict[str, Tensor], currents: list[float], path: Path) -> None:
    """f-I curves, one panel a group."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 3.2), layout="constrained")
    axes = figure.subplots(1, len(curves), sharey=True)
    for ax, (name, count) in zip(axes, curves.items(), strict=True):
        ax.plot(currents, (1000 / cell.decoder.window.duration_ms * count).T, color="C0", alpha=0.3, lw=0.8)
        ax.set(xlabel="current (pA)")
        ax.set_title(f"{cell.name.split('-')[0].upper()}: {name} (n = {len(count)})", fontsize=8.5)
    axes[0].set(ylabel="rate (Hz)")
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cell", default="pvalb-689331391")
    parser.add_argument("--n", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    cell = nb.load_cell(args.cell)
    top = int(cell.decoder.window.current_range_pa[1]) // 10 * 10
    currents = [-110.0, *(float(c) for c in range(0, top + 1, 10))]
    groups = {
        "prior draws": nb.draw(cell.prior, args.n, seed=args.seed),
        "points between models": between(cell, args.n, args.seed),
    }
    published = nb.respond(cell.decoder, cell.models, [c for c in currents if c in {a for _, a in COMPARED}])
    known = compared(published, published.protocol.amplitudes_pa.tolist())
    curves = {
        name: report(name, nb.respond(cell.decoder, neurons, currents), currents, known)
        for name, neurons in groups.items()
    }
    if args.plot:
        own = nb.measure(nb.respond(cell.decoder, cell.models, currents), names=("spike_count",)).value[..., 0]
        plot(cell, {"training models": own, **curves}, currents, args.plot)


if __name__ == "__main__":
    main()
