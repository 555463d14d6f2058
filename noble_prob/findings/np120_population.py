"""NP120: can the population that was inferred from these recordings be believed?

*Issue* when the chains of its means and SDs have not settled (R-hat above 1.01 or an effective sample size below 400).
*Caution* when the check of the second stage failed: the Pareto shape of the weights of the hyper-parameters is above
0.7, so the Gaussian stand-in for the recordings' likelihoods was not corrected; or the weights of some neurons' draws
are, so those neurons can not be seen in the light of the others. *Passed* otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from noble_prob.findings.base import Finding
from noble_prob.findings.registry import check
from noble_prob.inference.export import ESS, R_HAT
from noble_prob.inference.export_population import population_convergence
from noble_prob.inference.importance import BELIEVABLE
from noble_prob.inference.population import Population


@check("NP120", "Population behind the recordings", Population)
def population(result: Population, say: Callable[..., Finding]) -> Iterator[Finding]:
    """One finding about the hyper-parameters and the neurons."""
    rows = population_convergence(result)
    r_hat, worst = max((row["r_hat"], name) for name, row in rows.items())
    ess, fewest = min((min(row["ess_bulk"], row["ess_tail"]), name) for name, row in rows.items())
    lost = [name for name, k in zip(result.labels, result.k_hat_each.tolist(), strict=True) if not k <= BELIEVABLE]
    evidence = {"r_hat": r_hat, "ess": ess, "k_hat": result.k_hat, "recordings": len(result.labels), "lost": lost}
    if r_hat > R_HAT or ess < ESS:
        sentence = (
            f"The chains have not settled: R-hat of {worst} is {r_hat:.3f}, {fewest} has {ess:.0f} effective draws."
        )
        yield say("issue", sentence, "Draw longer.", **evidence)
    elif result.weights is None:
        yield say("caution", f"The population rests on Gaussian stand-ins for the recordings' likelihoods: their "
                             f"correction could not be believed (Pareto k = {result.k_hat:.2f}).",
                  "Infer the recordings with a wider reference prior, or draw more of each.", **evidence)  # fmt: skip
    elif lost:
        yield say("caution", f"The draws of {len(lost)} of {len(result.labels)} neurons lie where the population is "
                             f"not ({', '.join(lost[:4])}).",
                  "Infer these recordings again with the population as prior.", **evidence)  # fmt: skip
    else:
        yield say("passed", f"The population of {len(result.labels)} recordings is settled (R-hat at most {r_hat:.3f}, "
                            f"{ess:.0f} effective draws) and its weights can be believed (Pareto k = "
                            f"{result.k_hat:.2f}).", **evidence)  # fmt: skip
