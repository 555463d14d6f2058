"""Cholesky factors of batches in which some matrices may be impossible."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def cholesky(matrix: Float[Tensor, "*batch n n"]) -> Float[Tensor, "*batch n n"]:
    """Lower factor of each matrix; NaN for one that is not positive definite, without harm to the others.

    A sampler that looks at an absurd point must get "impossible" for that point, not an exception for all chains.
    """
    factor, info = torch.linalg.cholesky_ex(matrix)
    return factor + torch.where(info > 0, torch.nan, 0.0).to(factor)[..., None, None]
