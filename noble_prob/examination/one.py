"""One recording, and all that can be said about it: the line through the whole house.

    recording -> posterior of the latents -> voltages of its draws -> checks

Nothing here is new: :func:`noble_prob.inference.infer` samples, :func:`noble_prob.ensemble.respond` renders,
:func:`noble_prob.calibration.replay.check_posterior` checks. What it amounts to is said by findings, which stand below.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from noble_prob.calibration.predictive import PredictiveCheck
from noble_prob.calibration.replay import check_posterior
from noble_prob.calibration.result import Calibration
from noble_prob.calibration.train_contrast import TrainContrast
from noble_prob.cells import Cell
from noble_prob.ensemble import respond
from noble_prob.errors import listed, require, require_seed
from noble_prob.examination.repeats import judge_repeats, judge_trains
from noble_prob.inference import Observation, Posterior, infer, observe
from noble_prob.latent import Neurons
from noble_prob.recording import Recording

MEMBERS = 12
"""Posterior draws whose voltage is rendered."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Examination:
    """A recording and what was found.

    Attributes:
        recording: The sweeps that were used; None where only the posterior is at hand.
        cell: The kind of neuron it was taken for.
        posterior: Of its latents.
        ensemble: Voltage of some posterior draws under the same steps, axis ``draw``.
        check: Posterior predictive check.
        repeats: Spread over repeats of the same step, recorded against predicted; None where no step was repeated.
        trains: Their spike trains, per repeated step that fires.
        truth: True latents by name, where the recording was simulated.
    """

    recording: Recording | None
    cell: Cell
    posterior: Posterior
    ensemble: Recording
    check: PredictiveCheck
    repeats: Calibration | None = None
    trains: tuple[TrainContrast, ...] = ()
    truth: Mapping[str, float] | None = None

    def __repr__(self) -> str:
        """One line for people."""
        return f"Examination(cell {self.cell.name!r}, {self.posterior!r})"


def examine(
    recording: Recording,
    cell: Cell,
    *,
    seed: int = 0,
    truth: Mapping[str, float] | None = None,
    progress: bool = False,
    **settings: Any,
) -> Examination:
    """Infer a recording's neuron, predict the recording from it, and compare.

    Args:
        recording: Sweeps of one neuron under current steps of 100 ms or more.
        cell: The kind of neuron it is believed to be.
        seed: Of everything random.
        truth: True latents by name (coordinate units), where known; they are carried along, never used.
        progress: Show bars on stderr.
        settings: Further arguments of :func:`noble_prob.inference.infer`: method, chains, draws, robust, ...; the
            estimator is the cell's if none is given.

    Returns:
        The posterior, voltages of some of its draws, the posterior predictive check, and for steps that were repeated
        the spread over repeats (features and spike trains) against that of predicted repeats.

    Raises:
        UsageError: If no sweep can be used, a setting is out of range, or the truth is of other latents.
    """
    seed = require_seed(seed)
    _require_truth(truth, cell)
    settings = {"estimator": cell.estimator, **settings}
    posterior = infer(recording, decoder=cell.decoder, prior=cell.prior, seed=seed, progress=progress, **settings)
    return completed(posterior, cell, recording, seed=seed, truth=truth)


def examine_posterior(
    posterior: Posterior,
    cell: Cell,
    recording: Recording | None = None,
    *,
    seed: int = 0,
    truth: Mapping[str, float] | None = None,
) -> Examination:
    """Everything about a posterior that is there already.

    Args:
        posterior: What was inferred.
        cell: With what.
        recording: From what, if it is at hand.
        seed: Of everything random.
        truth: True latents by name (coordinate units), where known.

    Raises:
        UsageError: If the recording is not the one it was inferred from, or was read in another way.
    """
    seed = require_seed(seed)
    _require_truth(truth, cell)
    if recording is not None:
        _require_same(posterior, observe(recording, cell.decoder))
    return completed(posterior, cell, recording, seed=seed, truth=truth)


def _require_truth(truth: Mapping[str, float] | None, cell: Cell) -> None:
    """Refuse true values of latents that the cell does not have."""
    names = cell.decoder.space.names
    unknown = [name for name in truth or {} if name not in names]
    require(not unknown, "truth", f"latents of the cell ({', '.join(names)})", listed(unknown), "use their names")


def _require_same(posterior: Posterior, again: Observation) -> None:
    """Refuse a recording that shows other things than the posterior has seen."""
    saw, shows = posterior.evidence, again.evidence
    steps, others = ([round(a) for a in e.design.current_pa.tolist()] for e in (saw, shows))
    require(
        steps == others and posterior.sweeps == again.sweeps,
        "recording",
        f"the one with the steps {steps} pA",
        f"{others} pA",
        "pass the file that the posterior was inferred from",
    )
    n = len(steps)
    trains = [[t[torch.isfinite(t)] for t in e.times_ms] for e in (saw, shows)]
    same = [len(a) == len(b) and torch.allclose(a, b, atol=0.01) for a, b in zip(*trains, strict=True)]
    same += [torch.allclose(saw.summary[k], shows.summary[k], atol=0.01, equal_nan=True) for k in range(n)]
    other = sorted({k % n for k, fits in enumerate(same) if not fits})
    require(
        not other,
        "recording",
        "the one that the posterior was inferred from, read in the same way",
        f"another response in {len(other)} of {n} sweeps (first: {steps[(other or [0])[0]]} pA)",
        "pass the same file with the same --channel, --pulse, --sweeps and --ljp-mv as to infer",
    )


def completed(
    posterior: Posterior,
    cell: Cell,
    recording: Recording | None,
    *,
    seed: int,
    truth: Mapping[str, float] | None = None,
) -> Examination:
    """A posterior with voltages of its draws, and the checks.

    Args:
        posterior: What was inferred.
        cell: With what.
        recording: From what, if it is at hand; that it is the same is not asked.
        seed: Of everything random.
        truth: True latents by name, where known.
    """
    amplitudes, members = posterior.evidence.design.current_pa, some_draws(posterior, MEMBERS, seed=seed)
    return Examination(
        recording=None if recording is None else recording.select(list(posterior.sweeps)),
        cell=cell,
        posterior=posterior,
        truth=truth,
        check=check_posterior(posterior, seed=seed),
        ensemble=respond(cell.decoder, members, amplitudes, extrapolate=True),  # whatever it was inferred from
        repeats=judge_repeats(posterior, seed=seed),
        trains=judge_trains(posterior),
    )


def some_draws(posterior: Posterior, n: int, *, seed: int) -> Neurons:
    """A few posterior draws, as neurons of axis ``draw``.

    Args:
        posterior: The posterior.
        n: How many.
        seed: Of the choice.
    """
    every = posterior.neurons
    generator = torch.Generator().manual_seed(seed)
    return replace(every, value=every.value[torch.randperm(len(every), generator=generator)[:n]], weight=None)
