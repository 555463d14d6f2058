"""Gradients with respect to the latents, and training steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from itertools import product

import torch
from torch import Tensor

from noble_prob.bench.timing import Row, forget_peak, load, median_seconds, neurons_and_currents, peak_memory
from noble_prob.decoder.noble import NobleDecoder
from noble_prob.decoder.operator import Path
from noble_prob.training.tasks import render_loss


def bench_gradients(cell: str, *, batch: int = 4, device: str = "cpu", repeats: int = 5) -> list[Row]:
    """Time of the gradient with respect to the latents, of the spike map and of the whole decoder (ms).

    What is differentiated is weighted by a ramp over spikes or samples: the plain sum of a voltage stays the same when
    a spike moves, so that its gradient would be a difference of large numbers and its error rounding alone.
    """
    decoder = load(cell, device)
    latents, current = (v.to(device) for v in neurons_and_currents(decoder, batch))
    gradient = _gradient_at(latents.requires_grad_(), current)
    rows: list[Row] = []
    paths: tuple[Path, ...] = ("fast", "reference")
    exact = load(cell, device).double()
    exact.path = "products"
    wanted = {what: gradient(getattr(exact, what)) for what in ("spike_times", "respond")}
    for what, path in product(wanted, paths):
        decoder.path, decoder.graphs = path, path == "fast"
        answer = getattr(decoder, what)
        seconds = median_seconds(lambda answer=answer: gradient(answer), repeats=repeats, device=device)  # type: ignore[misc]
        error = float((gradient(answer).double() - wanted[what]).norm() / wanted[what].norm())
        rows.append(
            {
                "what": what,
                "path": path,
                "device": device,
                "batch": batch,
                "latency_ms": 1000 * seconds,
                "rel_error": error,
            }
        )
    return rows


def _gradient_at(latents: Tensor, current: Tensor) -> Callable[[Callable[[Tensor, Tensor], Tensor]], Tensor]:
    """From an answer of the decoder to the gradient of its values, weighted by a ramp, with respect to the latents."""

    @cache
    def ramps(rows: int, columns: int, dtype: torch.dtype) -> Tensor:
        return torch.linspace(0, 1, columns, dtype=dtype, device=latents.device).expand(rows, -1).contiguous()

    def gradient(answer: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        value = answer(latents, current).clamp(max=400.0)
        return torch.autograd.grad(value, latents, ramps(value.shape[0], value.shape[1], value.dtype))[0]

    return gradient


def bench_training(
    cell: str,
    *,
    batches: Sequence[int] = (64, 256),
    paths: Sequence[Path] = ("fast", "products", "reference"),
    device: str = "cpu",
    repeats: int = 5,
) -> list[Row]:
    """Forward and backward pass of the operator's loss, from spike times and voltages on the device (traces/s).

    Args:
        cell: A shipped cell or the folder of a checkpoint.
        batches: Traces per step.
        paths: Which implementations.
        device: ``cpu`` or ``cuda``.
        repeats: Steps per row.

    Returns:
        Rows of ``what`` ("training step"), ``path, graph, device, dtype, batch, traces_per_s, latency_ms,
        peak_memory_mb``.
    """
    decoder = load(cell, device)
    decoder.operator.requires_grad_(True)
    rows: list[Row] = []
    before = torch.get_float32_matmul_precision()
    for batch in batches:
        inputs = _inputs(decoder, batch, device)
        for path in paths:
            for dtype in ("float32", "tf32") if device.startswith("cuda") else ("float32",):
                decoder.path = path
                torch.set_float32_matmul_precision("high" if dtype == "tf32" else "highest")
                for graph in (False, True) if device.startswith("cuda") and path == "fast" else (False,):
                    forget_peak(device)
                    call = _captured(decoder, inputs) if graph else partial(_step, decoder, inputs)
                    seconds = median_seconds(call, repeats=repeats, device=device)
                    rows.append(
                        {
                            "what": "training step",
                            "path": path,
                            "graph": graph,
                            "device": device,
                            "dtype": dtype,
                            "batch": batch,
                            "traces_per_s": batch / seconds,
                            "latency_ms": 1000 * seconds,
                            "peak_memory_mb": peak_memory(device),
                        }
                    )
    torch.set_float32_matmul_precision(before)
    return rows


def _step(decoder: NobleDecoder, inputs: tuple[Tensor, ...]) -> None:
    for p in decoder.operator.parameters():
        p.grad = None
    render_loss(decoder, *inputs).backward()


def _captured(decoder: NobleDecoder, inputs: tuple[Tensor, ...]) -> Callable[[], None]:
    """The step recorded as a CUDA graph, as training does it."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            _step(decoder, inputs)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        _step(decoder, inputs)
    return graph.replay


@torch.no_grad()
def _inputs(decoder: NobleDecoder, batch: int, device: str) -> tuple[Tensor, ...]:
    """Standardised latents, currents, spike times, those that happen, and voltages 1 mV beside the decoder's own."""
    latents, current = (v.to(device) for v in neurons_and_currents(decoder, batch))
    x, current = decoder.space.standardise(latents).float(), current.float()
    times = decoder.spike_map.mean_times(x, current)
    voltage = decoder.respond(latents, current)
    noise = torch.randn(voltage.shape, generator=torch.Generator(device).manual_seed(0), device=device)
    return x, current, times, decoder.happening(x, current, times), voltage + noise
