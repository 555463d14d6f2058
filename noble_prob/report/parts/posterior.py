"""A posterior and its predictive check as table of latents, pair plot, rasters and curves over current."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from noble_prob.calibration.predictive import PredictiveCheck
from noble_prob.findings.base import Finding, Severity, with_minus
from noble_prob.findings.disowned import no_posterior
from noble_prob.findings.np105_information import SHOWN as SHOWN_LATENTS
from noble_prob.findings.np105_information import WIDER
from noble_prob.findings.registry import judge
from noble_prob.findings.words import counted, with_step
from noble_prob.inference import Posterior, to_json
from noble_prob.inference.looked import looked_at
from noble_prob.latent import Neurons
from noble_prob.report.data import LatentRow, ReportData, Verdict
from noble_prob.report.panels import AFTER_ONSET, PairPlot, Raster
from noble_prob.report.parts.cautions import cautions, further_issues
from noble_prob.report.parts.curves import predictive_curves
from noble_prob.report.parts.methods import posterior_methods
from noble_prob.report.parts.pairs import ALIKE, latent_pairs, told_apart
from noble_prob.report.parts.traces import shown_of, spread
from noble_prob.report.plain import by_severity

MOST_PAIRS = 6
"""Latents in the pair plot: those the recording says most about."""
CHOICE = (
    f"shown are the latents that the recording says most about, at most {MOST_PAIRS}, without those whose draws "
    f"correlate above {ALIKE:g} with one of them"
)
SEEN = "The posterior has seen these sweeps: a misfit is believable, a pass is a weak one, and no spread is tested."


def posterior_part(
    posterior: Posterior,
    *,
    findings: Sequence[Finding] = (),
    population: Neurons | None = None,
    truth: Mapping[str, float] | None = None,
) -> ReportData:
    """What a report shows of a posterior.

    Args:
        posterior: Of one recording.
        findings: Judgements about the sampler, the support and the rest; notes about the input are added.
        population: Published models, axis ``neuron``.
        truth: True latents, where the recording was simulated.
    """
    rows = latent_rows(posterior, truth)
    found = (*posterior.notes, *findings)
    source = posterior.provenance.get("recording", {})
    return ReportData(
        title=str(source.get("file", "Posterior")),
        subtitle=heading(posterior, posterior.provenance.get("cell")),
        verdicts=(latent_verdict(rows, found),),
        findings=found,
        latents=rows,
        pairs=pair_plot(posterior, rows, population, truth),
        methods=posterior_methods([posterior]),
        provenance={"method": posterior.method, "seed": posterior.seed, "wall_s": posterior.wall_s},
        values={"wall_s": posterior.wall_s, "method": posterior.method, "seed": posterior.seed},
    )


def heading(posterior: Posterior, cell: str | None) -> str:
    """Cell, method and number of sweeps in one line; the cell where it is known."""
    decoder = f"decoder of {cell}, " if cell else ""
    return f"{decoder}{posterior.method}, {counted(len(posterior.sweeps), 'sweep')}"


def latent_rows(posterior: Posterior, truth: Mapping[str, float] | None = None) -> tuple[LatentRow, ...]:
    """The table of latents, with the prior's mean and SD beside it."""
    before = posterior.prior_predictive.latents
    known = truth or {}
    return tuple(
        LatentRow(
            name=name,
            unit=item["unit"],
            mean=item["mean"],
            sd=item["sd"],
            low=item["interval_89"][0],
            high=item["interval_89"][1],
            r_hat=item["r_hat"],
            ess_bulk=item["ess_bulk"],
            ess_tail=item["ess_tail"],
            contraction=item["contraction"],
            prior_mean=float(before[:, k].mean()),
            prior_sd=float(before[:, k].std()),
            truth=known.get(name),
            words=with_step(name, posterior.space.latents[k].current_pa),
        )
        for k, (name, item) in enumerate(to_json(posterior)["latents"].items())
    )


def latent_verdict(rows: Sequence[LatentRow], findings: Sequence[Finding] = ()) -> Verdict:
    """A few sentences: whether to believe the posterior, what is known, and what is not.

    Args:
        rows: The table of latents.
        findings: About the posterior; issues are told first, NP107 before all. Of draws that are no posterior
            (NP104, NP101) nothing else is said.
    """
    issues = sorted((f for f in findings if f.severity == "issue"), key=lambda f: (f.code != "NP107", f.code))
    lost = no_posterior(findings)
    first = [f for k, f in enumerate(issues) if k == 0 or (lost and f.code == "NP104")]
    said = ["Do not take this posterior at face value.", *(f.sentence for f in first)] if issues else []
    said += [f.sentence for f in findings if lost and not issues and f.code == "NP105"]
    said += [further_issues(f for f in issues if f not in first)]
    said += [] if lost else [_known(rows)]
    said += [why := cautions(findings)]
    severity: Severity = "issue" if issues else "caution" if why or lost else "passed"
    return Verdict(level="Posterior of the latents", severity=severity, sentence=" ".join(filter(None, said)))


