"""What the machine could do at most: bytes over measured bandwidth, operations over the measured matrix rate."""

from __future__ import annotations

import torch

from noble_prob.bench.timing import Row, median_seconds
from noble_prob.decoder.architecture import Architecture
from noble_prob.decoder.embedding import N_CHANNELS
from noble_prob.decoder.paper import PaperArchitecture
from noble_prob.decoder.spectral import local_basis

HALF = 2
"""Bytes of a number in half precision."""


def limits(*, device: str = "cpu", architecture: Architecture | None = None, n: int = 8192) -> list[Row]:
    """Two ceilings of the fused path in half precision, for the phase-modulated and the paper's operator.

    Bytes: every activation read once and written once per layer, and the coefficients of the transforms; operations:
    all matrix products as the fused path does them. Sizes are the operators', without padding.

    Args:
        device: Where bandwidth and matrix rate are measured.
        architecture: Of the phase-modulated operator; the shipped sizes if None.
        n: Samples of a trace.

    Returns:
        Rows of ``decoder, bytes_per_trace, flop_per_trace, bandwidth_gb_s, matrix_tflop_s, traces_per_s_by_bytes,
        traces_per_s_by_flop``.
    """
    a, p = architecture or Architecture(), PaperArchitecture()
    bandwidth, rate = copy_bandwidth(device), matrix_rate(device)
    sizes = {
        "shipped": (a.layers, a.width, a.hidden, N_CHANNELS, 2 * a.width, 2 * a.width, a.modes // 2 + 1),
        "paper": (
            p.layers,
            p.width,
            p.width // 2,
            p.n_channels(2) + 1,
            2 * p.width,
            p.projection_ratio * p.width,
            p.modes // 2 + 1,
        ),
    }
    rows = []
    for name, size in sizes.items():
        moved, flop = _costs(n, *size)
        rows.append(
            {
                "decoder": name,
                "bytes_per_trace": moved,
                "flop_per_trace": flop,
                "bandwidth_gb_s": bandwidth / 1e9,
                "matrix_tflop_s": rate / 1e12,
                "traces_per_s_by_bytes": bandwidth / moved,
                "traces_per_s_by_flop": rate / flop,
            }
        )
    return rows


def _costs(
    n: int, layers: int, width: int, hidden: int, channels: int, lifted: int, projected: int, modes: int
) -> tuple[int, int]:
    """Bytes and operations of one trace."""
    local = local_basis(n, modes, torch.device("cpu"), torch.float32)[0]
    blocks, rank = -(-n // len(local)), local.shape[1]
    moved = HALF * 2 * layers * (n * width + 2 * blocks * rank * width) + 4 * n
    pointwise = layers * (width * width + 2 * width * hidden) + lifted * (channels + width) + projected * (width + 1)
    transforms = layers * (2 * width * (n * rank + blocks * rank * 2 * modes) + 4 * modes * width * width)
    return moved, 2 * (n * pointwise + transforms)


def copy_bandwidth(device: str) -> float:
    """Bytes read and written per second by a large copy."""
    x = torch.empty(2**28 if device.startswith("cuda") else 2**25, device=device).normal_()
    y = torch.empty_like(x)
    return 8 * len(x) / median_seconds(lambda: y.copy_(x), repeats=10, device=device)


def matrix_rate(device: str) -> float:
    """Operations per second of a large matrix product: half precision on an accelerator, single on the CPU."""
    cuda = device.startswith("cuda")
    n, dtype = (8192, torch.float16) if cuda else (2048, torch.float32)
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    return 2 * n**3 / median_seconds(lambda: a @ b, repeats=10, device=device)
