"""Simulation-based calibration: does the posterior know what it does not know?

Draw latents from the prior, a recording from the program, a posterior from the recording. If everything is right the
true value is exchangeable with the posterior's draws, so its rank among them is uniform (Cook, Gelman and Rubin 2006;
Talts et al. 2018). A posterior too narrow heaps ranks at the ends, one too wide in the middle, a biased one on one
side. Judged per latent by the simultaneous band of the rank ECDF, jointly by
:func:`noble_prob.calibration.joint.joint_test`.

The same figures on *biophysical* simulations, whose responses the decoder only approximates, measure what the
posterior is worth and not only whether the sampler works; pass truths and posteriors of such recordings to
:func:`judge_ranks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from noble_prob.calibration.batches import thinned_draws
from noble_prob.calibration.joint import joint_test, require_draws
from noble_prob.calibration.pit import ecdf, interval_coverage, pit, rank_ecdf_band
from noble_prob.decoder.base import Decoder
from noble_prob.errors import require, require_count, require_seed
from noble_prob.inference.predict import predict
from noble_prob.inference.task import Task
from noble_prob.noise import Design, Evidence, NoisePrior
from noble_prob.priors import Prior, derive, undisturbed
from noble_prob.program import program


@dataclass(frozen=True, kw_only=True)
class Sbc:
    """Ranks of truths among posterior draws.

    Attributes:
        names: Latents.
        truth: Standardised true latents, shape ``(recording, latent)``.
        draws: Standardised posterior draws, thinned, shape ``(recording, draw, latent)``.
        u: Normalised ranks, shape ``(latent, recording)``.
        provenance: Design, sampler, seed.
    """

    names: tuple[str, ...]
    truth: Float[ndarray, "recording latent"]
    draws: Float[ndarray, "recording draw latent"]
    u: Float[ndarray, "latent recording"]
    provenance: dict[str, Any] = field(default_factory=dict)

    def coverage(self, probability: float) -> dict[str, float]:
        """Share of truths in the central interval, per latent."""
        return dict(zip(self.names, interval_coverage(self.u, probability).tolist(), strict=True))

    def inside_band(self, probability: float = 0.99) -> dict[str, bool]:
        """Whether each latent's rank ECDF stays in the simultaneous band (Bonferroni over latents)."""
        n = self.u.shape[1]
        grid, low, high = rank_ecdf_band(n, 1 - (1 - probability) / len(self.names))
        curve = ecdf(self.u, grid)
        inside = ((curve >= low - 1e-12) & (curve <= high + 1e-12)).all(-1)
        return dict(zip(self.names, inside.tolist(), strict=True))

    def to_dict(self) -> dict[str, Any]:
        """``n``, ``coverage_50``, ``coverage_89``, ``rank_ecdf_inside_band`` per latent, ``joint_p_value``."""
        joint = joint_test(self.truth, self.draws)
        return {
            "n": self.u.shape[1],
            "coverage_50": self.coverage(0.5),
            "coverage_89": self.coverage(0.89),
            "rank_ecdf_inside_band": self.inside_band(),
            "joint_p_value": joint.p_value,
            "joint": {"bias": joint.p_bias, "spread": joint.p_spread, "shape": joint.p_shape},
            **self.provenance,
        }

    def distorted(self, *, scale: float = 1.0, shift: float = 0.0) -> Sbc:
        """The same experiment with every posterior rescaled about its mean and shifted by so many of its SDs.

        Args:
            scale: Factor on the SD; 0.5 makes every posterior overconfident.
            shift: Shift of the mean, in posterior SDs.
        """
        mean, sd = self.draws.mean(1, keepdims=True), self.draws.std(1, keepdims=True)
        return judge_ranks(self.names, self.truth, mean + scale * (self.draws - mean) + shift * sd)


