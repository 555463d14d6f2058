"""NP108: which latents would move if prior or data had more weight?

Prior and likelihood are raised to powers near one by importance weights on the draws, and the change of each latent's
distribution is measured (power-scaling, Kallioinen et al. 2023; ArviZ's ``psense``; 0.05 is the limit). *Passed* names
latents that answer to both, and counts those that answer to the prior alone: these are the population's rather than
the cell's (NP105). It describes, and is no test of the prior, so it never is a caution: it can not tell a prior that is
wrong from one that matters. The smaller of a latent's two sensitivities, largest over latents, was 0.09 to 0.40 in 43
recordings drawn from the program (one, two, six and twenty sweeps), 0.17 to 0.41 in 4 whose spike peak lay 3 to 5 prior
SDs off, and 0.12 to 0.19 in 4 that lay twice as far out as the prior's draws in every latent. Whether recording and
population disagree is asked by NP107; who doubts the prior can infer again under a wider one,
``noble_prob.priors.widened(cell.prior, 2.0)``, and report what both say. *Not judged* for fewer than a hundred draws,
where their densities were not kept, and of draws that are no posterior (NP105).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from noble_prob.findings.base import Finding
from noble_prob.findings.disowned import disowned
from noble_prob.findings.registry import check
from noble_prob.findings.words import in_words, listed
from noble_prob.inference.export_sensitivity import sensitivity
from noble_prob.inference.posterior import Posterior

LIMIT, FEWEST = 0.05, 100


@check("NP108", "Sensitivity to the prior", Posterior)
def prior_sensitivity(result: Posterior, say: Callable[..., Finding]) -> Iterator[Finding]:
    """One finding about all latents."""
    if why := disowned(result):
        yield say("not judged", f"What the prior decides can not be said: {why}.")
        return
    known = {"log_prior", "log_likelihood"} <= set(result.stats)
    draws = result.latents[..., 0].numel()
    if not known or draws < FEWEST:
        yield say("not judged", "Power-scaling needs a hundred draws with their prior and likelihood.", draws=draws)
        return
    try:
        found = sensitivity(result)
    except ValueError:  # draws that all are the same
        yield say("not judged", "The draws do not vary enough to be weighted.", draws=draws)
        return
    both = [name for name, (prior, data) in found.items() if prior >= LIMIT and data >= LIMIT]
    alone = [name for name, (prior, data) in found.items() if prior >= LIMIT and data < LIMIT]
    evidence = {"prior": {n: p for n, (p, _) in found.items()}, "likelihood": {n: d for n, (_, d) in found.items()}}
    yield say("passed", _sentence(found, both, len(alone)), latents=both, **evidence)


def _sentence(found: dict[str, tuple[float, float]], both: list[str], alone: int) -> str:
    """Which latents answer to prior and data, those most sensitive to the prior, and how many to it alone."""
    body = "No latent depends on the prior as well as on the data"
    if both:
        worst = sorted(both, key=lambda name: -found[name][0])[:4]
        told = listed(in_words(name) for name in worst)
        body = f"{len(both)} of {len(found)} latents depend on the prior as well as on the data, most {told}"
    tail = f" {alone} {'follows' if alone == 1 else 'follow'} the prior alone." if alone else ""
    return f"{body}.{tail}"
