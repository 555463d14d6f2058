r"""The truncated Fourier transform as small matrix products, for any length.

A Fourier layer keeps :math:`M` of the :math:`N/2+1` modes of a real signal (129 of 4,097 here). Cut the signal into
blocks of 128 samples: within a block the kept modes are so smooth that some 14 orthonormal columns span all of them
to rounding, because a mode turns at most :math:`128 M / N` times in it (a discrete form of the time-bandwidth product
of Slepian and Pollak, 1961). So the transform is two products,

.. math:: X = \big[x_1 U \;\; x_2 U \;\dots\big]\, E, \qquad U: 128 \times 14, \quad E: 14 N / 128 \times 2M,

about five times fewer operations than one product with the :math:`N \times 2M` matrix of cosines and sines, without
complex numbers and without conditions on :math:`N`; coming back takes the transposes, weighted. The result equals that
of ``neuralop.layers.spectral_convolution.SpectralConv`` (``fft_norm="forward"``) to rounding.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

BLOCK = 128
"""Samples of a block."""

_KEPT = 16


class Basis(NamedTuple):
    """Matrices of the truncated transform of one length.

    Attributes:
        local: Orthonormal columns that span the kept modes over a block, shape ``(block, rank)``.
        forward: Coefficients to modes, ``(blocks * rank, 2 modes)``; real parts first, divided by the length.
        inverse: Modes to coefficients, ``(2 modes, blocks * rank)``; conjugate pairs counted.
    """

    local: Tensor
    forward: Tensor
    inverse: Tensor


_CACHE: dict[tuple[int, int, str, torch.dtype, int, bool], Basis] = {}
_PAIRS = WeakIdKeyDictionary()
"""By weight without gradients its version, and matrices by the number of modes."""


def power(n: int) -> int:
    """The next power of two, at least 16: what a matrix product of a kernel takes."""
    return max(16, 1 << (n - 1).bit_length())


def local_basis(
    n: int, modes: int, device: torch.device, dtype: torch.dtype, *, block: int = BLOCK, padded: bool = False
) -> Basis:
    """The matrices, built in float64 once per length, device and precision.

    Args:
        n: Length of the signal.
        modes: Modes kept, at most ``n // 2 + 1``.
        device: Where the matrices live.
        dtype: Their precision; the rank follows its rounding.
        block: Samples per block; the last block may reach beyond the signal.
        padded: Fill the rank up with zeros, as kernels need it.
    """
    key = (n, modes, str(device), dtype, block, padded)
    if key not in _CACHE:
        if len(_CACHE) >= _KEPT:
            _CACHE.pop(next(iter(_CACHE)))
        _CACHE[key] = _build(n, modes, device, dtype, block, padded)
    return _CACHE[key]


def cached_matrices() -> tuple[Any, ...]:
    """All matrices that are kept now."""
    return *_CACHE.values(), *(tuple(kept.values()) for _, kept in _PAIRS.values())


@torch.compiler.disable
def _build(n: int, modes: int, device: torch.device, dtype: torch.dtype, block: int, padded: bool) -> Basis:
    k, at = torch.arange(modes, dtype=torch.float64), torch.arange(-(-n // block) * block, dtype=torch.float64)
    angle = 2 * torch.pi * torch.outer(at, k).remainder(n) / n
    waves = torch.cat([torch.cos(angle), -torch.sin(angle)], 1).reshape(-1, block, 2 * modes)
    vectors, size, _ = torch.linalg.svd(waves[0], full_matrices=False)
    rounding = torch.finfo(torch.promote_types(dtype, torch.float32)).eps
    used = int((size > rounding * size[0]).sum())
    local = vectors.new_zeros(block, power(used) if padded else used)
    local[:, :used] = vectors[:, :used]
    there = torch.einsum("sj,bsm->bjm", local, waves).flatten(0, 1)
    pairs = torch.where((k == 0) | (2 * k == n), 1.0, 2.0).repeat(2)
    matrices = (local, there / n, (there * pairs).T)
    with torch.inference_mode(mode=False):  # they may be used later where gradients flow
        return Basis(*(m.to(device, dtype, copy=True).contiguous() for m in matrices))


def mode_blocks(weight: Complex[Tensor, "channel out mode"], modes: int) -> Float[Tensor, "mode channel2 out2"]:
    """Complex matrices of the first ``modes`` modes as real ones of twice the size, real parts first."""
    re, im = torch.view_as_real(weight)[:, :, :modes].permute(3, 2, 0, 1)  # each: mode, channel, out
    return torch.cat([torch.cat([re, im], 2), torch.cat([-im, re], 2)], 1)


def frozen_pair(weight: Complex[Tensor, "channel out mode"], modes: int) -> Float[Tensor, "2 part mode a b"]:
    """Matrices of the first ``modes`` modes of a weight without gradients, kept until it is written to.

    Real and imaginary parts of the matrices, channel before output, and of their conjugate transposes, which take
    gradients back.
    """
    now = None if weight.is_inference() else weight._version
    version, kept = _PAIRS.get(weight, (None, {}))
    if now is None or version != now:
        kept = {}
    if modes not in kept:
        with torch.inference_mode(mode=False), torch.no_grad():
            there = torch.view_as_real(weight.detach().resolve_conj())[:, :, :modes].permute(3, 2, 0, 1)
            back = torch.stack([there[0].mT, -there[1].mT])
            kept[modes] = torch.stack([there, back])
        _PAIRS[weight] = now, kept
    return kept[modes]


def mix_modes(
    spectrum: Float[Tensor, "batch channel mode2"], blocks: Float[Tensor, "mode channel2 out2"]
) -> Float[Tensor, "batch out mode2"]:
    """Every mode times its matrix; real parts of all modes first, then imaginary parts."""
    parts = spectrum.unflatten(-1, (2, len(blocks))).permute(3, 0, 2, 1).flatten(2)  # mode, batch, (part, channel)
    return torch.bmm(parts, blocks).unflatten(-1, (2, -1)).permute(1, 3, 2, 0).flatten(2)


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
