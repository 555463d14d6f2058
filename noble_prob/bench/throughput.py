"""Whole ensembles, sampled and measured; and the simulator that the decoder learned from."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from noble_prob.bench.timing import Row, forget_peak, load, peak_memory
from noble_prob.cells import load_cell
from noble_prob.ensemble import draw, respond_features

FEATURES = ("spike_count", "first_spike_latency_ms", "mean_isi_ms", "ap1_peak_mv", "resting_voltage_mv")


def bench_ensemble(
    cell: str, *, traces: int, device: str = "cpu", current_pa: float = 180.0, chunk: int = 2048, seed: int = 0
) -> Row:
    """Neurons drawn from the prior, rendered and measured on the device; no voltage leaves it.

    Args:
        cell: A shipped cell.
        traces: How many neurons.
        device: ``cpu`` or ``cuda``.
        current_pa: Height of the step (pA).
        chunk: Traces at once.
        seed: Of the draw.

    Returns:
        ``what, device, traces, features, seconds, drawing_seconds, traces_per_s, peak_memory_mb, spiking``.
    """
    decoder = load(cell, device)
    begin = time.perf_counter()
    neurons = draw(load_cell(cell).prior, traces, seed=seed)
    drawn = time.perf_counter()
    forget_peak(device)
    found = respond_features(decoder, neurons, current_pa, names=FEATURES, chunk=chunk, device=device)
    end = time.perf_counter()
    spiking = float((found["spike_count"][0] > 0).double().mean())
    return {
        "what": "ensemble",
        "device": device,
        "traces": traces,
        "features": len(FEATURES),
        "seconds": end - begin,
        "drawing_seconds": drawn - begin,
        "traces_per_s": traces / (end - begin),
        "peak_memory_mb": peak_memory(device),
        "spiking": spiking,
    }


def bench_simulator(*, cores: Sequence[int] = (1,), traces: int = 4, hof: str = "builtin") -> list[Row]:
    """Throughput of Arbor on a biophysical model under step currents, per number of processes, once they are at work.

    Args:
        cores: Numbers of processes.
        traces: Step currents simulated per process.
        hof: Folder of the cell's models, or ``builtin``; the first model is simulated.
    """
    from noble_prob.population.builtin import open_hof
    from noble_prob.population.simulate import simulate
    from noble_prob.recording import Protocol

    def seconds(jobs: int, n: int) -> float:
        begin = time.perf_counter()
        simulate(model, Protocol.step_family([180.0 + 0.1 * i for i in range(n)]), jobs=jobs, progress=False)
        return time.perf_counter() - begin

    model = open_hof(hof).models[0]
    seconds(1, 1)  # loads the channels
    return [
        {
            "name": "arbor",
            "cores": n,
            "hof": Path(hof).name,
            "traces_per_s": traces * n / (seconds(n, (1 + traces) * n) - seconds(n, n)),
        }
        for n in cores
    ]
