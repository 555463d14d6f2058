"""The density of summary features around predicted ones; missing ones are masked.

For every feature ``f`` the errors of the sweeps of one neuron are jointly Gaussian,

    covariance = sd_f(I) sd_f(I') (share_f exp(-|I - I'| / length_f) + (1 - share_f) [same sweep])
                 + (kappa r_f)^2 [same sweep],

with ``sd_f`` the decoder's error, most of it the same at similar currents: a decoder that is wrong about the resting
voltage at 50 pA is wrong about it at 60 pA too, and six sweeps are not six independent measurements of it. Its size
depends on the current: a feature is known best where the standard protocol measures it. ``kappa`` is the neuron's own
variation between sweeps, with the measurement's, in units of what is usual for the feature at that current
(:func:`noble_prob.noise.scales.usual_sd_at`): one number for the level of the membrane, one for its response below
threshold, one for the shape of spikes. Features that pick an extreme are raised by it on average. With
``df`` each feature has a Student t of its own, so that one feature that the decoder can not reach does not drag the
others along. Features are independent given the neuron, but for those that hold the same part of the trace: they vary
together and share their t (:mod:`noble_prob.noise.together`).
"""

from __future__ import annotations

import math
from typing import Any

import pyro.distributions as dist
import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import constraints

from noble_prob.decoder.base import DecoderError
from noble_prob.features.registry import of_spike
from noble_prob.noise.design import Design, defined
from noble_prob.noise.linear import cholesky
from noble_prob.noise.scales import lift, of_rest, usual_sd_at
from noble_prob.noise.together import Block, blocks


