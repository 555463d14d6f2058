"""Novel neurons as traces, a spike-count summary and one sentence."""

from __future__ import annotations

from dataclasses import replace

from noble_prob.report.data import ReportData, Table, Verdict
from noble_prob.report.parts.traces import ensemble_overlays
from noble_prob.sampling import Ensemble


def ensemble_part(ensemble: Ensemble) -> ReportData:
    """What a report shows of an ensemble of novel neurons.

    Args:
        ensemble: From :func:`noble_prob.sampling.sample_ensemble`.
    """
    s = ensemble.summary()
    p, current = s["plausibility"], f"{s['current_pa']:+.0f} pA".replace("-", "−")
    sentence = (
        f"{s['draws']} neurons like {s['cell']} were drawn, none of which was ever simulated; {s['spiking']} spike at "
        f"{current}; {p['beyond_decoder_support']} lie beyond the decoder's training data, "
        f"{p['outside_range_of_models']} outside the range of the known models in some latent."
    )
    beyond = p["beyond_decoder_support"] > 0.05 * s["draws"]
    rows = [(name, item["unit"], item["n"], item["mean"], item["sd"]) for name, item in s["features"].items()]
    table = Table(title=f"Novel neurons at {current}", columns=("feature", "unit", "n", "mean", "SD"), rows=rows,
                  caption="Over neurons that have the feature (n).")  # fmt: skip
    overlays = [replace(o, title=f"novel neurons, {current}") for o in ensemble_overlays(ensemble.responses)]
    verdict = Verdict(level="Novel neurons", severity="caution" if beyond else "passed", sentence=sentence)
    return ReportData(title="", verdicts=(verdict,), overlays=overlays, tables=(table,), values={"ensemble": s})
