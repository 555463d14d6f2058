"""NP105: what did these sweeps teach, in words?

Contraction of a latent is one minus the ratio of its posterior to its prior variance. *Passed* names what is known
and how well. *Caution* names latents that keep more than half of their prior variance: their posterior is the prior,
and says something about the population, not about this cell. Combinations are looked at too: the direction of latent
space that keeps most of its prior variance is named when no single latent explains it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from noble_prob.findings.base import Finding
from noble_prob.findings.registry import check
from noble_prob.inference.posterior import Posterior

WEAK = 0.5


@check("NP105", "What the sweeps inform", Posterior)
def information(result: Posterior, say: Callable[..., Finding]) -> Iterator[Finding]:
    """Known latents, uninformed latents, uninformed direction."""
    before = torch.cov(result.prior_predictive.latents.T)
    after = result.covariance()
    kept = (after.diagonal() / before.diagonal()).clamp(max=1.0)
    sd = after.diagonal().sqrt()
    rows = list(zip(result.space.latents, kept.tolist(), sd.tolist(), strict=True))
    known = sorted((k, f"{latent.name} to {_amount(s, latent.unit)}") for latent, k, s in rows if k <= WEAK)
    weak = [latent.name for latent, k, _ in rows if k > WEAK]
    evidence = {"contraction": {latent.name: 1 - k for latent, k, _ in rows}}
    if known:
        best = ", ".join(text for _, text in known[:4])
        sentence = f"The sweeps fix {len(known)} of {len(rows)} latents to less than half of their prior variance; "
        yield say("passed", f"{sentence}best known: {best} (SD).", **evidence)
    if weak:
        sentence = f"These sweeps hardly inform {', '.join(weak)}: more than half of the prior variance is left."
        yield say("caution", sentence, _advice(result, weak), latents=weak)
    direction = _direction(before, after, result.space.names) if not weak else ""
    if direction:
        yield say("caution", f"One combination is hardly informed: {direction}.", "Add sweeps at other currents.",
                  direction=direction)  # fmt: skip


def _amount(sd: float, unit: str) -> str:
    """An SD in words: percent for logarithms, the unit otherwise."""
    return f"{100 * sd:.1f} %" if unit.startswith("ln(") else f"{sd:.2g} {unit}"


def _advice(result: Posterior, weak: list[str]) -> str:
    """Which step would inform the latents: those at whose current nothing was recorded."""
    have = result.evidence.design.current_pa
    steps = {latent.current_pa for latent in result.space.latents if latent.name in weak}
    missing = sorted(s for s in steps if float((have - s).abs().min()) > 30.0)
    if not missing:
        return "Treat them as the population's, not as this cell's."
    return "Record a step near " + ", ".join(f"{s:+.0f} pA" for s in missing) + "."


def _direction(before: Tensor, after: Tensor, names: tuple[str, ...]) -> str:
    """The least informed combination, if it keeps more than half of its prior variance."""
    root = torch.linalg.cholesky(before)
    white = torch.linalg.solve_triangular(root, torch.linalg.solve_triangular(root, after, upper=False).T, upper=False)
    value, vector = torch.linalg.eigh(0.5 * (white + white.T))
    if float(value[-1]) <= WEAK:
        return ""
    change = (root @ vector[:, -1]) / before.diagonal().sqrt()
    largest = change.abs().argsort(descending=True)[:3].tolist()
    sign = 1.0 if float(change[largest[0]]) > 0 else -1.0
    words = [
        f"{'higher' if sign * float(change[k]) > 0 else 'lower'} {names[k]}"
        for k in largest
        if abs(float(change[k])) > 0.2
    ]
    return " with ".join(words) if len(words) > 1 else ""
