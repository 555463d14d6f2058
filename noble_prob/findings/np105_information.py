"""NP105: what did these sweeps teach, in words?

Contraction of a latent is one minus the ratio of its posterior to its prior variance. *Passed* names what is known
and how well, and what keeps more than half of its prior variance: the posterior of these latents is the prior, and says
something about the population, not about this cell. That is no fault of the posterior (of 220 recordings drawn from
the program 81 % had such latents, or wider ones), so it is a *caution* only where no latent is known. *Caution* of its
own names latents that are *wider* than before (more than 1.5 times the variance): recording and population contradict
each other there. Of 43 recordings drawn from the program 3 had a latent above 1.2 times, none above 1.4. *Not judged*
while chains are far from settled (R-hat above 1.1) and where weights can not be believed (NP104): the spread is then no
posterior's. Of more than four latents the number is told. Combinations of latents are the matter of NP109.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from noble_prob.findings.base import Finding
from noble_prob.findings.disowned import disowned
from noble_prob.findings.registry import check
from noble_prob.findings.words import amount, begun, in_words, listed
from noble_prob.inference.posterior import Posterior
from noble_prob.recording.step import step_label

WEAK, WIDER = 0.5, 1.5
"""Shares of the prior variance above which a latent counts as not informed, and as less certain than before."""
SHOWN = 4
"""Latents that are named; of more than these only the number is told."""


@check("NP105", "What the sweeps inform", Posterior)
def information(result: Posterior, say: Callable[..., Finding]) -> Iterator[Finding]:
    """Known latents, latents that the sweeps say little about, and latents that they made less certain."""
    if why := disowned(result):
        yield say("not judged", f"What the sweeps taught can not be said: {why}.")
        return
    kept, sd = (1 - result.contraction()).tolist(), result.covariance().diagonal().sqrt().tolist()
    rows = list(zip(result.space.latents, kept, sd, strict=True))
    known = sorted((k, f"{in_words(latent.name)} to {amount(s, latent.unit)}") for latent, k, s in rows if k <= WEAK)
    weak = [latent.name for latent, k, _ in rows if WEAK < k <= WIDER]
    if known:
        best = listed(text for _, text in known[:SHOWN])
        sentence = f"{len(known)} of {len(rows)} latents are known to less than half of their prior variance, best "
        yield say("passed", f"{sentence}{best} (SD).", contraction={latent.name: 1 - k for latent, k, _ in rows})
    if weak:
        yield say(
            "passed" if known else "caution",
            f"{_subject(weak, len(rows))} not informed by these sweeps: more than half of the prior variance is left.",
            _advice(result, weak),
            latents=weak,
        )
    if wider := [latent.name for latent, k, _ in rows if k > WIDER]:
        yield say(
            "caution",
            f"{_subject(wider, len(rows))} less certain than before: these sweeps contradict the population.",
            "Do not read these latents; see what is unlike the population (NP107).",
            latents=wider,
        )


def _subject(names: list[str], total: int) -> str:
    """Latents as the beginning of a sentence, with its verb."""
    if len(names) > SHOWN:
        return f"{len(names)} of {total} latents are"
    return f"{begun(listed(in_words(name) for name in names))} {'are' if len(names) > 1 else 'is'}"


def _advice(result: Posterior, weak: list[str]) -> str:
    """Which step would inform the latents: those at whose current nothing was recorded."""
    have = result.evidence.design.current_pa
    steps = {latent.current_pa for latent in result.space.latents if latent.name in weak}
    missing = sorted(s for s in steps if float((have - s).abs().min()) > 30.0)
    if not missing:
        return "Treat them as the population's, not as this cell's."
    return "Record a step near " + ", ".join(step_label(s) for s in missing) + "."
