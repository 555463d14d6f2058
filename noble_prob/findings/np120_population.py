"""NP120: can the population that was inferred from these recordings be believed?

*Issue* when the chains of its means and SDs have not settled (R-hat above 1.01 or an effective sample size below 400).
*Caution* when the check of the second stage failed: the weights of the hyper-parameters can not be believed (Pareto
shape above 0.7, or a variance above 0.25 nats squared by the chance of the recordings' draws), so that the Gaussian
stand-ins for the recordings' likelihoods were not corrected, or leave fewer than 400 effective draws; or the weights of
some neurons' draws can not, so that these neurons rest on their stand-ins. *Passed* otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from noble_prob.findings.base import Finding
from noble_prob.findings.registry import check
from noble_prob.inference.agreement import ESS, R_HAT
from noble_prob.inference.export_population import population_convergence
from noble_prob.inference.importance import BELIEVABLE
from noble_prob.inference.population import Population


@check("NP120", "Population behind the recordings", Population)
def population(result: Population, say: Callable[..., Finding]) -> Iterator[Finding]:
    """Findings about the chains, the weights of the hyper-parameters and the neurons; one if all is well."""
    rows = population_convergence(result)
    r_hat, worst = max((row["r_hat"], name) for name, row in rows.items())
    ess, fewest = min((min(row["ess_bulk"], row["ess_tail"]), name) for name, row in rows.items())
    lost = [name for name, k in zip(result.labels, result.k_hat_each.tolist(), strict=True) if not k <= BELIEVABLE]
    evidence = {
        "r_hat": r_hat,
        "ess": ess,
        "k_hat": result.k_hat,
        "weight_noise": result.weight_noise,
        "effective_weights": result.effective_weights,
        "recordings": len(result.labels),
        "lost": lost,
    }
    settled, doubts = r_hat <= R_HAT and ess >= ESS, list(_doubts(result, lost))
    left = min(ess, result.effective_weights)
    if not settled:
        unsettled = f"R-hat of {worst} is {r_hat:.3f}, {fewest} has {ess:.0f} effective draws"
        yield say("issue", f"The chains have not settled: {unsettled}.", "Draw longer.", **evidence)
    elif left < ESS:
        yield say("caution", f"The weights leave {left:.0f} effective draws.", "Draw longer.", **evidence)
    elif not doubts:
        yield say(
            "passed",
            f"The population of {len(result.labels)} recordings is settled (R-hat at most {r_hat:.3f}, "
            f"{left:.0f} effective draws) and its weights can be believed (Pareto k = "
            f"{result.k_hat:.2f}).",
            **evidence,
        )
    for sentence, remedy in doubts:
        yield say("caution", sentence, remedy, **evidence)


def _doubts(result: Population, lost: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What speaks against the weights, and what to do."""
    if result.weights is None:
        shape, chance = f"Pareto k = {result.k_hat:.2f}", f"{result.weight_noise:.2g} nats squared of chance"
        why = chance if result.k_hat <= BELIEVABLE else shape
        yield (
            "The population rests on Gaussian stand-ins for the recordings' likelihoods: their correction could not be "
            f"believed ({why}).",
            "Stand-ins are as good where the recordings' posteriors are not skewed; else infer the recordings with a "
            "wider reference prior, or draw more of each.",
        )
    if lost:
        few = ", ".join(lost[:4]) + (", ..." if len(lost) > 4 else "")
        yield (
            f"{len(lost)} of {len(result.labels)} neurons rest on Gaussian stand-ins for their recordings ({few}): "
            "their own draws lie too thinly where the population is.",
            "Infer these recordings again with the population as prior (`to_prior`) where their draws matter.",
        )
