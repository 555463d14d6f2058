"""Novel neurons as traces, f-I curve, latents beside those of the models, feature tables and one sentence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from noble_prob.features import find_spikes
from noble_prob.findings import Severity
from noble_prob.findings.words import in_words
from noble_prob.recording import Recording
from noble_prob.report.data import ReportData, Table, Verdict
from noble_prob.report.panels import AFTER_ONSET, FiPanel, Overlay, PairPlot, Raster
from noble_prob.report.parts.merge import merge
from noble_prob.report.parts.pairs import latent_pairs
from noble_prob.report.parts.traces import ensemble_overlays, repeat_raster
from noble_prob.sampling import Ensemble

MOST_LATENTS, MOST_TRIALS = 6, 12
"""Latents of the pair plot and repeats of a neuron in the raster, at most."""


def ensemble_part(ensemble: Ensemble) -> ReportData:
    """What a report shows of an ensemble of novel neurons.

    Args:
        ensemble: From :func:`noble_prob.sampling.sample_ensemble`.
    """
    s = ensemble.summary()
    p, steps = s["plausibility"], _steps(s)
    spiking = ", ".join(f"{step['spiking']} spike at {_pa(step)}" for step in steps)
    beyond = p["beyond_decoder_support"]
    sentence = (
        f"{s['draws']} neurons like {s['cell']} were drawn, none of which was ever simulated; {spiking}; "
        f"{beyond} {'lies' if beyond == 1 else 'lie'} beyond the decoder's training data, "
        f"{p['outside_range_of_models']} outside the range of the published models in some latent."
    )
    severity: Severity = "caution" if beyond > 0.05 * s["draws"] else "passed"
    verdict = Verdict(level="Novel neurons", severity=severity, sentence=sentence, tested=severity == "caution")
    return ReportData(
        title="",
        verdicts=(verdict,),
        overlays=_overlays(ensemble),
        tables=[_table(step) for step in steps],
        rasters=_rasters(ensemble),
        fi=_fi(ensemble),
        values={"ensemble": s},
    )


def ensemble_report(ensemble: Ensemble) -> ReportData:
    """The page of an ensemble: :func:`ensemble_part`, and the latents beside those of the published models.

    Args:
        ensemble: From :func:`noble_prob.sampling.sample_ensemble`.
    """
    title, made = f"Novel neurons like {ensemble.cell}", {"cell": ensemble.cell, **ensemble.made}
    return replace(merge(title, [ensemble_part(ensemble)], provenance=made), pairs=_pairs(ensemble))


def _steps(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """Current, spiking neurons and features of each step."""
    names = ("current_pa", "spiking", "features")
    if isinstance(summary["features"], dict):
        return [{name: summary[name] for name in names}]
    return [dict(zip(names, step, strict=True)) for step in zip(*(summary[name] for name in names), strict=True)]


def _pa(step: dict[str, Any]) -> str:
    return f"{step['current_pa']:+.0f} pA".replace("-", "−")


def _table(step: dict[str, Any]) -> Table:
    rows = [
        (name, item["unit"], item["n"], item["mean"], item["sd"])
        for name, item in step["features"].items()
        if item["n"]
    ]
    absent = [in_words(name) for name, item in step["features"].items() if not item["n"]]
    none = f" None has: {', '.join(absent)}." if absent else ""
    return Table(
        title=f"Novel neurons at {_pa(step)}",
        columns=("feature", "unit", "n", "mean", "SD"),
        rows=rows,
        caption=f"Over responses that have the feature (n).{none}",
    )


def _overlays(ensemble: Ensemble) -> tuple[Overlay, ...]:
    """A response of some neurons at each step: of several repeats, the first."""
    found = ensemble_overlays(_first_repeats(ensemble))
    return tuple(replace(o, title=f"novel neurons, {o.title.partition(', ')[2]}") for o in found)


def _first_repeats(ensemble: Ensemble) -> Recording:
    responses = ensemble.responses
    if "trial" not in responses.axes:
        return responses
    return replace(responses, voltage_mv=responses.voltage_mv[:, 0], axes=("neuron",))


def _rasters(ensemble: Ensemble) -> tuple[Raster, ...]:
    """Repeats of two neurons, one above the other, at the strongest step: within and between neurons at one glance."""
    responses, k = ensemble.responses, int(np.argmax(ensemble.current_pa))
    step = responses.steps[k]
    if "trial" not in responses.axes or len(ensemble.neurons) < 2 or step is None:
        return ()
    spikes = find_spikes(responses.voltage_mv[:2, :MOST_TRIALS, k], responses.time_ms)
    trains = [[row[np.isfinite(row)] - step.onset_ms for row in rows.numpy()] for rows in spikes.peak_ms]
    raster = repeat_raster(
        trains[0],
        trains[1],
        title=f"repeats of two neurons, {ensemble.current_pa[k]:+.0f} pA".replace("-", "−"),
        window_ms=(0.0, step.duration_ms),
        names=("neuron 1", "neuron 2"),
        recorded=False,
        xlabel=AFTER_ONSET,
    )
    return (raster,)


def _fi(ensemble: Ensemble) -> tuple[FiPanel, ...]:
    """Mean rate against current, where there are several steps: median and central intervals over neurons."""
    order = np.argsort(ensemble.current_pa, kind="stable")
    if len(order) < 2:
        return ()
    count = ensemble.features["spike_count"][0].double()
    seconds = np.array([step.duration_ms / 1000.0 if step else np.nan for step in ensemble.responses.steps])
    each = (count.reshape(len(ensemble.neurons), -1, len(order)).mean(1).numpy() / seconds)[:, order]  # over repeats
    ends = {p: tuple(np.quantile(each, [0.5 - p / 2, 0.5 + p / 2], axis=0)) for p in (0.5, 0.89)}
    curve = FiPanel(
        title="f-I curve",
        current_pa=np.array(ensemble.current_pa)[order],
        median=np.median(each, axis=0),
        bands=ends,
        n_members=len(each),
        members="novel neurons",
        level="Novel neurons",
        ylabel="mean rate (Hz)",
    )
    return (curve,)


def _pairs(ensemble: Ensemble) -> PairPlot | None:
    """Latents of novel neurons and of the models; of many latents, some from all over the list."""
    space, models = ensemble.neurons.space, ensemble.models
    index = np.unique(np.linspace(0, len(space) - 1, min(len(space), MOST_LATENTS)).astype(int)).tolist()
    if len(index) < 2:
        return None
    return latent_pairs(
        space,
        index,
        posterior=ensemble.neurons.value.cpu().numpy(),
        population=None if models is None else models.value.cpu().numpy(),
        labels=("novel neurons", "", "published models"),
    )
