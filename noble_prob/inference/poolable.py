"""What can be pooled to a population: posteriors of one cell's latents, inferred with one prior."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from noble_prob.errors import require, require_kind
from noble_prob.inference.posterior import Posterior
from noble_prob.latent import require_latents
from noble_prob.priors import Prior
from noble_prob.priors.base import require_prior

FEWEST = 5
"""Recordings that make a population."""


def require_poolable(posteriors: Sequence[Posterior], prior: Prior, labels: Sequence[str]) -> None:
    """Refuse what can not be pooled.

    Args:
        posteriors: Of the recordings.
        prior: The prior that they are said to have.
        labels: Names of the recordings.

    Raises:
        UsageError: If there are too few posteriors, something else, or of other latents or another prior.
    """
    require_prior(prior)
    require(
        isinstance(posteriors, Sequence),
        "posteriors",
        "a list of posteriors",
        f"a {type(posteriors).__name__}",
        "infer several recordings: infer gives a list for a list",
    )
    for k, p in enumerate(posteriors):
        require_kind(p, Posterior, f"posteriors[{k}]", "pass what infer gives for a list of recordings")
    require(
        len(posteriors) >= FEWEST,
        "posteriors",
        f"at least {FEWEST}, for a population has several neurons",
        len(posteriors),
        "infer more recordings",
    )
    require(not labels or len(labels) == len(posteriors), "labels", "one per posterior", len(labels), "name every one")
    for k, p in enumerate(posteriors):
        _require_inferred_with(prior, p, k)


def _require_inferred_with(prior: Prior, posterior: Posterior, k: int) -> None:
    """Refuse a posterior over other latents, or one that another prior gave."""
    expected = f"over the {len(prior.space)} latents of the prior"
    require_latents(posterior.space, prior.space, f"posteriors[{k}]", expected, "infer all recordings with one cell")
    known = posterior.stats.get("log_prior")
    same = known is None or torch.allclose(known, prior.log_prob(posterior.standardised), atol=1e-4)
    require(
        same,
        "prior",
        "the prior that the recordings were inferred with",
        f"another for posterior {k}",
        "pass the prior that was given to infer",
    )
