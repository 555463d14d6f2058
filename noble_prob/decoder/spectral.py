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


@lru_cache(maxsize=16)
def local_basis(
    n: int, modes: int, device: torch.device, dtype: torch.dtype, *, block: int = 128, tolerance: float | None = None,
    rank: int | None = None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """The truncated transform in two small steps: blocks of samples to a few coefficients, coefficients to modes.

    Args:
        n: Length of the signal; any, it is cut into blocks and the last one is padded by zeros.
        modes: Modes kept.
        device: Where the matrices live.
        dtype: Their precision; they are computed in float64.
        block: Samples per block.
        tolerance: Largest singular value left out, relative to the first; rounding of ``dtype`` when not given.
        rank: Coefficients per block, instead of a tolerance; padded with zeros beyond the rank of the block.

    Returns:
        ``(local, forward, inverse)``: orthonormal columns ``(block, rank)``, and matrices of shapes
        ``(blocks * rank, 2 modes)`` and ``(2 modes, blocks * rank)`` with the meaning of :func:`fourier_basis`.
    """
    samples = torch.arange(block, dtype=torch.float64)
    turns = torch.outer(samples - block / 2, torch.arange(modes, dtype=torch.float64)) / n
    waves = torch.cat([torch.cos(2 * torch.pi * turns), torch.sin(2 * torch.pi * turns)], 1)
    vectors, size, _ = torch.linalg.svd(waves, full_matrices=False)
    eps = torch.finfo(torch.promote_types(dtype, torch.float32)).eps if tolerance is None else tolerance
    kept = int((size > eps * size[0]).sum()) if rank is None else min(rank, len(size))
    local = vectors[:, :kept]
    if rank is not None and kept < rank:
        local = torch.nn.functional.pad(local, (0, rank - kept))
    there = torch.einsum("sj,bsm->bjm", local, _whole_blocks(n, modes, block))
    back = there.permute(2, 0, 1)
    double = torch.where((torch.arange(modes) == 0) | (2 * torch.arange(modes) == n), 1.0, 2.0).repeat(2)
    return (local.to(device, dtype).contiguous(), (there.flatten(0, 1) / n).to(device, dtype).contiguous(),
            (back.flatten(1) * double[:, None]).to(device, dtype).contiguous())  # fmt: skip


def _whole_blocks(n: int, modes: int, block: int) -> Tensor:
    """Cosines and minus sines of every block, the last one continued, ``(blocks, block, 2 modes)``."""
    at = torch.arange(-(-n // block) * block, dtype=torch.float64)
    turns = torch.outer(at, torch.arange(modes, dtype=torch.float64)).remainder(n) / n
    waves = torch.cat([torch.cos(2 * torch.pi * turns), -torch.sin(2 * torch.pi * turns)], 1)
    return waves.reshape(-1, block, 2 * modes)


def mode_blocks(weight: Complex[Tensor, "channel out mode"], modes: int) -> Float[Tensor, "mode channel2 out2"]:
    """Complex matrices of the first ``modes`` modes as real ones of twice the size, real parts first."""
    re, im = torch.view_as_real(weight)[:, :, :modes].permute(3, 2, 0, 1)  # each: mode, channel, out
    return torch.cat([torch.cat([re, im], 2), torch.cat([-im, re], 2)], 1)


def spectral_product(
    x: Float[Tensor, "batch channel time"], weight: Complex[Tensor, "channel out mode"]
) -> Float[Tensor, "batch out time"]:
    """One spectral convolution by matrix products, differentiable.

    Args:
        x: Input, shape ``(batch, channel, time)``.
        weight: Complex weights of the modes kept, shape ``(channel, out, mode)``.
    """
    n, modes = x.shape[-1], min(weight.shape[-1], x.shape[-1] // 2 + 1)
    local, forward, inverse = local_basis(n, modes, x.device, x.dtype)
    block, rank = local.shape
    padded = x if n % block == 0 else torch.nn.functional.pad(x, (0, -n % block))
    spectrum = (padded.unflatten(-1, (-1, block)) @ local).flatten(-2) @ forward
    mixed = mix_modes(spectrum, mode_blocks(weight, modes).to(x.dtype))
    return ((mixed @ inverse).unflatten(-1, (-1, rank)) @ local.T).flatten(-2)[..., :n]


def mix_modes(
    spectrum: Float[Tensor, "batch channel mode2"], blocks: Float[Tensor, "mode channel2 out2"]
) -> Float[Tensor, "batch out mode2"]:
    """Every mode times its matrix; real parts of all modes first, then imaginary parts."""
    parts = spectrum.unflatten(-1, (2, len(blocks))).permute(3, 0, 2, 1).flatten(2)  # mode, batch, (part, channel)
    return torch.bmm(parts, blocks).unflatten(-1, (2, -1)).permute(1, 3, 2, 0).flatten(2)
