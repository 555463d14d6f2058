"""What is done instead of what was asked for: a prior for a foreign estimator, chains for weights that fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import isfinite

from noble_prob.findings.base import Finding
from noble_prob.inference.batch import posteriors
from noble_prob.inference.belongs import stranger
from noble_prob.inference.importance import BELIEVABLE
from noble_prob.inference.observe import Observation
from noble_prob.inference.posterior import Posterior
from noble_prob.inference.task import BATCH, SETTINGS, Method, Task
from noble_prob.jobs.bars import say
from noble_prob.priors import derive

MORE = 4
"""Times the draws of a second attempt, where weights fail and the number of draws was left to the method."""

FallBack = bool | Callable[[Posterior], bool]
"""Whether chains replace weighted draws that can not be believed, or who decides."""


def without_stranger(task: Task, items: list[Observation]) -> tuple[Task, list[Observation]]:
    """Importance sampling from the prior in place of an estimator of something else, and a note that says so.

    Args:
        task: What is asked for, by ``npe``.
        items: Observations of the recordings.

    Returns:
        Both as they are where the estimator belongs to decoder, prior and noise.
    """
    of = stranger(task.amortised, task.decoder, task.prior, noise=task.noise)
    if not of:
        return task, items
    note = Finding(
        code="NP104",
        title="Importance weights",
        severity="caution",
        sentence=f"The amortised estimator belongs to {of} and was not used; sampling began from the prior.",
        remedy="Train it again with `noble-prob train-npe`.",
    )
    return replace(task, method="importance"), [replace(item, notes=(*item.notes, note)) for item in items]


def with_more_draws(found: list[Posterior], items: Sequence[Observation], task: Task, seed: int) -> list[Posterior]:
    """A second attempt with more draws for the recordings whose importance weights can not be believed.

    Of posteriors from few sweeps a third fails with the usual draws, and most of these pass with four times as many, in
    seconds where chains take a minute. Both attempts are one method that is given more to draw from: the second counts,
    whatever its weights.

    Args:
        found: Weighted posteriors.
        items: Observation of each.
        task: What gave them.
        seed: Seed of the run.
    """
    bad = [k for k, p in enumerate(found) if not p.provenance["k_hat"] <= BELIEVABLE]
    longer = replace(task, draws=MORE * task.draws)
    for at in range(0, len(bad), BATCH):
        some = bad[at : at + BATCH]
        again = posteriors(longer, [items[k] for k in some], seed=derive("more draws", seed, at))
        for k, p in zip(some, again, strict=True):
            found[k] = p
    return found


def replace_unbelievable(
    found: list[Posterior], items: Sequence[Observation], task: Task, seed: int, fall_back: FallBack
) -> list[Posterior]:
    """Chains for the recordings whose importance weights can not be believed, and a note that says so.

    One recording on a processor, somebody waiting for it, gets the reference and, unless a number of draws was asked
    for, as many as it takes; several, or on a graphics card, get batched chains.

    Args:
        found: Weighted posteriors.
        items: Observation of each.
        task: What gave them.
        seed: Seed of the run.
        fall_back: Whether to do it, or who decides for each.
    """
    wanted: Callable[[Posterior], bool] = fall_back if callable(fall_back) else lambda _: bool(fall_back)
    bad = [k for k, p in enumerate(found) if not p.provenance["k_hat"] <= BELIEVABLE and wanted(p)]
    method: Method = "nuts" if len(items) == 1 and task.device == "cpu" else "hmc"
    length = SETTINGS["nuts"][1] if method == "nuts" and task.until_converged else task.draws
    again = replace(task, method=method, warmup=SETTINGS[method][0], draws=length)
    noted = []
    if bad and task.progress and not callable(fall_back):  # whoever is asked tells it
        _tell_chains([found[k].provenance["k_hat"] for k in bad], len(found))
    for k in bad:
        shape = found[k].provenance["k_hat"]
        note = Finding(
            code="NP104",
            title="Importance weights",
            severity="caution",
            sentence=f"The weights could not be believed (Pareto k = {shape:.2f}); chains were run instead.",
            evidence={"k_hat": shape if isfinite(shape) else None},
        )
        noted.append(replace(items[k], notes=(*items[k].notes, note)))
    for at in range(0, len(bad), BATCH):
        for k, p in zip(
            bad[at : at + BATCH],
            posteriors(again, noted[at : at + BATCH], seed=derive("instead", seed, at)),
            strict=True,
        ):
            found[k] = p
    return found


def _tell_chains(shapes: Sequence[float], total: int) -> None:
    """One line on stderr: somebody who asked for seconds now waits for minutes."""
    what = "The quick posterior" if total == 1 else f"{len(shapes)} of {total} quick posteriors"
    shape = f"Pareto k = {max(shapes):.1f}" if len(shapes) == 1 else f"Pareto k up to {max(shapes):.1f}"
    say(f"{what} can not be trusted ({shape}): running chains, which can take minutes; Ctrl-C stops.")
