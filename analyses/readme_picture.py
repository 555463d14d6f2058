"""The picture of the README: a simulated, noise-free recording of a held-out model, and what inference makes of it.

Left: three sweeps of the demo recording (a held-out biophysical model) over the voltage of posterior draws. Right: each
latent before the recording (prior) and after it (posterior), in SDs of all training models, with the truth.

    python analyses/readme_picture.py --out docs/img/overview.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import noble_prob as nb
from noble_prob.findings.base import with_minus
from noble_prob.findings.words import with_step
from noble_prob.noise import NoisePrior

SHOWN = (0, 2, 4)
"""Sweeps of the demo recording that are drawn."""


def draw_traces(axes: np.ndarray, found: nb.Examination) -> None:
    """Recorded voltage over that of posterior draws."""
    recording = found.recording
    assert recording is not None
    time = recording.time_ms.numpy()
    for axis, k in zip(axes, SHOWN, strict=True):
        members = found.ensemble.voltage_mv[:6, k].numpy()
        axis.plot(found.ensemble.time_ms.numpy(), members.T, color="tab:orange", lw=1.4, alpha=0.7)
        axis.plot(time, recording.voltage_mv[k].numpy(), color="black", lw=0.5)
        axis.set(ylabel="voltage (mV)", xlim=(0, 430))
        axis.set_title(f"{recording.protocol.amplitudes_pa[k]:+.0f} pA".replace("-", "−"), loc="left", fontsize=9)
    axes[-1].set_xlabel("time (ms): recording (black) and six posterior draws (orange)")


def draw_latents(axis: plt.Axes, found: nb.Examination) -> None:
    """89 % intervals of prior and posterior, and the truth, in SDs of all training models."""
    posterior, space = found.posterior, found.posterior.space
    assert found.truth is not None
    names = list(space.names)
    y = np.arange(len(names))[::-1]
    prior = space.standardise(posterior.prior_predictive.latents).numpy()
    after = space.standardise(posterior.interval(0.89)).numpy()
    truth = (np.array([found.truth[n] for n in names]) - space.mean.numpy()) / space.sd.numpy()
    axis.hlines(y, *np.quantile(prior, [0.055, 0.945], axis=0), color="lightgray", lw=6, label="prior")
    axis.hlines(y, after[0], after[1], color="tab:orange", lw=2, label="posterior")
    axis.vlines(after.flatten(), np.tile(y, 2) - 0.22, np.tile(y, 2) + 0.22, color="tab:orange", lw=1.2)
    axis.plot(truth, y - 0.4, "k^", ms=4, label="truth")
    axis.set(
        yticks=y,
        xlabel="SDs of all training models",
        yticklabels=[with_minus(with_step(item.name, item.current_pa)) for item in space.latents],
    )
    axis.set_title("latent features, 89 % intervals", loc="left", fontsize=9)
    axis.tick_params(axis="y", length=0)
    axis.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.35, -0.11), ncol=3, fontsize=8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cell", default="pvalb-689331391")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("docs/img/overview.png"))
    args = parser.parse_args()
    cell = nb.load_cell(args.cell)
    assert cell.demo is not None
    recording, truth = cell.demo
    found = nb.examine(
        recording, cell, truth=truth, seed=args.seed, method="hmc", draws=300, noise=NoisePrior.simulated()
    )
    plt.rcParams |= {"axes.spines.top": False, "axes.spines.right": False, "font.size": 9}
    figure, axes = plt.subplot_mosaic(
        [["a", "z"], ["b", "z"], ["c", "z"]], figsize=(10, 5.2), width_ratios=(1.6, 1), layout="constrained"
    )
    draw_traces(np.array([axes[k] for k in "abc"]), found)
    draw_latents(axes["z"], found)
    figure.savefig(args.out, dpi=150)


if __name__ == "__main__":
    main()