def _known(rows: Sequence[LatentRow]) -> str:
    """What is known, what is not, and how many true values were found."""
    informed = sum((row.contraction or 0) >= 0.5 for row in rows)
    keep = "keeps less than half of its" if informed == 1 else "keep less than half of their"
    sentence = f"{informed} of {len(rows)} latents {keep} prior variance"
    blind = [row.words or row.name for row in rows if 1 - WIDER <= (row.contraction or 0) < 0.2]
    if blind:
        sentence += f"; these sweeps say little about {_few(blind)}"
    wider = [row.words or row.name for row in rows if (row.contraction or 0) < 1 - WIDER]
    if wider:
        sentence += f"; they contradict the population about {_few(wider)}"
    inside = [row.inside for row in rows if row.inside is not None]
    if inside:
        sentence += f"; {sum(inside)} of {len(inside)} true values lie in their 89 % intervals"
    return f"{sentence}."


def _few(latents: Sequence[str]) -> str:
    """Latents by name, or only how many where a list would be long."""
    return ", ".join(latents) if len(latents) <= SHOWN_LATENTS else f"{len(latents)} of them"


def pair_plot(
    posterior: Posterior, rows: Sequence[LatentRow], population: Neurons | None, truth: Mapping[str, float] | None
) -> PairPlot:
    """The latents that the recording says most about, at most :data:`MOST_PAIRS`, of those that go together one."""
    draws = posterior.latents.flatten(0, 1).cpu().numpy()
    index = told_apart(draws, sorted(range(len(rows)), key=lambda k: -(rows[k].contraction or 0)), MOST_PAIRS)
    return latent_pairs(
        posterior.space,
        index,
        posterior=draws,
        prior=posterior.prior_predictive.latents.cpu().numpy(),
        population=None if population is None else population.value.cpu().numpy(),
        truth=None if truth is None else [truth.get(row.name, np.nan) for row in rows],
        caption=CHOICE,
    )


def predictive_part(check: PredictiveCheck, posterior: Posterior, *, most_sweeps: int = 6) -> ReportData:
    """What a report shows of a posterior predictive check.

    Args:
        check: From ``check_posterior``.
        posterior: The posterior it is about.
        most_sweeps: Sweeps with spikes that get a raster.
    """
    found = tuple(judge(check))
    (main,) = [f for f in found if f.code == "NP220"]
    worst = by_severity(found)[0].severity
    sentence = " ".join(filter(None, [main.sentence, cautions(found)]))
    verdict = Verdict(level="Posterior predictive check", severity=worst, sentence=sentence, power=_seen(posterior))
    current = posterior.evidence.design.current_pa.cpu().numpy()
    firing = np.flatnonzero(np.nan_to_num(check.observed[:, check.names.index("spike_count")]) > 0)
    once = [s for k, s in enumerate(firing) if check.sweeps[s] not in [check.sweeps[j] for j in firing[:k]]]
    chosen = [once[k] for k in spread([current[s] for s in once], most_sweeps)]
    shown = shown_of(len(chosen), len(once), "steps with spikes")
    return ReportData(
        title="Posterior predictive",
        verdicts=(verdict,),
        findings=found,
        rasters=tuple(replace(_raster(posterior, int(s), check.sweeps[s]), shown=shown) for s in chosen),
        fi=predictive_curves(check, posterior, found),
        values={"predictive": {name: main.evidence[name] for name in ("p_misfit", "coverage_50", "coverage_89")}},
    )


def _seen(posterior: Posterior) -> str:
    """How a check is to be read, and what it looked at of long steps."""
    part = looked_at(posterior)
    return f"{SEEN} Looked at: {part}." if part else SEEN


def _raster(posterior: Posterior, sweep: int, title: str) -> Raster:
    def rows(times: np.ndarray) -> list[np.ndarray]:
        return [row[np.isfinite(row)] for row in times]

    draws = posterior.predictive.times_ms[:16, sweep].cpu().numpy()
    seen = posterior.evidence.times_ms[sweep : sweep + 1].cpu().numpy()
    end = float(posterior.evidence.design.end_ms[sweep])
    groups = {"recording": rows(seen), "posterior draws": rows(draws)}
    total = posterior.latents.shape[:2].numel()
    return Raster(title=with_minus(title), groups=groups, window_ms=(0.0, end), xlabel=AFTER_ONSET, total=total)
