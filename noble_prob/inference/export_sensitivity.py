"""How much a posterior answers to its prior and to its likelihood: power-scaling by ArviZ, on the draws at hand.

Reference: Kallioinen, Paananen, Bürkner, Vehtari (2023) Detecting and diagnosing prior and likelihood sensitivity with
power-scaling, Statistics and Computing 34.
"""

from __future__ import annotations

import arviz as az

from noble_prob.inference.posterior import Posterior


def sensitivity(posterior: Posterior) -> dict[str, tuple[float, float]]:
    """Sensitivity of every latent to the population's prior and to the likelihood (pure numbers, 0.05 is a lot).

    The prior that is scaled is that of the latents, not that of the noise scales; the likelihood is that of all sweeps
    together, with their correlated errors.

    Args:
        posterior: With ``log_prior`` and ``log_likelihood`` among its ``stats``.

    Returns:
        ``{name: (prior, likelihood)}``.
    """
    columns = {name: posterior.latents[..., k].numpy() for k, name in enumerate(posterior.space.names)}
    tree = az.from_dict(
        {
            "posterior": columns,
            "log_prior": {"latents": posterior.stats["log_prior"].numpy()},
            "log_likelihood": {"recording": posterior.stats["log_likelihood"].numpy()},
        }
    )
    prior, likelihood = (az.psense(tree, group=group) for group in ("prior", "likelihood"))
    return {name: (float(prior[name]), float(likelihood[name])) for name in columns}
