"""Biophysical models under current steps: models and currents in, voltages out.

  noble-prob simulate --hof DIR --models 0,2,5-9 --amps-na -0.11,0.05,0.18 --out traces.npz
  noble-prob simulate --hof builtin --amps-na 0.1 --noise-sd-na 0.02 --seed 1 --out noisy.npz

writes voltage_mv (model, current, time), time_ms (the step begins 15 ms after the first sample), models, amps_na. Needs
Arbor: pip install 'noble_prob[simulate]'.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from noble_prob.cli.options import finite, positive, seed, step_na
from noble_prob.cli.output import new_file, tell
from noble_prob.population.builtin import open_hof
from noble_prob.population.hof import parse_keys
from noble_prob.population.simulate import simulate
from noble_prob.population.stimuli import OUNoise
from noble_prob.population.trace import Numerics
from noble_prob.recording import Protocol

BEFORE_MS, AFTER_MS = 15.0, 115.0


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this verb."""
    parser.add_argument("--hof", required=True, help="folder of a Hall of Fame, or 'builtin'")
    parser.add_argument("--models", default=None, help="model numbers such as 0,2,5-9 (all)")
    parser.add_argument("--amps-na", type=step_na, required=True, help="step heights in nA, separated by commas")
    parser.add_argument("--out", type=Path, required=True, help="NPZ file to write")
    parser.add_argument("--duration-ms", type=finite, default=400.0, help="length of the step (400)")
    parser.add_argument("--sample-ms", type=finite, default=None, help="sampling interval of the file (the time step)")
    parser.add_argument("--noise-sd-na", type=finite, default=0.0, help="SD of an Ornstein-Uhlenbeck background (0)")
    parser.add_argument("--noise-tau-ms", type=finite, default=3.0, help="its correlation time (3)")
    parser.add_argument("--seed", type=seed, default=0, help="seed of the background (0)")
    add_engine(parser)


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Options that every verb with simulations has."""
    parser.add_argument("--dt-ms", type=finite, default=0.02, help="time step (0.02)")
    parser.add_argument("--cv-um", type=finite, default=20.0, help="largest compartment (20)")
    parser.add_argument("--jobs", type=positive, default=1, help="processes (1)")
    parser.add_argument("--engine", choices=("processes", "ray"), default="processes", help="where to run (processes)")
    parser.add_argument("--address", default=None, help="address of the Ray cluster (one on this machine)")
    parser.add_argument("--timeout-s", type=finite, default=None, help="limit per trace or chunk")


def run(args: argparse.Namespace) -> int:
    """Simulate the models and write the NPZ file."""
    hof = open_hof(args.hof)
    hof = hof if args.models is None else hof.select(parse_keys(args.models))
    protocol = Protocol.step_family(
        [1000 * a for a in args.amps_na], onset_ms=BEFORE_MS, duration_ms=args.duration_ms,
        total_ms=BEFORE_MS + args.duration_ms + AFTER_MS, dt_ms=args.sample_ms or args.dt_ms,
    )  # fmt: skip
    noise = (
        OUNoise(sd_pa=1000 * args.noise_sd_na, tau_ms=args.noise_tau_ms, seed=args.seed) if args.noise_sd_na else None
    )
    with new_file(args.out) as draft, draft.open("wb") as file:
        recording = simulate(
            hof, protocol, numerics=Numerics(dt_ms=args.dt_ms, cv_um=args.cv_um), noise=noise, jobs=args.jobs,
            timeout_s=args.timeout_s, engine=args.engine, address=args.address, progress=not args.quiet,
        )  # fmt: skip
        np.savez_compressed(
            file, voltage_mv=recording.voltage_mv.numpy(), time_ms=recording.time_ms.numpy(),
            models=np.array(hof.keys), amps_na=np.array(args.amps_na),
        )  # fmt: skip
    failures = recording.provenance["failures"]
    for what, why in failures.items():
        print(f"failed: {what}: {why}", file=sys.stderr)
    shape = list(recording.voltage_mv.shape)
    tell(args, f"voltage of shape (model, current, time) = {tuple(shape)} in {args.out}",
         {"out": str(args.out), "shape": shape, "models": list(hof.keys), "failures": dict(failures)})  # fmt: skip
    return 1 if failures else 0
