"""NP109: which combinations of latents are hardly known, although each alone seems to be?

Intervals of single latents hide what the sweeps leave open together. Two things are looked for in the posterior
covariance. *Directions*: eigenvectors, in coordinates where the prior is standard normal, that keep more than half of
their variance. Not reported are directions in which no latent varies by a fifth of its prior SD, and directions that
lie mostly along latents already named by NP105.
*Trade-offs*: two latents, each informed, whose correlation is beyond 0.9 and at least 0.1 beyond the prior's: their
difference is known much better, and their common change much worse, than their intervals say. *Passed* for the former
together, for each of the latter, and when there is none: it describes a posterior and calls none wrong (60 % of 220
recordings drawn from the program had such combinations); the joint draws hold them. *Not judged* with fewer than ten
draws per latent, and of draws that are no posterior (NP105).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from noble_prob.findings.base import Finding
from noble_prob.findings.disowned import disowned
from noble_prob.findings.np105_information import WEAK
from noble_prob.findings.registry import check
from noble_prob.findings.words import begun, in_words
from noble_prob.inference.posterior import Posterior

TIED, BEYOND_PRIOR = 0.9, 0.1
SMALL = 0.2
"""Change of a latent (prior SDs) below which a direction does not matter."""
MOST = 3
"""Trade-offs that are told."""
NONE = "No combination of latents is much less known than the latents themselves."
REMEDY = "Use the joint draws and not single intervals, or add sweeps at other currents."


@check("NP109", "Combinations that are hardly known", Posterior)
def directions(result: Posterior, say: Callable[..., Finding]) -> Iterator[Finding]:
    """One finding per direction or trade-off, or one that says that there is none."""
    if why := disowned(result):
        yield say("not judged", f"Which combinations are known can not be said: {why}.")
        return
    before, after = torch.cov(result.prior_predictive.latents.T), result.covariance()
    draws, names = result.latents[..., 0].numel(), result.space.names
    if min(draws, len(result.prior_predictive.latents)) < 10 * len(names):
        yield say("not judged", f"{draws} draws do not determine a covariance of {len(names)} latents.", "Draw more.")
        return
    share, change = weak_directions(before, after)
    single = (after.diagonal() / before.diagonal()) > WEAK
    chosen = [
        (kept, vector) for kept, vector in zip(share.tolist(), change, strict=True) if _matters(kept, vector, single)
    ]
    if chosen:
        kept, vector = chosen[0]
        count = "One combination keeps" if len(chosen) == 1 else f"{len(chosen)} combinations keep"
        sentence = f"{count} more than half of the prior variance, most {_words(vector, names)} ({100 * kept:.0f} %)."
        yield say(
            "passed",
            sentence,
            REMEDY,
            kept=kept,
            direction=dict(zip(names, vector.tolist(), strict=True)),
            shares=[share for share, _ in chosen],
        )
    pairs = [p for p in trade_offs(before, after) if not single[p[0]] and not single[p[1]]][:MOST]
    for i, j, r in pairs:
        yield say("passed", _tied(names[i], names[j], r), REMEDY, latents=[names[i], names[j]], correlation=r)
    if not chosen and not pairs:
        yield say("passed", NONE, most_kept=float(share[0]))


def _matters(kept: float, vector: Tensor, single: Tensor) -> bool:
    """Whether a direction is weak, changes some latent noticeably, and is not mostly told by single latents."""
    return (
        kept > WEAK
        and float(vector.abs().max()) > SMALL
        and float(vector[single].square().sum()) < 0.5 * float(vector.square().sum())
    )


def _tied(one: str, other: str, r: float) -> str:
    """The sentence on a trade-off."""
    how = "rises with" if r > 0 else "falls with rising"
    both = f"{in_words(one)} and {in_words(other)}"
    return f"{begun(both)} are known together, not apart: one {how} the other (correlation {r:.2f})."


def weak_directions(before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
    """Directions by the share of prior variance that they keep, largest first.

    Args:
        before: Prior covariance, ``(latent, latent)``.
        after: Posterior covariance.

    Returns:
        Shares ``(direction,)``, and the change of every latent along each direction in prior SDs
        ``(direction, latent)``.
    """
    root = torch.linalg.cholesky(before)
    white = torch.linalg.solve_triangular(root, torch.linalg.solve_triangular(root, after, upper=False).T, upper=False)
    value, vector = torch.linalg.eigh(0.5 * (white + white.T))
    change = (root @ vector).T / before.diagonal().sqrt()
    return value.flip(0), change.flip(0)


def trade_offs(before: Tensor, after: Tensor) -> list[tuple[int, int, float]]:
    """Pairs of latents that are tied by the data, strongest first: ``(i, j, correlation)``."""
    prior, posterior = (c / (c.diagonal()[:, None] * c.diagonal()).sqrt() for c in (before, after))
    found = [
        (i, j, float(posterior[i, j]))
        for i in range(len(after))
        for j in range(i)
        if abs(float(posterior[i, j])) > TIED
        and (posterior[i, j] - prior[i, j]) * posterior[i, j].sign() > BEYOND_PRIOR
    ]
    return sorted(found, key=lambda pair: -abs(pair[2]))


def _words(change: Tensor, names: tuple[str, ...]) -> str:
    """The three latents that change most along a direction."""
    largest = change.abs().argsort(descending=True)[:3].tolist()
    sign = 1.0 if float(change[largest[0]]) > 0 else -1.0
    parts = [
        f"{'higher' if sign * float(change[k]) > 0 else 'lower'} {in_words(names[k])}"
        for k in largest
        if abs(float(change[k])) > 0.4 * float(change.abs().max())
    ]
    return " with ".join(parts)
