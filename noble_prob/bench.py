"""How fast the decoder answers on this machine, beside what it is compared with: rows of numbers, nothing printed.

Every row is the median of repeated calls, latents and currents in, millivolts out, after a first call that is not
counted. The error of a row is the relative L2 distance of its voltages from the same decoder in float64. The simulator
row is the same window simulated by Arbor. Rows of one report were taken in one run, so that their ratios mean something
on a machine that does other work too.
"""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.decoder.checkpoint import load_decoder
from noble_prob.decoder.noble import NobleDecoder
from noble_prob.decoder.operator import Path
from noble_prob.errors import UsageError, require

Row = dict[str, Any]


def describe_machine(device: str = "cpu") -> dict[str, Any]:
    """Processor, threads and versions; the accelerator's name where one is used."""
    name = torch.cuda.get_device_name() if device.startswith("cuda") else platform.processor() or platform.machine()
    return {
        "processor": name,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


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
    decoder: NobleDecoder, n: int, *, seed: int = 0
) -> tuple[Float[Tensor, "n latent"], Float[Tensor, " n"]]:
    """Random latents around the training population (in their units) and step currents (pA) over its range."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, len(decoder.space), generator=generator, dtype=torch.float64)
    low, high = decoder.window.current_range_pa
    return decoder.space.unstandardise(0.6 * x), low + (high - low) * torch.rand(n, generator=generator)


def _load(cell: str, device: str = "cpu") -> NobleDecoder:
    """A checkpoint with several paths."""
    decoder = load_decoder(cell, device=device)
    if not isinstance(decoder, NobleDecoder):
        raise UsageError("cell", "a phase-modulated decoder", type(decoder).__name__, "choose a shipped cell")
    return decoder


def exact_voltage(cell: str, latents: Tensor, current_pa: Tensor) -> Float[Tensor, "batch time"]:
    """The decoder's voltage (mV) in float64, on the CPU."""
    exact = _load(cell).double()
    with torch.no_grad():
        return exact.respond(latents.double().cpu(), current_pa.double().cpu())


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
        A row per path and batch: ``decoder, path, device, dtype, batch, traces_per_s, latency_ms, rel_error,
        peak_memory_mb`` (memory of the device; None on the CPU).

    Raises:
        UsageError: If there is nothing to time, or the device is missing.
    """
    require(
        min(batches, default=0) > 0, "batches", "positive numbers of traces", list(batches), "pass for example 1,64"
    )
    require(not device.startswith("cuda") or torch.cuda.is_available(), "device", "one that this machine has", device,
            "pass cpu")  # fmt: skip
    decoder = _load(cell, device)
    probe = neurons_and_currents(decoder, 8, seed=seed + 1)
    exact = exact_voltage(cell, *probe)
    rows = []
    for batch in batches:
        latents, current = (v.to(device) for v in neurons_and_currents(decoder, batch, seed=seed))
        for path in paths:
            decoder.path = path
            error = relative_error(decoder, probe, exact)
            seconds, memory = _timed(decoder, latents, current, repeats, device)
            rows.append({
                "decoder": "shipped", "path": path, "device": device,
                "dtype": "float16" if path == "triton" else "float32", "batch": batch,
                "traces_per_s": batch / seconds, "latency_ms": 1000 * seconds, "rel_error": error,
                "peak_memory_mb": memory,
            })  # fmt: skip
    return rows


def relative_error(decoder: NobleDecoder, probe: tuple[Tensor, Tensor], exact: Tensor) -> float:
    """Largest relative L2 error of a trace against float64."""
    with torch.no_grad():
        found = decoder.respond(*(v.to(decoder.support_radius.device) for v in probe)).double().cpu()
    return float(((found - exact).norm(dim=-1) / exact.norm(dim=-1)).max())


def _timed(decoder: NobleDecoder, latents: Tensor, current: Tensor, repeats: int, device: str) -> tuple[float, Any]:
    """Median seconds of a response, and the device's peak memory (MiB)."""
    on_gpu = device.startswith("cuda")
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    with torch.inference_mode():
        seconds = median_seconds(lambda: decoder.respond(latents, current), repeats=repeats, device=device)
    return seconds, torch.cuda.max_memory_allocated() / 2**20 if on_gpu else None


def bench_gradients(cell: str, *, batch: int = 4, device: str = "cpu", repeats: int = 5) -> list[Row]:
    """Time of the gradient with respect to the latents, of the spike map and of the whole decoder (ms)."""
    decoder = _load(cell, device)
    latents, current = (v.to(device) for v in neurons_and_currents(decoder, batch))
    latents.requires_grad_()

    def gradient(answer: Callable[[Tensor, Tensor], Tensor]) -> Callable[[], object]:
        return lambda: torch.autograd.grad(answer(latents, current).clamp(max=400.0).sum(), latents)

    rows = []
    for what, path in (("spike_times", "fast"), ("respond", "fast"), ("respond", "reference")):
        decoder.path = path  # type: ignore[assignment]
        seconds = median_seconds(gradient(getattr(decoder, what)), repeats=repeats, device=device)
        rows.append({"what": what, "path": path, "device": device, "batch": batch, "latency_ms": 1000 * seconds})
    return rows


def bench_simulator(*, cores: Sequence[int] = (1,), traces: int = 4) -> list[Row]:
    """Throughput of Arbor on a biophysical model of the package under step currents, per number of processes.

    Args:
        cores: Numbers of processes.
        traces: Step currents simulated per process.
    """
    from noble_prob.population.builtin import open_hof
    from noble_prob.population.simulate import simulate
    from noble_prob.recording import Protocol

    hof, rows = open_hof("builtin").select((0,)), []
    for n in cores:
        protocol = Protocol.step_family([180.0 + 0.1 * i for i in range(traces * n)])
        begin = time.perf_counter()
        simulate(hof, protocol, jobs=n, progress=False)
        rows.append({"name": "arbor", "cores": n, "traces_per_s": traces * n / (time.perf_counter() - begin)})
    return rows
