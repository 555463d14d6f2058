"""``noble-prob simulate``: biophysical models and currents in, voltages out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from noble_prob.population.builtin import open_hof
from noble_prob.population.hof import parse_keys
from noble_prob.population.simulate import simulate
from noble_prob.population.stimuli import OUNoise
from noble_prob.population.trace import Numerics
from noble_prob.recording import Protocol

BEFORE_MS, AFTER_MS, SAMPLE_MS = 15.0, 115.0, 0.05


def add_parser(subparsers: Any) -> None:
    """Add the verb ``simulate``."""
    parser = subparsers.add_parser("simulate", help="simulate biophysical models (Arbor)")
    add_options(parser)
    parser.set_defaults(run=run)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this verb."""
    parser.add_argument("--hof", required=True, help="folder of a Hall of Fame, or 'builtin'")
    parser.add_argument("--models", default=None, help="model numbers such as 0,2,5-9 (all)")
    parser.add_argument("--amps-na", required=True, help="step heights in nA, separated by commas")
    parser.add_argument("--out", type=Path, required=True, help="NPZ file to write")
    parser.add_argument("--duration-ms", type=float, default=400.0, help="length of the step (400)")
    parser.add_argument("--sample-ms", type=float, default=None, help="sampling interval of the file (the time step)")
    parser.add_argument("--noise-sd-na", type=float, default=0.0, help="SD of an Ornstein-Uhlenbeck background (0)")
    parser.add_argument("--noise-tau-ms", type=float, default=3.0, help="its correlation time (3)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the background (0)")
    add_engine(parser)


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Options that every verb with simulations has."""
    parser.add_argument("--dt-ms", type=float, default=0.025, help="time step (0.025)")
    parser.add_argument("--cv-um", type=float, default=20.0, help="largest compartment (20)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (1)")
    parser.add_argument("--engine", choices=("processes", "ray"), default="processes", help="where to run (processes)")
    parser.add_argument("--address", default=None, help="address of the Ray cluster (one on this machine)")
    parser.add_argument("--timeout-s", type=float, default=None, help="limit per trace or chunk")


def run(args: argparse.Namespace) -> int:
    """Simulate the models and write the NPZ file."""
    hof = open_hof(args.hof)
    hof = hof if args.models is None else hof.select(parse_keys(args.models))
    amps_na = [float(a) for a in args.amps_na.split(",")]
    protocol = Protocol.step_family(
        [1000 * a for a in amps_na], onset_ms=BEFORE_MS, duration_ms=args.duration_ms,
        total_ms=BEFORE_MS + args.duration_ms + AFTER_MS, dt_ms=args.sample_ms or args.dt_ms,
    )  # fmt: skip
    noise = (
        OUNoise(sd_pa=1000 * args.noise_sd_na, tau_ms=args.noise_tau_ms, seed=args.seed) if args.noise_sd_na else None
    )
    recording = simulate(
        hof, protocol, numerics=Numerics(dt_ms=args.dt_ms, cv_um=args.cv_um), noise=noise,
        jobs=args.jobs, timeout_s=args.timeout_s, engine=args.engine, address=args.address,
    )  # fmt: skip
    np.savez_compressed(
        args.out, voltage_mv=recording.voltage_mv.numpy(), time_ms=recording.time_ms.numpy(), models=np.array(hof.keys),
        amps_na=np.array(amps_na),
    )  # fmt: skip
    failures = recording.provenance["failures"]
    for what, why in failures.items():
        print(f"failed: {what}: {why}", file=sys.stderr)
    return 1 if failures else 0
