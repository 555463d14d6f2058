"""Biophysical models under current steps: models and currents in, voltages out.

  noble-prob simulate --hof DIR --models 0,2,5-9 --amps-na -0.11,0.05,0.18 --out traces.npz
  noble-prob simulate --hof builtin --amps-na 0.1 --noise-sd-na 0.02 --seed 1 --out noisy.npz

writes voltage_mv (model, current, time), time_ms (the step begins 15 ms after the first sample), models, amps_na; with
--recordings DIR also one file per model, which `infer` reads. Needs Arbor: pip install '.[simulate]' from the checkout.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from noble_prob.cli.given import refuse, require_engine
from noble_prob.cli.options import above_zero, add_processes, finite, seed, step_na
from noble_prob.cli.output import new_file, new_folder, tell
from noble_prob.cli.traces import is_traces, write_recordings
from noble_prob.errors import listed, require

DEVICE = False
"""Of the common options: the simulator runs on processors."""
BEFORE_MS, AFTER_MS = 15.0, 115.0


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this verb."""
    parser.add_argument("--hof", required=True, help="folder of a Hall of Fame, or 'builtin'")
    parser.add_argument("--models", default=None, help="model numbers such as 0,2,5-9 (all)")
    parser.add_argument("--amps-na", type=step_na, required=True, help="step heights in nA, separated by commas")
    parser.add_argument("--out", type=Path, required=True, help="NPZ file to write")
    parser.add_argument("--recordings", type=Path, default=None, metavar="DIR", help="a recording per model, for infer")
    parser.add_argument("--duration-ms", type=above_zero, default=400.0, help="length of the step (400)")
    parser.add_argument("--sample-ms", type=above_zero, default=None, help="sampling interval (the time step)")
    parser.add_argument("--noise-sd-na", type=finite, default=0.0, help="SD of an Ornstein-Uhlenbeck background (0)")
    parser.add_argument("--noise-tau-ms", type=above_zero, default=3.0, help="its correlation time (3)")
    parser.add_argument("--seed", type=seed, default=0, help="seed of the background (0)")
    add_engine(parser)


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Options that every verb with simulations has."""
    parser.add_argument("--dt-ms", type=above_zero, default=0.02, help="time step (0.02)")
    parser.add_argument("--cv-um", type=above_zero, default=20.0, help="largest compartment (20)")
    add_processes(parser)
    parser.add_argument("--timeout-s", type=above_zero, default=None, help="limit per trace or chunk (none)")


def run(args: argparse.Namespace) -> int:
    """Simulate the models and write the NPZ file, unless every trace failed."""
    from noble_prob.population.builtin import open_hof
    from noble_prob.population.hof import parse_keys

    _check(args)
    hof = open_hof(args.hof)
    hof = hof if args.models is None else hof.select(parse_keys(args.models))
    labels = tuple(model.label for model in hof.models)
    with ExitStack() as stack:
        file = stack.enter_context(stack.enter_context(new_file(args.out)).open("wb"))
        names = [f"{label}.npz" for label in labels]
        folder = stack.enter_context(new_folder(args.recordings, *names)) if args.recordings else None
        recording = _simulated(args, hof)
        failures: Mapping[str, str] = recording.provenance["failures"]
        _write(file, recording, models=list(hof.keys), amps_na=args.amps_na)
        if folder:
            write_recordings(recording, labels, folder)
    for what, why in failures.items():
        print(f"failed: {what}: {why}", file=sys.stderr)
    shape = list(recording.voltage_mv.shape)
    tell(
        args,
        f"voltage of shape (model, current, time) = {tuple(shape)} in {args.out}",
        {"out": str(args.out), "shape": shape, "models": list(hof.keys), "failures": dict(failures)},
    )
    return 1 if failures else 0


def _check(args: argparse.Namespace) -> None:
    """Refuse options about what is not asked for, and to write over a file of another origin."""
    require_engine(args)
    if not args.noise_sd_na:
        refuse(args, ["--noise-tau-ms", "--seed"], "there is no background", "give --noise-sd-na")
    require(
        not args.out.is_file() or is_traces(args.out),
        "out",
        "a new file, or one that simulate has written",
        f"{str(args.out)!r}, which is another",
        "choose another name",
    )


def _simulated(args: argparse.Namespace, hof: Any) -> Any:
    """The responses of the models."""
    from noble_prob.population.simulate import simulate
    from noble_prob.population.trace import Numerics

    recording = simulate(
        hof,
        _protocol(args),
        numerics=Numerics(dt_ms=args.dt_ms, cv_um=args.cv_um),
        noise=_noise(args),
        jobs=args.jobs,
        timeout_s=args.timeout_s,
        engine=args.engine,
        address=args.address,
        progress=not args.quiet,
    )
    failures = recording.provenance["failures"]
    if not recording.voltage_mv.isfinite().any():
        reasons = [f"{why} ({n} of {len(failures)})" for why, n in Counter(failures.values()).items()]
        raise RuntimeError(f"no trace could be simulated: {listed(reasons, 3)}")
    return recording


def _write(file: Any, recording: Any, **about: Any) -> None:
    """The NPZ file."""
    import numpy as np

    voltage, time = recording.voltage_mv.numpy(), recording.time_ms.numpy()
    made = np.array(json.dumps(dict(recording.provenance), default=str))
    np.savez_compressed(file, voltage_mv=voltage, time_ms=time, provenance=made, **about)


def _protocol(args: argparse.Namespace) -> Any:
    """The steps asked for."""
    from noble_prob.population.standard import MOST_SAMPLES
    from noble_prob.recording import Protocol

    total, sample = BEFORE_MS + args.duration_ms + AFTER_MS, args.sample_ms or args.dt_ms
    finest = min(sample, args.dt_ms)
    require(
        total / finest <= MOST_SAMPLES,
        "duration_ms",
        f"at most {MOST_SAMPLES:,} time steps of {finest:g} ms",
        f"{args.duration_ms:g} ms",
        "shorten the step",
    )
    return Protocol.step_family(
        [1000 * a for a in args.amps_na],
        onset_ms=BEFORE_MS,
        duration_ms=args.duration_ms,
        total_ms=total,
        dt_ms=sample,
    )


def _noise(args: argparse.Namespace) -> Any:
    """The background asked for; None without one."""
    from noble_prob.population.stimuli import OUNoise

    if not args.noise_sd_na:
        return None
    return OUNoise(sd_pa=1000 * args.noise_sd_na, tau_ms=args.noise_tau_ms, seed=args.seed)
