r"""The truncated Fourier transform as two matrix products.

A Fourier layer keeps :math:`M` of the :math:`N/2+1` modes of a real signal. Computing only those is a product with an
:math:`N \times 2M` matrix of cosines and sines, and coming back is a product with its transpose, weighted; both run
at the speed of matrix multiplication on any device and need no complex numbers. The result equals that of
``neuralop.layers.spectral_convolution.SpectralConv`` (``fft_norm="forward"``) to rounding.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from jaxtyping import Complex, Float
from torch import Tensor


@lru_cache(maxsize=16)
def fourier_basis(n: int, modes: int, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Matrices of the truncated transform and of its inverse.

    Args:
        n: Length of the signal.
        modes: Modes kept, at most ``n // 2 + 1``.
        device: Where the matrices live.
        dtype: Their precision; angles are computed in float64.

    Returns:
        ``(forward, inverse)`` of shapes ``(n, 2 modes)`` and ``(2 modes, n)``; real parts first.
    """
    k = torch.arange(modes, dtype=torch.float64)
    turns = torch.outer(torch.arange(n, dtype=torch.float64), k).remainder(n) / n
    cosine, sine = torch.cos(2 * torch.pi * turns), torch.sin(2 * torch.pi * turns)
    forward = torch.cat([cosine, -sine], 1) / n
    double = torch.where((k == 0) | (2 * k == n), 1.0, 2.0)
    inverse = torch.cat([cosine * double, -sine * double], 1).T
    return forward.to(device, dtype).contiguous(), inverse.to(device, dtype).contiguous()


def spectral_product(
    x: Float[Tensor, "batch channel time"], weight: Complex[Tensor, "channel out mode"]
) -> Float[Tensor, "batch out time"]:
    """One spectral convolution by matrix products.

    Args:
        x: Input, shape ``(batch, channel, time)``.
        weight: Complex weights of the modes kept, shape ``(channel, out, mode)``.
    """
    n, modes = x.shape[-1], min(weight.shape[-1], x.shape[-1] // 2 + 1)
    forward, inverse = fourier_basis(n, modes, x.device, x.dtype)
    spectrum = (x @ forward).unflatten(-1, (2, modes)).permute(3, 0, 2, 1).flatten(2)  # mode, batch, (part, channel)
    re, im = torch.view_as_real(weight)[:, :, :modes].to(x.dtype).permute(3, 2, 0, 1)  # each: mode, channel, out
    block = torch.cat([torch.cat([re, im], 2), torch.cat([-im, re], 2)], 1)  # mode, (part, channel), (part, out)
    out = torch.bmm(spectrum, block).unflatten(-1, (2, -1)).permute(1, 3, 2, 0).flatten(2)  # batch, out, (part, mode)
    return out @ inverse
