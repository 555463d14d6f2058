"""Neurons between neurons: interpolated parameters against interpolated latent features (NOBLE's Fig. 4B).

Pairs of training models are drawn; the neuron at a random place between them is made twice: from interpolated
biophysical parameters, by the simulator, and from interpolated latent features, by the decoder. Both are judged by the
same targets: means and standard deviations of the training models' own simulated features.

Read the second figure with care. The latent features *are* features, most of them among the targets, so a point between
two acceptable ones is acceptable in them by construction, and the decoder has only learned neurons of this kind.
Therefore all targets are counted and, apart, those that are no latent. What the comparison does show is how far from
convex the set of acceptable parameters is.

    python analyses/population_interpolation.py --hof DIR [--pairs 200] [--decoder CELL] [--jobs 2]
"""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np
import torch

from noble_prob.decoder.checkpoint import TrainedDecoder, load_decoder
from noble_prob.ensemble import respond
from noble_prob.latent import Latent, Neurons
from noble_prob.population.accept import Criterion, Verdict, judge_models
from noble_prob.population.builtin import open_hof
from noble_prob.population.hof import HallOfFame
from noble_prob.population.latents import FEATURES16, HELD_OUT_MODELS, latent_values, protocol_of
from noble_prob.population.perturb import perturb
from noble_prob.population.simulate import simulate
from noble_prob.population.targets import targets_of
from noble_prob.recording import Protocol, Recording

JUDGED_PA = protocol_of(FEATURES16)
"""Steps that the targets are about, whatever latents a decoder has."""
STANDARD = Protocol.step_family(JUDGED_PA)
K_SD = (2.0, 3.0, 4.0)


def wilson(k: int, n: int) -> str:
    """Share with its 95 % interval (Wilson 1927)."""
    p, z = k / n, 1.96
    centre, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = (100 * (centre + side * half) / (1 + z * z / n) for side in (-1, 1))
    return f"{100 * p:5.1f} % ({low:.1f}..{high:.1f})"


def between_parameters(training: HallOfFame, pairs: int, seed: int, jobs: int) -> Recording:
    """Responses of models on straight lines between pairs, in parameter space (logs where positive)."""
    models = [perturb(training.models, number=n, seed=seed, noise_sd=0.0) for n in range(pairs)]
    return simulate(models, STANDARD, jobs=jobs)


def between_latents(decoder: TrainedDecoder, responses: Recording, pairs: int, seed: int) -> Recording:
    """Decoded responses at random places on straight lines between pairs, in latent space."""
    values, defined = latent_values(responses, decoder.space.latents)
    values = values[defined]
    rng = np.random.default_rng(seed)
    i, j = np.array([rng.choice(len(values), size=2, replace=False) for _ in range(pairs)]).T
    w = torch.from_numpy(rng.random((pairs, 1)))
    neurons = Neurons(space=decoder.space, value=w * values[i] + (1 - w) * values[j], axis="neuron")
    return respond(decoder, neurons, STANDARD)


def report(name: str, verdicts: list[Verdict], criteria: tuple[Criterion, ...], latents: tuple[Latent, ...]) -> None:
    """One line: the share accepted by all targets, by those that are no latent, and what failed most."""
    known = {(item.feature, item.current_pa) for item in latents}
    free = {c.reason for c in criteria if (c.feature, c.current_pa) not in known}
    accepted = sum(not v.reasons for v in verdicts)
    without = sum(not free.intersection(v.reasons) for v in verdicts)
    worst = Counter(r for v in verdicts for r in v.reasons).most_common(3)
    missed = ", ".join(f"{reason} ({n})" for reason, n in worst) or "none"
    print(f"  {name:28s} all targets {wilson(accepted, len(verdicts))}; no latents {wilson(without, len(verdicts))}")
    print(f"  {'':28s} most often missed: {missed}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hof", default="builtin")
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--decoder", default=None, help="name or folder of a decoder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    hof = open_hof(args.hof)
    training = hof if args.hof == "builtin" else hof.without(HELD_OUT_MODELS)
    decoder = load_decoder(args.decoder) if args.decoder else None
    latents = decoder.space.latents if decoder else FEATURES16
    steps = sorted({*JUDGED_PA, *protocol_of(latents)})
    known = simulate(training, Protocol.step_family(steps), jobs=args.jobs)
    own = known.select([steps.index(current) for current in JUDGED_PA])
    groups = {f"{len(training)} training models": own}
    groups["between, in parameter space"] = between_parameters(training, args.pairs, args.seed, args.jobs)
    if decoder:
        groups["between, in latent space"] = between_latents(decoder, known, args.pairs, args.seed)
    for k_sd in K_SD:
        criteria = targets_of(own, k_sd=k_sd, source=training.name)
        print(f"{training.name}: accepted within {k_sd:g} SD of {len(criteria)} targets (95 % interval)")
        for name, recording in groups.items():
            report(name, judge_models(recording, criteria), criteria, latents)


if __name__ == "__main__":
    main()
