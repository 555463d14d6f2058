"""Sweeps that were held back from an inference, against what it predicts for them: the test that a posterior can fail.

A posterior leans towards the sweeps it has seen, so that passing there says little. What it says about other sweeps of
the same cell has to be right by itself: a latent that is wrong, or known too well, shows.
"""

from __future__ import annotations

from noble_prob.calibration.predictive import PredictiveCheck
from noble_prob.calibration.replay import against
from noble_prob.decoder.base import Decoder
from noble_prob.inference.forecast import DRAWS, forecast
from noble_prob.inference.observe import observe
from noble_prob.inference.posterior import Posterior
from noble_prob.priors import Prior
from noble_prob.recording import Recording


def check_left_out(
    posterior: Posterior,
    recording: Recording,
    *,
    decoder: Decoder,
    prior: Prior,
    alpha: float = 0.05,
    n: int = DRAWS,
    seed: int = 0,
) -> PredictiveCheck:
    """Predict sweeps of the inferred neuron that the inference has not seen, and compare.

    Trial noise and the decoder's error are in the prediction (:func:`noble_prob.inference.forecast.forecast`).

    Args:
        posterior: Inferred from other sweeps of this cell.
        recording: The sweeps that were held back: one neuron, or repeats.
        decoder: The one it was inferred with.
        prior: The one it was inferred with.
        alpha: Level of a misfit.
        n: Predictive draws, at least 20.
        seed: Of everything random.

    Returns:
        The check by sweep and feature, ``seen=False``.

    Raises:
        UsageError: If decoder or prior are others, or no sweep can be used.

    Example:
        >>> import noble_prob as nb
        >>> cell = nb.load_cell("toy")
        >>> recording = cell.demo[0]
        >>> posterior = nb.infer(recording.select([0, 1, 3]), decoder=cell.decoder, prior=cell.prior, method="hmc")
        >>> held = nb.check_left_out(posterior, recording.select([2]), decoder=cell.decoder, prior=cell.prior)
        >>> held.seen
        False
    """
    evidence = observe(recording, decoder).evidence
    draws = forecast(posterior, evidence.design, decoder=decoder, prior=prior, n=n, seed=seed)
    return against(evidence, draws, alpha, seed, seen=False)
