"""NP221: which feature does the posterior get wrong, and on which sweeps?

*Caution* for every feature whose deviations over sweeps exceed those of all but 5 % of the draws, corrected over
features; the sentence names the sweeps that deviate most. *Caution* too for features that the recording has and the
draws hardly ever have. Not emitted otherwise. A long list means a cell outside the decoder's reach (NP220 is then an
issue). It does not wait for NP220, for a misfit of one feature alone may show here only. It met 1 of 220 recordings
drawn from the program and fitted (0.5 %, standard error 0.5): a caution of it is strong evidence, silence weak (NP220).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from noble_prob.calibration.predictive import PredictiveCheck
from noble_prob.findings.base import Finding
from noble_prob.findings.registry import check
from noble_prob.findings.standouts import told
from noble_prob.findings.words import begun, in_words


@check("NP221", "Predictive misfit of a feature", PredictiveCheck)
def feature(result: PredictiveCheck, say: Callable[..., Finding]) -> Iterator[Finding]:
    """One finding per feature."""
    for k, name in enumerate(result.names):
        exists, judged = np.isfinite(result.observed[:, k]), np.isfinite(result.pit[:, k])
        if result.p_feature[k] <= result.alpha:
            yield _deviates(result, k, say)
        if (exists & ~judged).any():
            sweeps = [result.sweeps[s] for s in np.flatnonzero(exists & ~judged)]
            share = float(result.share_defined[exists & ~judged, k].max())
            yield say(
                "caution",
                f"{begun(in_words(name))} exists on {', '.join(sweeps)} but in at most "
                f"{100 * share:.0f} % of the draws.",
                feature=name,
                sweeps=sweeps,
                share_defined=share,
            )


def _deviates(result: PredictiveCheck, k: int, say: Callable[..., Finding]) -> Finding:
    """The finding about one deviating feature."""
    name, z = result.names[k], result.deviation[:, k]
    worst = [int(s) for s in np.argsort(-np.abs(np.nan_to_num(z)))[:3] if np.isfinite(z[s])]
    predicted = [float(np.nanmedian(result.draws[:, s, k])) for s in worst]
    parts = [told(result, s, k, "of the predicted") for s in worst]
    words = in_words(name)
    return say(
        "caution",
        f"{begun(words)} is not predicted; {'; '.join(parts)}.",
        f"Mistrust latents that rest on the {words}.",
        feature=name,
        p_corrected=float(result.p_feature[k]),
        sweeps=[result.sweeps[s] for s in worst],
        observed=[float(result.observed[s, k]) for s in worst],
        predicted_median=predicted,
        deviation_sd=[float(z[s]) for s in worst],
    )
