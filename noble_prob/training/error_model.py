r"""How wrong a trained decoder is on neurons it has not seen, estimated from validation models.

For every validation sweep with at least two spikes, regress the true spike times :math:`t_k` on the predicted ones
:math:`s_k`: the log ratio of the latencies is :math:`a`, that of the trains' lengths :math:`b`, what is left is
:math:`e_k` (see :class:`noble_prob.decoder.base.DecoderError`). Only sweeps at currents that are not part of the
standard protocol count, because the latents all but give the others away. Both log errors grow with the predicted
interval; how fast is the maximum of a Gaussian likelihood. The spreads are root mean squares with each value limited to
five robust SDs: one model with a wrong train must not decide for all, and must not vanish either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from noble_prob.decoder.base import DecoderError, interpolate
from noble_prob.decoder.noble import NobleDecoder
from noble_prob.errors import require
from noble_prob.features.registry import of_spike
from noble_prob.training.data import VALIDATION, TrainingData
from noble_prob.training.summary_error import correlation, knots, profile

_UNIT = DecoderError(
    latency_log_sd=1.0, rate_log_sd=1.0, current_length_pa=1.0, residual_ms=1.0, summary_sd=torch.ones(1)
)


def require_measurable(data: TrainingData, names: Sequence[str], *, standard_sweeps: tuple[int, ...]) -> None:
    """Refuse data whose validation models can not tell how wrong a decoder is, before one is trained on them.

    Args:
        data: What is to be trained on.
        names: Of the summary features.
        standard_sweeps: Columns of the standard protocol.

    Raises:
        UsageError: If fewer than two of their sweeps at other currents have a latency, or a train of three spikes, or
            fewer than two of all have a feature.
    """
    index = data.where(VALIDATION)
    n = data.n_spikes[index][:, _others(data, standard_sweeps)]
    _require_some("latencies", int((n > 0).sum()))
    _require_some("trains of three spikes", int((n > 2).sum()))
    for k, name in enumerate(names):
        _require_some(name, int(torch.isfinite(data.summary[index][..., k]).sum()))


def _others(data: TrainingData, standard_sweeps: tuple[int, ...]) -> list[int]:
    """Columns beside the standard protocol."""
    return [j for j in range(data.responses.current_pa.shape[1]) if j not in standard_sweeps]


@torch.no_grad()
def measure_error(decoder: NobleDecoder, data: TrainingData, *, standard_sweeps: tuple[int, ...]) -> DecoderError:
    """The error model of a decoder.

    Args:
        decoder: Trained timing networks.
        data: Its data; only validation models are used.
        standard_sweeps: Columns of the standard protocol, left out.

    Raises:
        UsageError: If the validation models leave a part of it undefined.
    """
    index = data.where(VALIDATION)
    columns = _others(data, standard_sweeps)
    current = data.responses.current_pa[index][:, columns]
    latents = data.latents[index][:, None].expand(-1, len(columns), -1)
    predicted = decoder.spike_times(latents, current).cpu().to(torch.float64)
    spikes = data.spikes_ms[index][:, columns, : predicted.shape[-1]].to(torch.float64)
    n = data.n_spikes[index][:, columns]
    latency, rate, residual = _decompose(predicted, spikes, n, decoder.window.duration_ms)
    steps = torch.diff(predicted[..., :2], dim=-1, prepend=torch.zeros_like(predicted[..., :1]))
    slow_ms, latency, rate = _brisk(latency, rate, steps)
    return DecoderError(
        latency_log_sd=float(_spread("latencies", latency)),
        rate_log_sd=float(_spread("rates", rate)),
        current_length_pa=correlation(rate, current, whole=True)[1],
        residual_ms=float(_spread("residuals", residual)),
        count_slack=1.0,
        slow_ms=slow_ms,
        **_summary_errors(decoder, data, columns),
    )


def _summary_errors(decoder: NobleDecoder, data: TrainingData, columns: list[int]) -> dict[str, Any]:
    """SD of the error of every summary feature, its course over the current, and how it is correlated.

    SD and correlation are those at currents off the protocol (the SD of all sweeps where a feature is undefined there):
    at the protocol's own currents a latent gives the feature away, and the small error left is another one. The shape
    of a spike it gives away together with where the samples fell, so there the course leaves these sweeps out.
    """
    index = data.where(VALIDATION)
    current = data.responses.current_pa[index].to(torch.float64)
    latents = data.latents[index][:, None].expand(-1, current.shape[1], -1)
    error = (decoder.summary(latents, current).cpu() - data.summary[index]).to(torch.float64)
    standard = [j for j in range(current.shape[1]) if j not in columns]
    at = knots(current, current[0, standard])
    spreads, factors, correlations = [], [], []
    for k, name in enumerate(decoder.summary_names):
        e = error[..., k]
        enough = int(torch.isfinite(e[:, columns]).sum()) > 1
        spreads.append(_spread(name, e[:, columns] if enough else e))
        known = torch.isfinite(e)
        if of_spike(name) and enough:
            known[:, standard] = False
        factors.append(profile(e[known], current[known], at) / spreads[-1])
        z = e / (spreads[-1] * interpolate(current, at, factors[-1][:, None])[..., 0])
        correlations.append(correlation(z[:, columns], current[:, columns]))
    shares, lengths = zip(*correlations, strict=True)
    return {
        "summary_sd": torch.stack(spreads),
        "summary_knots_pa": tuple(at.tolist()),
        "summary_factor": torch.stack(factors, -1),
        "summary_lengths_pa": lengths,
        "summary_shares": shares,
    }


def _spread(what: str, values: Tensor) -> Float[Tensor, ""]:
    """Limited root mean square of what is defined."""
    known = values[torch.isfinite(values)]
    _require_some(what, len(known))
    return _limited_rms(known)


def _require_some(what: str, n: int) -> None:
    """Refuse validation models that have fewer than two values of something."""
    found = f"{'only one of the' if n else 'no'} {what} to compare beside the standard protocol"
    require(
        n > 1,
        "validation",
        "enough models to measure the decoder's error",
        found,
        "set more models aside, or simulate more random currents, with and without spikes",
    )


def _brisk(
    latency: Float[Tensor, "model sweep"], rate: Float[Tensor, "model sweep"], steps_ms: Float[Tensor, "model sweep 2"]
) -> tuple[float, Float[Tensor, "model sweep"], Float[Tensor, "model sweep"]]:
    """The most likely ``slow_ms``, and both errors divided by the factor it implies."""

    def fit(slow_ms: float) -> tuple[float, list[Tensor]]:
        shape = replace(_UNIT, slow_ms=slow_ms)
        score, scaled = 0.0, []
        for error, step in zip((latency, rate), steps_ms.unbind(-1), strict=True):
            factor = shape.slowness(step)
            scaled.append(error / factor)
            good = torch.isfinite(error)
            z, f = scaled[-1][good], factor[good]
            sd = _limited_rms(z)
            score -= float((sd * f).log().mean() + 0.5 * (z / sd).clamp(-5, 5).square().mean())
        return score, scaled

    candidates = torch.logspace(1.2, 3.0, 37, dtype=torch.float64).tolist()
    best = max(candidates, key=lambda slow_ms: fit(slow_ms)[0])
    return best, *fit(best)[1]


def _decompose(
    predicted: Float[Tensor, "model sweep spike"], spikes: Tensor, n: Tensor, end_ms: float
) -> tuple[Float[Tensor, "model sweep"], Float[Tensor, "model sweep"], Float[Tensor, "model sweep spike"]]:
    """Log latency error, log rate error and residuals (ms); NaN where a sweep does not have them."""
    k = torch.arange(predicted.shape[-1])
    real: Bool[Tensor, "model sweep spike"] = (k < n[..., None]) & (spikes >= 0) & (spikes < end_ms)
    latency = torch.where(n > 0, (spikes[..., 0] / predicted[..., 0]).log(), torch.nan)
    later = real & (k > 0)
    since, since_hat = spikes - spikes[..., :1], predicted - predicted[..., :1]
    weight = torch.where(later, since_hat, 0.0)
    ratio = (weight * since.nan_to_num(0.0)).sum(-1) / (weight * since_hat).sum(-1)
    rate = torch.where(n > 2, ratio.log(), torch.nan)
    residual = torch.where(later, since - ratio[..., None] * since_hat, torch.nan)
    return latency, rate, torch.where((n > 2)[..., None], residual, torch.nan)


def _limited_rms(values: Float[Tensor, " value"]) -> Float[Tensor, ""]:
    """Root mean square with values limited to five robust SDs."""
    limit = 5 * 1.4826 * values.abs().median()
    return values.clamp(-limit, limit).square().mean().sqrt()