def judge_ranks(
    names: Sequence[str],
    truth: Float[ndarray, "recording latent"],
    draws: Float[ndarray, "recording draw latent"],
    *,
    seed: int = 0,
    provenance: dict[str, Any] | None = None,
) -> Sbc:
    """Ranks from truths and posterior draws, from whatever source.

    Args:
        names: Latents.
        truth: True latents.
        draws: Posterior draws of each, independent or thinned.
        seed: Of ties.
        provenance: To be kept with the result.

    Raises:
        UsageError: If the shapes do not fit.
    """
    shape = (draws.shape[0], draws.shape[2])
    require(
        truth.shape == shape and shape[1] == len(names), "truth", f"of shape {shape}", truth.shape, "match the draws"
    )
    u = pit(truth.T[..., None], draws.transpose(2, 0, 1), seed=seed)[..., 0]
    return Sbc(names=tuple(names), truth=truth, draws=draws, u=u, provenance=provenance or {})


def recordings_from_program(
    decoder: Decoder, prior: Prior, design: Design, n: int, *, noise: NoisePrior, robust: bool = False, seed: int = 0
) -> tuple[Float[Tensor, "recording latent"], list[Evidence]]:
    """Draw neurons from the prior and a recording of each from the program.

    Args:
        decoder: The decoder.
        prior: The prior.
        design: Sweeps of every recording.
        n: Recordings.
        noise: Priors of the noise scales, drawn too.
        robust: Student-t features.
        seed: Seed of everything.

    Returns:
        Standardised latents, and the evidence of each recording.
    """
    model = partial(program, decoder, prior, design, noise=noise, robust=robust)
    blank = torch.full((len(design), len(design.summary_names)), torch.nan, dtype=torch.float64)
    empty = Evidence(design=design, times_ms=torch.full((len(design), 1), torch.inf).double(), summary=blank)
    drawn = predict(model, prior, None, empty, n=n, seed=derive("recordings to calibrate", seed))
    evidence = [
        Evidence(design=design, times_ms=_trim(t), summary=s)
        for t, s in zip(drawn.times_ms, drawn.summary, strict=True)
    ]
    return prior.space.standardise(drawn.latents), evidence


def _trim(times: Tensor) -> Tensor:
    """Spike times without columns that no sweep of this recording fills."""
    return times[:, : max(1, int(torch.isfinite(times).sum(-1).max()))].contiguous()


def _require_estimator(task: Task) -> None:
    """Refuse ``npe`` without an amortised posterior."""
    require(
        task.method != "npe" or task.estimator is not None,
        "estimator",
        "an amortised posterior for the method npe",
        "none",
        "train one with `noble-prob train-npe`",
    )


@undisturbed()
def sbc(
    task: Task,
    design: Design,
    n: int,
    *,
    seed: int = 0,
    keep: int = 200,
    batch: int = 50,
    jobs: int = 1,
    folder: Path | None = None,
) -> Sbc:
    """Simulation-based calibration on draws of the program itself.

    Args:
        task: What draws the recordings and infers them: decoder, prior, noise, method (a batched one: ``hmc``,
            ``importance`` or ``npe``) and its settings.
        design: Sweeps of every recording.
        n: Recordings.
        seed: Seed of everything.
        keep: Draws per recording after thinning.
        batch: Recordings sampled side by side.
        jobs: Processes.
        folder: Where finished batches are kept until all are done, to be continued after a stop.

    Raises:
        UsageError: If the method is not a batched one, an estimator is missing, draws are too few for the joint test,
            or the folder holds another run.
    """
    seed = require_seed(seed)
    require_count(n, "n", "recordings")
    _require_estimator(task)
    require_draws(min(keep, task.chains * task.draws), len(task.prior.space))
    truth, evidence = recordings_from_program(
        task.decoder, task.prior, design, n, noise=task.noise, robust=task.robust, seed=seed
    )
    placed = replace(task, prior=task.prior.to(task.device), progress=False)
    thin = thinned_draws(
        placed,
        evidence,
        seed=seed,
        batch=batch,
        keep=keep,
        jobs=jobs,
        folder=folder,
        title="sbc" if task.progress else None,
    )
    record = {
        "seed": seed,
        "method": task.method,
        "currents_pa": design.current_pa.tolist(),
        "chains": task.chains,
        "draws": task.draws,
        "robust": task.robust,
    }
    return judge_ranks(task.prior.space.names, truth.numpy(), thin, seed=seed, provenance=record)
