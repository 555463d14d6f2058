"""How much a background current blurs each summary feature, in units of what inference takes for usual.

Training models of a cell (never held-out ones) answer steps under an Ornstein-Uhlenbeck current (3 ms). What a feature
differs from the decoder's, divided by its usual SD (``noble_prob.noise.scales``), should have about the same root mean
square for all features that share a scale, at all currents; the mean, in SDs, is the lift of features that pick an
extreme. Correlations of features within a sweep belong to ``noble_prob.noise.together``. The decoder's own error is
part of all of it and small here.

Run: ``python analyses/inference_usual_noise.py --hof DIR --models 8``
"""

import argparse
from pathlib import Path

import torch

import noble_prob as nb
from noble_prob.inference import observe
from noble_prob.noise.scales import usual_sd_at
from noble_prob.population.hof import import_hof
from noble_prob.population.stimuli import OUNoise
from noble_prob.recording import Protocol

CURRENTS = (-110.0, -90.0, -70.0, -50.0, -30.0, 60.0, 180.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hof", type=Path, required=True)
    parser.add_argument("--cell", default="pvalb-689331391")
    parser.add_argument("--models", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--noise-sd-pa", type=float, default=5.0)
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    cell, hof = nb.load_cell(args.cell), import_hof(args.hof)
    w, names = cell.decoder.window, cell.decoder.summary_names
    protocol = Protocol.step_family(
        list(CURRENTS), onset_ms=w.onset_ms, duration_ms=w.duration_ms, total_ms=w.n_samples * w.dt_ms, dt_ms=w.dt_ms
    )
    currents, off = [], []
    for k in torch.linspace(0, len(cell.models) - 1, args.models).round().long().tolist():
        label = int(cell.models.labels[k])
        answer = nb.simulate(
            hof.select([label]).models[0],
            protocol,
            jobs=args.jobs,
            trials=args.repeats,
            noise=OUNoise(sd_pa=args.noise_sd_pa, seed=77 + label),
        )
        seen = observe(answer, cell.decoder).evidence
        current = seen.design.current_pa
        expected = cell.decoder.summary(cell.models.value[k].expand(len(current), -1), current).to(seen.summary)
        currents.append(current)
        off.append((seen.summary - expected) / usual_sd_at(names, current).mT)
    table(torch.cat(currents), torch.cat(off), names)
    correlations(torch.cat(currents), torch.cat(off), names)


def table(current_pa: torch.Tensor, off: torch.Tensor, names: tuple[str, ...]) -> None:
    """Mean and root mean square of every feature at every current."""
    print(f"{'mean, rms (usual SDs)':28s}" + "".join(f"{c:>14.0f} pA" for c in CURRENTS) + f"{'all':>14s}")
    for k, name in enumerate(names):
        cells = []
        for at in [current_pa == c for c in CURRENTS] + [torch.ones_like(current_pa, dtype=torch.bool)]:
            x = off[at, k][torch.isfinite(off[at, k])]
            cells.append(f"{float(x.mean()):+8.2f} {float(x.square().mean().sqrt()):5.2f}" if len(x) else 14 * " ")
        print(f"{name:28s}" + "".join(f"{c:>17s}" for c in cells[:-1]) + f"{cells[-1]:>14s}")


def correlations(current_pa: torch.Tensor, off: torch.Tensor, names: tuple[str, ...]) -> None:
    """Correlation of features within hyperpolarised sweeps, each current about its own mean."""
    rows = []
    for at in (current_pa == c for c in CURRENTS if c < 0):
        x = off[at][:, torch.isfinite(off[at]).any(0)]
        x = x[torch.isfinite(x).all(1)]
        rows.append((x - x.mean(0)) / x.std(0))
    seen = [name for name, some in zip(names, torch.isfinite(off[current_pa < 0]).any(0), strict=True) if some]
    matrix = torch.corrcoef(torch.cat(rows).T)
    print("\ncorrelation in hyperpolarised sweeps")
    for name, row in zip(seen, matrix, strict=True):
        print(f"{name:28s}" + "".join(f"{float(r):+8.2f}" for r in row))


if __name__ == "__main__":
    main()
