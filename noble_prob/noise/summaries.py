"""The density of summary features around predicted ones; missing ones are masked.

For every feature ``f`` the errors of the sweeps of one neuron are jointly Gaussian,

    covariance = sd_f^2 (exp(-|I - I'| / length) + kappa^2 [same sweep]),

because a decoder that is wrong about the resting voltage at 50 pA is wrong about it at 60 pA too: taking six sweeps for
six independent measurements would make the posterior too narrow. ``kappa`` is the neuron's own variation between
sweeps, in units of the decoder's error ``sd_f``. With ``df`` each feature has a Student t of its own, so that one
feature that the decoder can not reach does not drag the others along. Features are independent given the neuron.
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
from noble_prob.noise.design import Design, defined
from noble_prob.noise.trains import smooth_covariance, student_t


class Summaries(dist.TorchDistribution):
    """Summary features of several sweeps of one neuron; values ``(sweep, feature)`` with NaN where undefined.

    Args:
        predicted: Predicted features in their units, shape ``(*batch, sweep, feature)``.
        design: Currents of the sweeps, names of the features.
        error: Size and correlation of the decoder's errors.
        kappa: Variation between sweeps in units of the decoder's error, shape ``(*batch,)``.
        df: Degrees of freedom of the Student t; None for a Gaussian.
    """

    arg_constraints = {}  # noqa: RUF012
    support = constraints.independent(constraints.real, 2)

    def __init__(
        self, predicted: Float[Tensor, "*batch sweep feature"], design: Design, error: DecoderError, *,
        kappa: Tensor, df: float | None = None,
    ):  # fmt: skip
        self.predicted, self.design, self.error, self.kappa, self.df = predicted, design, error, kappa, df
        super().__init__(predicted.shape[:-2], predicted.shape[-2:], validate_args=False)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Summaries:
        """The same features for every element of a batch."""
        shape = torch.Size(batch_shape)
        return Summaries(self.predicted.expand(*shape, *self.event_shape), self.design, self.error,
                         kappa=self.kappa.expand(shape), df=self.df)  # fmt: skip

    def _kernel(self) -> Float[Tensor, "*batch sweep sweep"]:
        """Covariance over sweeps in units of ``sd_f^2``."""
        return smooth_covariance(self.design.current_pa, self.error, self.kappa, (1.0,))

    def log_prob(self, value: Float[Tensor, "*batch sweep feature"]) -> Float[Tensor, " *batch"]:
        """Log density of the features that exist."""
        energy, log_det, count = self._forms(value)
        return self._density(energy, log_det, count).sum(-1)

    def log_prob_sweeps(self, value: Float[Tensor, "*batch sweep feature"]) -> Float[Tensor, "*batch sweep"]:
        """Log density of every sweep alone, forgetting the correlation between sweeps."""
        seen, r = self._residual(value)
        scale = (1 + self.kappa**2)[..., None, None]
        log_det = torch.where(seen, scale.log() + 2 * self._sd().log(), 0.0)
        return self._density(r**2 / scale, log_det, seen.to(r)).sum(-1)

    def _sd(self) -> Tensor:
        return self.error.summary_sd.to(self.predicted)

    def _residual(self, value: Tensor) -> tuple[Tensor, Tensor]:
        seen = torch.isfinite(value)
        return seen, torch.where(seen, (value.nan_to_num(0.0) - self.predicted) / self._sd(), 0.0)

    def _forms(self, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Quadratic form, log determinant and count of every feature, shape ``(*batch, feature)``."""
        seen, r = self._residual(value)
        mask = seen.transpose(-1, -2)
        both = mask[..., :, None] & mask[..., None, :]
        eye = torch.eye(r.shape[-2], dtype=r.dtype, device=r.device)
        chol = torch.linalg.cholesky(torch.where(both, self._kernel()[..., None, :, :], eye))
        white = torch.linalg.solve_triangular(chol, r.transpose(-1, -2).unsqueeze(-1), upper=False).squeeze(-1)
        count = mask.sum(-1).to(r)
        log_det = 2 * chol.diagonal(dim1=-2, dim2=-1).log().sum(-1) + 2 * count * self._sd().log()
        return white.square().sum(-1), log_det, count

    def _density(self, energy: Tensor, log_det: Tensor, count: Tensor) -> Tensor:
        if self.df is not None:
            return student_t(energy, log_det, count, self.df)
        return -0.5 * (energy + log_det + count * math.log(2 * math.pi))

    def sample(self, sample_shape: Any = torch.Size()) -> Float[Tensor, "*sample_batch sweep feature"]:  # noqa: B008
        """Draw features, all of them; :func:`mask_undefined` removes those that a response would not have."""
        shape = torch.Size(sample_shape) + self.batch_shape
        with torch.no_grad():
            root = torch.linalg.cholesky(self._kernel())
            noise = root @ torch.randn(*shape, *self.event_shape, dtype=self.predicted.dtype)
            if self.df is not None:
                chi = torch.full((*shape, 1, self.event_shape[-1]), self.df, dtype=noise.dtype)
                noise = noise * (self.df / torch.distributions.Chi2(chi).sample()).sqrt()
            return self.predicted + self._sd() * noise


def mask_undefined(
    summary: Float[Tensor, "*batch sweep feature"], times_ms: Float[Tensor, "*batch sweep spike"], design: Design
) -> Float[Tensor, "*batch sweep feature"]:
    """NaN where a response with these spikes would not have the feature."""
    exists = defined(design.summary_names, torch.isfinite(times_ms).sum(-1), design.current_pa)
    return torch.where(exists, summary, torch.nan)