class Summaries(dist.TorchDistribution):
    """Summary features of several sweeps of one neuron; values ``(sweep, feature)`` with NaN where undefined.

    Args:
        predicted: Predicted features in their units, shape ``(*batch, sweep, feature)``.
        design: Currents of the sweeps, names of the features.
        error: Size and correlation of the decoder's errors.
        scale: Factor on the decoder's errors for this neuron, shape ``(*batch,)``.
        between: Variation between sweeps in units of what is usual: of the membrane's level, of its response below
            threshold, and of the spike's shape, each of shape ``(*batch,)``.
        df: Degrees of freedom of the Student t; None for a Gaussian.
    """

    arg_constraints = {}  # noqa: RUF012
    support = constraints.independent(constraints.real, 2)

    def __init__(
        self,
        predicted: Float[Tensor, "*batch sweep feature"],
        design: Design,
        error: DecoderError,
        *,
        scale: Tensor,
        between: tuple[Tensor, Tensor, Tensor],
        df: float | None = None,
    ):
        self.predicted, self.design, self.error = predicted, design, error
        self.scale, self.between, self.df = scale, between, df
        super().__init__(predicted.shape[:-2], predicted.shape[-2:], validate_args=False)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Summaries:
        """The same features for every element of a batch."""
        shape = torch.Size(batch_shape)
        rest, passive, spike = (kappa.expand(shape) for kappa in self.between)
        return Summaries(
            self.predicted.expand(*shape, *self.event_shape),
            self.design,
            self.error,
            scale=self.scale.expand(shape),
            between=(rest, passive, spike),
            df=self.df,
        )

    def _covariances(self) -> list[tuple[Block, Float[Tensor, "*batch row both both"]]]:
        """Covariance over sweeps of every feature, and of those that vary together."""
        current = self.design.current_pa
        sd = self.error.summary_sd_at(current).mT
        smooth = sd[..., :, None] * sd[..., None, :] * self.error.summary_correlation(current)
        decoder = smooth * self.scale[..., None, None, None] ** 2
        decoder = decoder + torch.diag_embed(1e-8 * decoder.diagonal(dim1=-2, dim2=-1))
        return [(block, block.covariance(decoder, self._trial())) for block in blocks(self.design.summary_names)]

    def _trial(self) -> Float[Tensor, "*batch feature sweep"]:
        """SD of each feature between sweeps."""
        names = self.design.summary_names
        group = torch.tensor([0 if of_rest(n) else 2 if of_spike(n) else 1 for n in names]).to(self.scale.device)
        kappa = torch.stack(self.between, -1)[..., group]
        return kappa[..., None] * usual_sd_at(names, self.design.current_pa.to(self.predicted))

    def _centre(self) -> Float[Tensor, "*batch sweep feature"]:
        """Expected features: the predicted ones, those that pick an extreme raised by the noise."""
        raised = lift(self.design.summary_names, self.predicted)[:, None] * self._trial()
        return self.predicted + raised.transpose(-1, -2)

    def log_prob(self, value: Float[Tensor, "*batch sweep feature"]) -> Float[Tensor, " *batch"]:
        """Log density of the features that exist."""
        seen = torch.isfinite(value)
        residual = torch.where(seen, value.nan_to_num(0.0) - self._centre(), 0.0)
        total = residual.new_zeros(())
        for block, covariance in self._covariances():
            r, mask = block.rows(residual.mT), block.rows(seen.mT)
            both = mask[..., :, None] & mask[..., None, :]
            eye = torch.eye(r.shape[-1], dtype=r.dtype, device=r.device)
            chol = cholesky(torch.where(both, covariance, eye))
            white = torch.linalg.solve_triangular(chol, r.unsqueeze(-1), upper=False).squeeze(-1)
            log_det = 2 * chol.diagonal(dim1=-2, dim2=-1).log().sum(-1)
            total = total + self._density(white.square().sum(-1), log_det, mask.sum(-1).to(r)).sum(-1)
        return total

    def take(self, sweeps: Tensor) -> Summaries:
        """Some of the sweeps of the same neuron: the others are integrated out."""
        return Summaries(
            self.predicted[..., sweeps, :],
            self.design.take(sweeps),
            self.error,
            scale=self.scale,
            between=self.between,
            df=self.df,
        )

    def _density(self, energy: Tensor, log_det: Tensor, count: Tensor) -> Tensor:
        if self.df is not None:
            return student_t(energy, log_det, count, self.df)
        return -0.5 * (energy + log_det + count * math.log(2 * math.pi))

    def sample(self, sample_shape: Any = torch.Size()) -> Float[Tensor, "*sample_batch sweep feature"]:  # noqa: B008
        """Draw features, all of them; :func:`mask_undefined` removes those that a response would not have."""
        shape = torch.Size(sample_shape) + self.batch_shape
        with torch.no_grad():
            parts = self._covariances()
            noise = parts[0][1].new_empty(*shape, *reversed(self.event_shape))
            for block, covariance in parts:
                root = cholesky(covariance)
                draws = torch.randn(*shape, *root.shape[-3:-1], dtype=root.dtype, device=root.device)
                rows = (root @ draws.unsqueeze(-1)).squeeze(-1)
                if self.df is not None:
                    chi = torch.distributions.Chi2(rows.new_full((*rows.shape[:-1], 1), self.df)).sample()
                    rows = rows * (self.df / chi).sqrt()
                places = torch.tensor(block.places, device=rows.device)
                noise[..., places, :] = rows.unflatten(-1, (places.shape[1], -1))
            return self._centre() + noise.mT


def mask_undefined(
    summary: Float[Tensor, "*batch sweep feature"], times_ms: Float[Tensor, "*batch sweep spike"], design: Design
) -> Float[Tensor, "*batch sweep feature"]:
    """NaN where a response with these spikes would not have the feature."""
    exists = defined(design.summary_names, torch.isfinite(times_ms).sum(-1), design.current_pa)
    return torch.where(exists, summary, torch.nan)


def student_t(energy: Tensor, log_det: Tensor, count: Tensor, df: float) -> Tensor:
    """Log density of a multivariate Student t from its quadratic form and the log determinant of its scale matrix."""
    nu = torch.as_tensor(df, dtype=energy.dtype, device=energy.device)
    norm = torch.lgamma((nu + count) / 2) - torch.lgamma(nu / 2) - 0.5 * count * (nu * math.pi).log()
    return norm - 0.5 * log_det - 0.5 * (nu + count) * torch.log1p(energy / nu)
