"""All parts in one run, as one report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from noble_prob.bench.decoders import bench_decoder, bench_paper
from noble_prob.bench.gradients import bench_gradients, bench_training
from noble_prob.bench.limits import limits
from noble_prob.bench.throughput import bench_ensemble, bench_simulator
from noble_prob.bench.timing import describe_machine, load
from noble_prob.decoder.operator import Path


def benchmark(
    cell: str,
    *,
    batches: Sequence[int],
    paths: Sequence[Path] = ("fast", "reference"),
    device: str = "cpu",
    repeats: int = 5,
    paper: bool = True,
    training: Sequence[int] = (),
    ensemble: int | None = None,
    simulator_cores: Sequence[int] = (),
    hof: str = "builtin",
) -> dict[str, Any]:
    """Everything that is asked for, as JSON values.

    Args:
        cell: A shipped cell.
        batches: Traces per call.
        paths: Paths of the shipped decoder.
        device: ``cpu`` or ``cuda``.
        repeats: Calls per row.
        paper: Whether the paper's architecture is timed.
        training: Traces per training step.
        ensemble: Neurons of an ensemble.
        simulator_cores: Numbers of processes of the simulator.
        hof: What it simulates: a folder of models, or ``builtin``.

    Returns:
        ``machine, device, results, gradients, training, ensemble, limits, simulator``.
    """
    rows = bench_decoder(cell, batches=batches, paths=paths, device=device, repeats=repeats)
    if paper:
        rows += bench_paper(batches=batches, device=device, repeats=repeats, like=cell)
    return {
        "machine": describe_machine(device),
        "device": device,
        "results": rows,
        "gradients": bench_gradients(cell, device=device, repeats=repeats),
        "training": bench_training(cell, batches=training, device=device, repeats=repeats) if training else [],
        "ensemble": [bench_ensemble(cell, traces=ensemble, device=device)] if ensemble else [],
        "limits": limits(device=device, architecture=load(cell).architecture),
        "simulator": bench_simulator(cores=simulator_cores, hof=hof) if simulator_cores else [],
    }
