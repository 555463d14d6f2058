"""Recordings side by side, and one after the other where that breaks: one of them may be guilty."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from noble_prob.inference.observe import Observation
from noble_prob.inference.posterior import Posterior
from noble_prob.jobs.bars import say


def one_by_one_if_broken(
    run: Callable[[Sequence[Observation]], list[Posterior]], items: Sequence[Observation]
) -> list[Posterior | Exception]:
    """A posterior, or what went wrong, for every recording; that a batch broke is said on stderr.

    Args:
        run: Samples several recordings side by side.
        items: Their observations.
    """
    try:
        return list(run(items))
    except Exception as error:
        if len(items) == 1:
            return [error]
        why = " ".join(f"{type(error).__name__}: {error}".split())
        say(f"{len(items)} recordings side by side failed ({why}); now one after the other.")
        return [found for item in items for found in one_by_one_if_broken(run, [item])]
