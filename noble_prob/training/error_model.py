r"""How wrong a trained decoder is on neurons it has not seen, estimated from validation models.

For every validation sweep with at least two spikes, regress the true spike times :math:`t_k` on the predicted ones
:math:`s_k`: the log ratio of the latencies is :math:`a`, that of the trains' lengths :math:`b`, what is left is
:math:`e_k` (see :class:`noble_prob.decoder.base.DecoderError`). Only sweeps at currents that are not part of the
standard protocol count, because the latents all but give the others away. Both log errors grow with the predicted
interval; how fast is the maximum of a Gaussian likelihood. The spreads are root mean squares with each value limited to
five robust SDs: one model with a wrong train must not decide for all, and must not vanish either.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from noble_prob.decoder.base import DecoderError
from noble_prob.decoder.noble import NobleDecoder
from noble_prob.errors import require
from noble_prob.training.data import VALIDATION, TrainingData

_UNIT = DecoderError(
    latency_log_sd=1.0, rate_log_sd=1.0, current_length_pa=1.0, residual_ms=1.0, summary_sd=torch.ones(1)
)


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
    columns = [j for j in range(data.responses.current_pa.shape[1]) if j not in standard_sweeps]
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
        current_length_pa=_correlation_length(rate, current),
        residual_ms=float(_spread("residuals", residual)),
        summary_sd=_summary_sd(decoder, data, columns),
        count_slack=1.0,
        slow_ms=slow_ms,
    )


def _summary_sd(decoder: NobleDecoder, data: TrainingData, columns: list[int]) -> Float[Tensor, " feature"]:
    """SD of the error of every summary feature; of all sweeps where it is undefined at all the chosen ones."""
    index = data.where(VALIDATION)
    latents = data.latents[index][:, None].expand(-1, data.responses.current_pa.shape[1], -1)
    error = decoder.summary(latents, data.responses.current_pa[index]).cpu() - data.summary[index]
    spreads = []
    for k, name in enumerate(decoder.summary_names):
        enough = int(torch.isfinite(error[:, columns, k]).sum()) > 1
        spreads.append(_spread(name, error[:, columns, k] if enough else error[..., k]))
    return torch.stack(spreads).to(torch.float64)


def _spread(what: str, values: Tensor) -> Float[Tensor, ""]:
    """Limited root mean square of what is defined."""
    known = values[torch.isfinite(values)]
    require(len(known) > 1, "validation", "enough models to measure the decoder's error", f"no {what} to compare",
            "set more models aside, with currents at which they fire and others at which they do not")  # fmt: skip
    return _limited_rms(known)


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


def _correlation_length(rate: Float[Tensor, "model sweep"], current: Tensor) -> float:
    """Distance in current over which the rate errors of a model decorrelate: least squares of products on exp(-d/l)."""
    i, j = torch.triu_indices(rate.shape[1], rate.shape[1], 1)
    limit = 5 * 1.4826 * rate[torch.isfinite(rate)].abs().median()
    z = rate.clamp(-limit, limit)
    product, distance = (z[:, i] * z[:, j]).flatten(), (current[:, i] - current[:, j]).abs().flatten()
    good = torch.isfinite(product)
    product, distance = product[good] / z[torch.isfinite(z)].square().mean(), distance[good]
    lengths = torch.logspace(1, 2.7, 60, dtype=torch.float64)
    misfit = [(product - torch.exp(-distance / length)).square().mean() for length in lengths]
    return float(lengths[int(torch.stack(misfit).argmin())])
