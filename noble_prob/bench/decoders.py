"""Voltages per second: the shipped decoder and the paper's architecture along their paths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from noble_prob.bench.exact import exact_fno, exact_voltage
from noble_prob.bench.timing import Row, forget_peak, load, median_seconds, neurons_and_currents, peak_memory
from noble_prob.decoder.noble import NobleDecoder
from noble_prob.decoder.operator import Path
from noble_prob.decoder.paper import PaperArchitecture, PaperDecoder
from noble_prob.errors import require
from noble_prob.latent import LatentSpace

PROBE = 8
"""Traces whose error is measured."""
ARITHMETIC: dict[str, dict[str, Any]] = {
    "float16": {},
    "tf32": {"dtype": torch.float32},
    "float32": {"dtype": torch.float32, "precision": "tf32x3"},
}
"""Options of the fused kernels by a row's ``dtype``; three TF32 products are single precision to rounding."""


def bench_decoder(
    cell: str,
    *,
    batches: Sequence[int] = (1, 8, 64),
    paths: Sequence[Path] = ("fast", "reference"),
    device: str = "cpu",
    repeats: int = 5,
    seed: int = 0,
) -> list[Row]:
    """Throughput, latency, error and memory of the shipped decoder's paths.

    Args:
        cell: A shipped cell or the folder of a checkpoint.
        batches: Traces per call.
        paths: Which implementations.
        device: ``cpu`` or ``cuda``.
        repeats: Calls per row.
        seed: Of neurons and currents.

    Returns:
        A row per path, arithmetic and batch: ``decoder, path, device, dtype, batch, traces_per_s, latency_ms,
        rel_error, peak_memory_mb`` (memory of the device; None on the CPU).

    Raises:
        UsageError: If there is nothing to time, or the device is missing.
    """
    require(
        min(batches, default=0) > 0, "batches", "positive numbers of traces", list(batches), "pass for example 1,64"
    )
    require(
        not device.startswith("cuda") or torch.cuda.is_available(),
        "device",
        "one that this machine has",
        device,
        "pass cpu",
    )
    decoder = load(cell, device)
    probe = neurons_and_currents(decoder, PROBE, seed=seed + 1)
    exact = exact_voltage(cell, *probe)
    return [row for path in paths for row in _rows("shipped", decoder, path, probe, exact, batches, device, repeats)]


def bench_paper(
    *, batches: Sequence[int] = (64,), device: str = "cpu", repeats: int = 5, seed: int = 0, like: str
) -> list[Row]:
    """The same for the paper's architecture with random weights: 12 layers, 24 channels, 129 kept modes.

    Args:
        batches: Traces per call.
        device: ``cpu`` or ``cuda``.
        repeats: Calls per row.
        seed: Of weights, neurons and currents.
        like: Cell whose window and latent space are taken (its first two latents).
    """
    shipped = load(like)
    space = LatentSpace(
        name="first2", latents=shipped.space.latents[:2], mean=shipped.space.mean[:2], sd=shipped.space.sd[:2]
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        decoder = PaperDecoder(
            space=space, window=shipped.window, summary_names=("resting_voltage_mv",), architecture=PaperArchitecture()
        ).requires_grad_(False)
    spread = 3 * decoder.space.sd
    decoder.low.copy_(decoder.space.mean - spread)
    decoder.high.copy_(decoder.space.mean + spread)
    probe = neurons_and_currents(decoder, PROBE, seed=seed + 1)
    inputs = decoder.channels(probe[0].float(), probe[1], decoder.window.time_ms)
    exact = 20.0 * exact_fno(decoder.operator, inputs) - 70.0
    paths: tuple[Path, ...] = ("fast", "reference") if device.startswith("cuda") else ("reference",)
    decoder = decoder.to(device)
    return [row for path in paths for row in _rows("paper", decoder, path, probe, exact, batches, device, repeats)]


def _rows(
    name: str,
    decoder: NobleDecoder | PaperDecoder,
    path: Path,
    probe: tuple[Tensor, Tensor],
    exact: Tensor,
    batches: Sequence[int],
    device: str,
    repeats: int,
) -> Iterator[Row]:
    """Rows of one path, in every arithmetic it has."""
    decoder.path = path
    fused = path == "fast" and device.startswith("cuda")
    for dtype, options in (ARITHMETIC if fused else {"float32": {}}).items():
        decoder.kernel_options = options
        error = relative_error(decoder, probe, exact)
        for batch in batches:
            latents, current = (v.to(device) for v in neurons_and_currents(decoder, batch))
            seconds, memory = _timed(decoder, latents, current, repeats, device)
            yield {
                "decoder": name,
                "path": path,
                "device": device,
                "dtype": dtype,
                "batch": batch,
                "traces_per_s": batch / seconds,
                "latency_ms": 1000 * seconds,
                "rel_error": error,
                "peak_memory_mb": memory,
            }


def relative_error(decoder: NobleDecoder | PaperDecoder, probe: tuple[Tensor, Tensor], exact: Tensor) -> float:
    """Largest relative L2 error of a trace against float64."""
    with torch.no_grad():
        found = decoder.respond(*(v.to(decoder.support_radius.device) for v in probe)).double().cpu()
    return float(((found - exact).norm(dim=-1) / exact.norm(dim=-1)).max())


@contextmanager
def single_precision() -> Iterator[None]:
    """Products of float32 in full single precision, whatever the process allows."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _timed(
    decoder: NobleDecoder | PaperDecoder, latents: Tensor, current: Tensor, repeats: int, device: str
) -> tuple[float, float | None]:
    """Median seconds of a response, and the device's peak memory (MiB)."""
    forget_peak(device)
    with torch.inference_mode(), single_precision():
        seconds = median_seconds(lambda: decoder.respond(latents, current), repeats=repeats, device=device)
    return seconds, peak_memory(device)
