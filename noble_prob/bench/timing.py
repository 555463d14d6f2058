"""Clocks, inputs and the machine's description."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.decoder.base import Decoder
from noble_prob.decoder.checkpoint import load_decoder
from noble_prob.decoder.noble import NobleDecoder
from noble_prob.errors import UsageError

Row = dict[str, Any]


def describe_machine(device: str = "cpu") -> dict[str, Any]:
    """Processor, threads and versions; the accelerator's name where one is used."""
    described = {
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    if device.startswith("cuda"):
        described = {"accelerator": torch.cuda.get_device_name(), **described}
    return described


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = (
        [x.split(":", 1)[1].strip() for x in info.read_text().splitlines() if x.startswith("model name")]
        if info.exists()
        else []
    )
    return names[0] if names else platform.processor() or platform.machine()


def median_seconds(call: Callable[[], object], *, repeats: int = 5, device: str = "cpu") -> float:
    """Median wall-clock time of a call (s) after one call that is not counted."""
    times = []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        call()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
    return statistics.median(times[1:])


def neurons_and_currents(
    decoder: Decoder, n: int, *, seed: int = 0
) -> tuple[Float[Tensor, "n latent"], Float[Tensor, " n"]]:
    """Random latents around the training population (in their units) and step currents (pA) over its range."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, len(decoder.space), generator=generator, dtype=torch.float64)
    low, high = decoder.window.current_range_pa
    return decoder.space.unstandardise(0.6 * x), low + (high - low) * torch.rand(n, generator=generator)


def load(cell: str, device: str = "cpu") -> NobleDecoder:
    """A checkpoint with several paths.

    Raises:
        UsageError: If the checkpoint is of another kind.
    """
    decoder = load_decoder(cell, device=device)
    if not isinstance(decoder, NobleDecoder):
        raise UsageError("cell", "a phase-modulated decoder", type(decoder).__name__, "choose a shipped cell")
    return decoder


def peak_memory(device: str) -> float | None:
    """Most memory of the device that was in use since ``forget_peak`` (MiB); None on the CPU."""
    return torch.cuda.max_memory_allocated() / 2**20 if device.startswith("cuda") else None


def forget_peak(device: str) -> None:
    """Begin to watch memory."""
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
