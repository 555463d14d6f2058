"""A trial model fitted to twelve noisy repeats foresees the next ones: controls with known truth.

Held-out biophysical models get a step plus an Ornstein-Uhlenbeck current of their own in every repeat, so the truth
about their trial-to-trial variability is in the simulator and not in the model that is fitted (phase diffusion,
latency, rate).

1. The scales are fitted to twelve repeats at four currents, hierarchically over neurons and currents.
2. Predicted against true SD (of all repeats) of spike count, latency, mean interval, last spike; coverage of the 89 %
   intervals on repeats that the fit has not seen. An SD of twelve repeats is known to 21 %, one of 36 to 12 %: for one
   neuron the truth is taken from ``--truth`` further repeats as well.
3. ``calibrate_repeats`` on twelve unseen repeats: how often the fitted ensemble is called wrong (it should not be),
   and the same ensemble with its spread halved, doubled, or its mean shifted by one SD (it should be). Twelve repeats
   leave the mean itself uncertain by 0.3 SD: the test is told so (``fitted_to``), or not, or given the mean of all.
4. The fitted scales as a trial model of the decoder: ``respond(..., trials=n)`` renders voltages of repeats of the
   same neurons from their latents; spread measured on these voltages, against the truth.

    python analyses/variability_trial_model.py --hof DIR [--models 2 5 12 16 21] [--cell pvalb-689331391]
        [--truth 64] [--cache FILE.npz] [--jobs 2]
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from noble_prob.calibration import FeatureTable, calibrate_repeats, interval_coverage, pit
from noble_prob.calibration.trials import fit_trials, forecast_table, observed_table, repeats_of, trial_model
from noble_prob.cells import load_cell
from noble_prob.ensemble import respond
from noble_prob.noise.repeats import RepeatFit, SpikeRepeats
from noble_prob.population.hof import import_hof
from noble_prob.population.simulate import simulate
from noble_prob.population.stimuli import OUNoise
from noble_prob.recording import Protocol, Recording

CURRENTS_PA = (60.0, 100.0, 180.0, 260.0)
FITTED, SHOWN = 12, ("spike_count", "first_spike_latency_ms", "mean_isi_ms", "last_spike_ms")
STEP = Protocol.step_family(CURRENTS_PA, total_ms=430.0)


def noisy_repeats(
    hof: Path, models: list[int], trials: int, sd_pa: float, cache: Path | None, jobs: int, seed: int = 10
) -> Recording:
    """Voltages of shape (neuron, trial, sweep, time), simulated once if a cache is given."""
    if cache is not None and cache.is_file():
        with np.load(cache) as file:
            return Recording(protocol=STEP, voltage_mv=torch.from_numpy(file["v"]), axes=("neuron", "trial"))
    known = import_hof(hof).models
    noise = OUNoise(sd_pa=sd_pa, tau_ms=3.0, seed=seed)
    recording = simulate([known[k] for k in models], STEP, trials=trials, noise=noise, jobs=jobs)
    if cache is not None:
        np.savez_compressed(cache, v=recording.voltage_mv.numpy().astype(np.float32))
    return recording


def part(repeats: SpikeRepeats, chosen: slice) -> SpikeRepeats:
    """Some of the repeats of every group."""
    return replace(repeats, times_ms=[group[chosen] for group in repeats.times_ms])


def spread_and_coverage(fit: RepeatFit, repeats: SpikeRepeats) -> None:
    """Step 2: print ratios of predicted to true SD and the coverage of unseen repeats."""
    unseen, ratio, inside = part(repeats, slice(FITTED, None)), [], []
    for group in range(len(repeats.cell)):
        predicted = forecast_table(fit, group, n=2000, seed=group).select(SHOWN).value
        every, new = (observed_table(r, group).select(SHOWN).value for r in (repeats, unseen))
        sd = np.nanstd(every, 0, ddof=1)
        ratio.append(np.where(sd > 0, np.nanstd(predicted, 0) / np.where(sd > 0, sd, 1), np.nan))
        inside.append(interval_coverage(pit(new.T, predicted.T, seed=group), 0.89))
    print(f"{len(repeats.cell)} groups, {len(unseen.times_ms[0])} unseen repeats each")
    for k, name in enumerate(SHOWN):
        log = np.log(np.array(ratio)[:, k])
        near = int((np.abs(log) < np.log(1.2)).sum())
        print(
            f"  {name:16s} predicted / true SD {np.exp(np.nanmean(log)):.2f} (over groups: SD of the log "
            f"{np.nanstd(log):.2f}, within 20 %: {near})   89 % intervals hold "
            f"{100 * np.mean(inside, 0)[k]:.1f} %"
        )


def large_sample(fit: RepeatFit, repeats: SpikeRepeats, more: SpikeRepeats) -> None:
    """The same ratio for the first neuron, whose true SD is known from many repeats, and that of its twelve alone."""
    print("first neuron, SD over that of many repeats: predicted (that of the twelve fitted repeats)")
    for group, trains in enumerate(more.times_ms):
        every = replace(repeats, times_ms=[[*g, *trains] if k == group else g for k, g in enumerate(repeats.times_ms)])
        predicted = forecast_table(fit, group, n=2000, seed=group).select(SHOWN).value
        tables = (predicted, observed_table(part(repeats, slice(FITTED)), group).select(SHOWN).value)
        true = observed_table(every, group).select(SHOWN).value
        a, b = (np.nanstd(x, 0, ddof=1) / np.nanstd(true, 0, ddof=1) for x in tables)
        text = ", ".join(f"{name} {x:.2f} ({y:.2f})" for name, x, y in zip(SHOWN, a, b, strict=True))
        print(f"  {repeats.current_pa[group]:4.0f} pA, n = {len(true)}: {text}")


def wrong(ensemble: FeatureTable, factor: float, shift: float, mean: np.ndarray | None = None) -> FeatureTable:
    """The ensemble with its spread multiplied and its mean moved by some SDs, or to a given place."""
    centre, sd = np.nanmean(ensemble.value, 0), np.nanstd(ensemble.value, 0)
    place = centre if mean is None else mean
    return replace(ensemble, value=place + shift * sd + factor * (ensemble.value - centre))


def controls(fit: RepeatFit, repeats: SpikeRepeats) -> None:
    """Step 3: print how often each ensemble is called wrong on twelve unseen repeats."""
    unseen = part(repeats, slice(FITTED, 2 * FITTED))
    kinds = {
        "as fitted": (1.0, 0.0, False, True),
        "as fitted, test not told": (1.0, 0.0, False, False),
        "its mean known": (1.0, 0.0, True, False),
        "spread halved": (0.5, 0.0, False, True),
        "spread doubled": (2.0, 0.0, False, True),
        "mean + 1 SD": (1.0, 1.0, True, False),
    }
    for what, (factor, shift, known, told) in kinds.items():
        called, power = [], []
        for group in range(len(repeats.cell)):
            mean = np.nanmean(observed_table(repeats, group).select(SHOWN).value, 0) if known else None
            ensemble = wrong(forecast_table(fit, group, n=600, seed=group).select(SHOWN), factor, shift, mean)
            result = calibrate_repeats(
                observed_table(unseen, group).select(SHOWN),
                ensemble,
                permutations=999,
                seed=1,
                fitted_to=FITTED if told else None,
            )
            called.append(result.miscalibrated)
            power.append((result.power_narrow, result.power_wide))
        narrow, wide = np.mean(power, 0)
        print(
            f"  {what:24s} called wrong in {sum(called):2d} of {len(called)}   (printed power: x0.5 {narrow:.2f}, "
            f"x2 {wide:.2f})"
        )


def through_the_decoder(fit: RepeatFit, repeats: SpikeRepeats, name: str, models: list[int]) -> None:
    """Step 4: print ratios of rendered to true SD."""
    cell = load_cell(name)
    known = cell.held_out
    assert known is not None, "this cell ships no held-out models"
    ratio: dict[float, list[np.ndarray]] = {pa: [] for pa in CURRENTS_PA}
    for number, model in enumerate(models):
        at = list(known.labels).index(str(model))
        neuron = replace(known, value=known.value[[at]], labels=(str(model),), weight=None)
        scales = trial_model(fit, cell.decoder.space, cell=str(number))
        rendered = repeats_of(respond(cell.decoder, neuron, CURRENTS_PA, trials=60, trial_model=scales, seed=number))
        for k, pa in enumerate(CURRENTS_PA):
            true = observed_table(repeats, number * len(CURRENTS_PA) + k).select(SHOWN).value
            drawn = observed_table(rendered, k).select(SHOWN).value
            sd = np.nanstd(true, 0, ddof=1)
            ratio[pa].append(np.nanstd(drawn, 0, ddof=1) / np.where(sd > 0, sd, np.nan))
    print("voltages of respond(trials=60), SD over true SD (geometric mean over neurons): " + ", ".join(SHOWN))
    for pa, found in [*ratio.items(), ("all", [row for rows in ratio.values() for row in rows])]:
        table = np.array(found)
        log = np.log(np.where(table > 0, table, np.nan))
        print(f"  {pa!s:>5s} pA  " + "  ".join(f"{v:.2f}" for v in np.exp(np.nanmean(log, 0))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hof", type=Path, required=True)
    parser.add_argument("--models", type=int, nargs="+", default=[2, 5, 12, 16, 21])
    parser.add_argument("--cell", default="pvalb-689331391")
    parser.add_argument("--trials", type=int, default=36)
    parser.add_argument("--noise-sd-pa", type=float, default=20.0)
    parser.add_argument("--truth", type=int, default=0, help="further repeats of the first model")
    parser.add_argument("--cache", type=Path, default=None)
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    recording = noisy_repeats(args.hof, args.models, args.trials, args.noise_sd_pa, args.cache, args.jobs)
    repeats = repeats_of(recording)
    fit = fit_trials(part(repeats, slice(0, FITTED)), seed=1)
    print(f"fitted: R-hat {fit.r_hat:.3f}, {fit.divergences} divergences; scales (median over groups at each current)")
    for current in CURRENTS_PA:
        groups = [g for g, pa in enumerate(repeats.current_pa) if pa == current]
        latency, rate, sigma = fit.scales[:, groups].flatten(0, 1).median(0).values.tolist()
        print(
            f"  {current:4.0f} pA: latency {100 * latency:.0f} %, rate {100 * rate:.1f} %, phase diffusion "
            f"{sigma:.2f} spikes / sqrt(s)"
        )
    spread_and_coverage(fit, repeats)
    if args.truth:
        again = None if args.cache is None else args.cache.with_stem(f"{args.cache.stem}-truth")
        many = noisy_repeats(args.hof, args.models[:1], args.truth, args.noise_sd_pa, again, args.jobs, seed=11)
        large_sample(fit, repeats, repeats_of(many))
    controls(fit, repeats)
    through_the_decoder(fit, repeats, args.cell, args.models)


if __name__ == "__main__":
    main()
