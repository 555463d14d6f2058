"""How posteriors were made, as paragraphs to paste: what each method has, and nothing that it has not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from noble_prob.inference import Posterior
from noble_prob.inference.looked import looked_at
from noble_prob.noise import NoisePrior
from noble_prob.report.plain import number

HOW = {
    "npe": "importance sampling begun by an amortised normalising flow",
    "importance": "importance sampling from a fitted Student t",
    "svi": "a variational normalising flow",
    "hmc": "Hamiltonian Monte Carlo",
    "nuts": "the no-U-turn sampler",
}
"""What a method is called in a sentence."""


def posterior_methods(posteriors: Sequence[Posterior]) -> tuple[str, ...]:
    """One paragraph per method, about all posteriors that were made by it.

    Args:
        posteriors: One per recording, of any methods.
    """
    groups: dict[str, list[Posterior]] = {}
    for p in posteriors:
        groups.setdefault(p.method, []).append(p)
    return tuple(_paragraph(method, found) for method, found in groups.items())


def _paragraph(method: str, found: Sequence[Posterior]) -> str:
    """What was inferred from what, how, and how the draws were judged."""
    weighted, flow = any("k_hat" in p.provenance for p in found), method == "svi"
    sweeps = _span(len(p.sweeps) for p in found)
    each = "" if len(found) == 1 else f"each of {len(found)} recordings, "
    detail = _weighted(found) if weighted else _flow(found) if flow else _chains(found)
    seeds = ("seed " if len({p.seed for p in found}) == 1 else "seeds ") + _span(p.seed for p in found)
    seconds = f"{_span(round(p.wall_s) for p in found)} s{' each' if each else ''}"
    judged = _judged(weighted, flow)
    asked = sorted({str(p.provenance["asked"]) for p in found if "asked" in p.provenance})
    instead = f"; asked for: {', '.join(asked)}" if asked else ""
    return (
        f"Latent features were inferred from {each}{sweeps} sweep{'' if sweeps == '1' else 's'}"
        f"{' each,' if each else ''} by {HOW.get(method, method)} ({method}: {detail}; {seeds}, {seconds}{instead}) "
        f"{_model(found)}. Intervals are equal-tailed 89 % intervals; {judged}."
        f"{_looked(found)}"
    )


def _model(found: Sequence[Posterior]) -> str:
    """Decoder, likelihood, prior, and the priors of the noise where they are not the usual ones."""
    made = [p.provenance for p in found]
    decoders = sorted({_decoder(p) for p in made})
    priors = ", ".join(sorted({str(p["prior"]) for p in made}))
    shapes = sorted({"Student-t" if p["robust"] else "Gaussian" for p in made}, reverse=True)
    noises = {_noise(NoisePrior.from_dict(p["noise_prior"])) for p in made}
    return (
        f"through the likelihood of spike times and of summary features ({' or '.join(shapes)}) of noble_prob, with "
        f"{' or '.join(decoders)}, under a prior over neurons of the kind {priors}{''.join(sorted(noises))}"
    )


def _decoder(made: Mapping[str, Any]) -> str:
    """The decoder by its cell and the beginning of its hash."""
    if "cell" not in made:
        return f"a decoder of no named cell ({made['decoder']})"
    return f"the decoder of {made['cell']} (SHA-256 {made['decoder_sha256'][:12]})"


def _noise(noise: NoisePrior) -> str:
    """Which priors of noise scales were others than usual."""
    usual = asdict(NoisePrior())
    if noise == NoisePrior():
        return ""
    if noise == NoisePrior.simulated():
        return ", and the priors of a noiseless simulation over noise"
    other = [name for name, value in asdict(noise).items() if value != usual[name]]
    return f", and priors over noise that differ from the usual ones in {', '.join(other)}"


def _looked(found: Sequence[Posterior]) -> str:
    """What was looked at of steps longer than the decoder's, if there were any."""
    parts = sorted({part for p in found if (part := looked_at(p))})
    return f" Of longer steps only what the decoder knows was looked at: {'; '.join(parts)}." if parts else ""


def _chains(found: Sequence[Posterior]) -> str:
    """Chains, their length and their warm-up."""
    chains, draws = (_span(p.latents.shape[k] for p in found) for k in (0, 1))
    return f"{chains} chains of {draws} draws after {_span(int(p.provenance['warmup']) for p in found)} of warm-up"


def _weighted(found: Sequence[Posterior]) -> str:
    """Draws, what their weights were worth, and the move that followed."""
    shape = _span((float(p.provenance["k_hat"]) for p in found), 2)
    effective = _span(round(float(p.provenance["effective"])) for p in found)
    worth = _span(round(float(p.provenance["worth"])) for p in found)
    return (
        f"{_draws(found)} draws resampled by Pareto-smoothed weights, whose k-hat was {shape} and whose "
        f"effective sample size {effective}, then moved by one Hamiltonian trajectory each, after which they were "
        f"worth {worth}"
    )


def _flow(found: Sequence[Posterior]) -> str:
    """Draws of a flow that are taken as they are."""
    shape = _span((float(p.provenance["guide_k_hat"]) for p in found), 2)
    return f"fitted by its evidence lower bound; {_draws(found)} draws, not weighted, k-hat {shape}"


def _judged(weighted: bool, flow: bool) -> str:
    """What the diagnostics are."""
    if weighted:
        return "k-hat is the Pareto shape of the weights (Vehtari et al. 2024)"
    if flow:
        return "k-hat is the Pareto shape of the ratios of posterior to flow (Yao et al. 2018)"
    return "R-hat and ESS follow Vehtari et al. (2021)"


def _draws(found: Sequence[Posterior]) -> str:
    return _span(p.latents.shape[0] * p.latents.shape[1] for p in found)


def _span(values: Iterable[Any], digits: int = 3) -> str:
    """One value, or the smallest and the largest."""
    every = sorted(set(values))
    ends = [number(value, digits) for value in (every[0], every[-1])]
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"
