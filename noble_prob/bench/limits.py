"""What the machine could do at most: bytes over measured bandwidth, operations over the measured matrix rate."""

from __future__ import annotations

import torch

from noble_prob.bench.timing import Row, median_seconds
from noble_prob.decoder.spectral import local_basis


def limits(
    *, name: str, layers: int, width: int, hidden: int, channels: int, lifted: int, projected: int, modes: int, n: int,
    device: str = "cpu",
) -> Row:  # fmt: skip
    """Two ceilings of the fused path in half precision.

    Bytes: every activation read once and written once per layer, and the coefficients of the transforms; operations:
    all matrix products as the fused path does them. Sizes are the operator's, without padding.

    Args:
        name: ``shipped`` or ``paper``.
        layers: Fourier layers.
        width: Channels of a layer.
        hidden: Hidden channels of the channel MLPs.
        channels: Input channels.
        lifted: Hidden channels of the lifting.
        projected: Hidden channels of the projection.
        modes: Modes kept.
        n: Samples of a trace.
        device: Where bandwidth and matrix rate are measured.

    Returns:
        ``decoder, bytes_per_trace, flop_per_trace, bandwidth_gb_s, matrix_tflop_s, traces_per_s_by_bytes,
        traces_per_s_by_flop``.
    """
    local = local_basis(n, modes, torch.device("cpu"), torch.float32)[0]
    blocks, rank = -(-n // len(local)), local.shape[1]
    size = 2
    activation, coefficients = n * width * size, blocks * rank * width * size
    moved = 2 * layers * (activation + 2 * coefficients) + 4 * n
    pointwise = layers * (width * width + 2 * width * hidden) + lifted * (channels + width) + projected * (width + 1)
    transforms = layers * 2 * width * (n * rank + blocks * rank * 2 * modes) + layers * 4 * modes * width * width
    flop = 2 * (n * pointwise + transforms)
    bandwidth, rate = copy_bandwidth(device), matrix_rate(device)
    return {"decoder": name, "bytes_per_trace": moved, "flop_per_trace": flop, "bandwidth_gb_s": bandwidth / 1e9,
            "matrix_tflop_s": rate / 1e12, "traces_per_s_by_bytes": bandwidth / moved,
            "traces_per_s_by_flop": rate / flop}  # fmt: skip


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
