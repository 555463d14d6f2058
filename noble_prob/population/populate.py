"""A data set of perturbed neurons: perturb, simulate, accept, store; a chunk is the unit of work.

Of every new model the standard protocol is simulated first and judged; only accepted models get the random pulses. All
that was simulated is stored, with the reason where a model was rejected. The first models may be the base models
themselves (``include_base``), so that a decoder is trained on them too.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from noble_prob.errors import listed, require, require_seed
from noble_prob.jobs.fanout import Engine, fan_out, require_workers
from noble_prob.population.accept import FIRES, Criterion, judge_models
from noble_prob.population.chunk import Chunk
from noble_prob.population.codec import dequantise, quantise
from noble_prob.population.hof import CellModel, HallOfFame, parameter_table
from noble_prob.population.perturb import is_log, perturb
from noble_prob.population.standard import Design
from noble_prob.population.stimuli import steps
from noble_prob.population.store import Store
from noble_prob.population.trace import Numerics, require_arbor, step_trace
from noble_prob.recording import Recording, Step

MENDED = "chunk was damaged: simulated again"
"""How a chunk is counted that could not be read, or was not what its checksum says."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that determines the content of a data set.

    Attributes:
        base: The models to perturb: training models only.
        n_models: Number of models to try.
        seed: Seed of the population.
        design: Currents.
        numerics: How finely to solve.
        criteria: When a model is accepted.
        noise_sd: Noise around the convex combination, in SDs of the base.
        chunk_models: Models per chunk.
        include_base: Begin with the base models themselves (numbers are then positions in ``base``).
    """

    base: HallOfFame
    n_models: int
    seed: int
    design: Design = field(default_factory=Design)
    numerics: Numerics = field(default_factory=Numerics)
    criteria: Sequence[Criterion] = FIRES
    noise_sd: float = 0.15
    chunk_models: int = 8
    include_base: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", require_seed(self.seed))
        require(
            self.n_models > 0 and self.chunk_models > 0,
            "n_models",
            "positive, like `chunk_models`",
            (self.n_models, self.chunk_models),
            "ask for at least one model",
        )
        require(self.noise_sd >= 0, "noise_sd", "at least 0", self.noise_sd, "use 0.15, or 0 for none")
        for criterion in self.criteria:
            known = any(abs(criterion.current_pa - step) < 0.5 for step in self.design.standard_pa)
            require(
                known,
                "criteria",
                f"of steps of the standard protocol, {listed(self.design.standard_pa)} pA",
                f"{criterion.current_pa:g} pA of {criterion.feature}",
                "judge at one of these steps",
            )

    def model(self, number: int) -> CellModel:
        """The model with this number."""
        if self.include_base and number < len(self.base):
            return self.base.models[number]
        return perturb(self.base.models, number=number, seed=self.seed, noise_sd=self.noise_sd)

    def manifest(self) -> dict[str, Any]:
        """The plan as JSON values, for :meth:`Store.create`."""
        names, _ = parameter_table(self.base.models)
        return {
            "n_models": self.n_models,
            "chunk_models": self.chunk_models,
            "seed": self.seed,
            "dt_ms": self.design.sample_ms,
            "n_samples": self.design.n_samples,
            "n_currents": len(self.design.standard_pa) + self.design.n_random,
            "parameter_names": names,
            "parameter_log": [is_log(n) for n in names],
            "base": {
                "name": self.base.name,
                "keys": self.base.keys,
                "sha256": self.base.digest,
                "noise_sd": self.noise_sd,
                "included": self.include_base,
            },
            "design": asdict(self.design),
            "numerics": asdict(self.numerics),
            "criteria": [_criterion(c) for c in self.criteria],
            "provenance": {"arbor": version("arbor"), "numpy": np.__version__, "machine": platform.machine()},
        }


@dataclass(frozen=True, kw_only=True)
class ChunkTask:
    """One chunk to make: the plan, the chunk's number and the numbers of its models."""

    plan: Plan
    index: int
    numbers: range


def populate(
    plan: Plan,
    path: str | Path,
    *,
    jobs: int = 1,
    chunks: Sequence[int] | None = None,
    max_minutes: float | None = None,
    timeout_s: float | None = None,
    progress: bool = True,
    engine: Engine = "processes",
    address: str | None = None,
) -> Counter[str]:
    """Make a data set, or the part of it that is missing.

    Args:
        plan: What to make.
        path: Folder of the data set; an existing one of the same plan is continued.
        jobs: Number of processes.
        chunks: Make only these chunks (another machine may make the others).
        max_minutes: Begin no chunk after this time (minutes); what is under way is finished and kept.
        timeout_s: Limit per chunk (s); a chunk over it is reported and not written.
        progress: Show a progress bar over chunks.
        engine: Processes of this machine, or a Ray cluster.
        address: Address of the Ray cluster; None starts one on this machine.

    Returns:
        Number of models by status, of chunks that failed under ``"chunk failed: ..."``, and of chunks that were found
        damaged and taken up again under :data:`MENDED`.

    Raises:
        UsageError: If the folder holds a data set of another plan, a chunk asked for does not exist, or Arbor is not
            installed.
    """
    require_arbor()
    require_workers(jobs, engine)
    _require_chunks(plan, chunks)
    store = Store.create(path, plan.manifest())
    found = {i: store.condition(i) for i in (range(store.n_chunks) if chunks is None else sorted(set(chunks)))}
    wanted = [i for i, condition in found.items() if condition != "whole"]
    tasks = [ChunkTask(plan=plan, index=i, numbers=store.members(i)) for i in wanted]
    tally = Counter([MENDED for condition in found.values() if condition == "damaged"])
    title = "populate" if progress else None
    for outcome in fan_out(
        make_chunk,
        tasks,
        jobs=jobs,
        timeout_s=timeout_s,
        max_minutes=max_minutes,
        progress=title,
        engine=engine,
        address=address,
    ):
        if outcome.error:
            tally[f"chunk failed: {outcome.error}"] += 1
            continue
        store.write(outcome.value)
        tally.update(outcome.value.status)
    store.seal()
    return tally


def _require_chunks(plan: Plan, chunks: Sequence[int] | None) -> None:
    """Refuse numbers of chunks that the set does not have, and an empty choice of them; None is all."""
    most = -(-plan.n_models // plan.chunk_models) - 1
    beyond = [i for i in chunks or () if not 0 <= i <= most]
    require(
        not beyond and (chunks is None or len(chunks) > 0),
        "chunks",
        f"numbers from 0 to {most}",
        listed(beyond) or "none",
        "choose chunks of the set",
    )


def make_chunk(task: ChunkTask) -> Chunk:
    """Simulate the models of a chunk."""
    torch.set_num_threads(1)
    rows = [_make_model(task.plan, number) for number in task.numbers]
    names = parameter_table(task.plan.base.models)[0]
    return Chunk(
        index=task.index,
        model_id=np.array(task.numbers),
        status=tuple(row.status for row in rows),
        parameters=np.array([[row.model.parameters[n] for n in names] for row in rows]),
        amps_pa=np.array([row.column("amplitude_pa") for row in rows]),
        onset_ms=np.array([row.column("onset_ms") for row in rows]),
        duration_ms=np.array([row.column("duration_ms") for row in rows]),
        quantised=np.stack([row.quantised for row in rows]),
    )


@dataclass(frozen=True, kw_only=True)
class _Row:
    """A model with its pulses (None where not simulated) and quantised traces."""

    model: CellModel
    status: str
    pulses: tuple[Step | None, ...]
    quantised: np.ndarray

    def column(self, name: str) -> list[float]:
        return [float("nan") if p is None else getattr(p, name) for p in self.pulses]


def _make_model(plan: Plan, number: int) -> _Row:
    """Standard protocol, verdict, random pulses; a failure of the simulator is a status."""
    design, model = plan.design, plan.model(number)
    quantised = np.zeros((len(design.standard_pa) + design.n_random, design.n_samples), dtype=np.int16)
    pulses: list[Step | None] = [None] * len(quantised)

    def inject(column: int, step: Step) -> None:
        trace = step_trace(model, step, total_ms=design.total_ms, sample_ms=design.sample_ms, numerics=plan.numerics)
        quantised[column], pulses[column] = quantise(trace), step

    try:
        for column, step in enumerate(design.standard()):
            inject(column, step)
        status = _verdict(plan, quantised)
        if status == "accepted":
            for column, step in enumerate(design.random(np.random.default_rng([plan.seed, number, 1]))):
                inject(len(design.standard_pa) + column, step)
    except (RuntimeError, ValueError) as error:
        status = f"failed: {type(error).__name__}: {error}"
    return _Row(model=model, status=status, pulses=tuple(pulses), quantised=quantised)


def _verdict(plan: Plan, quantised: np.ndarray) -> str:
    """Judge the standard protocol of one model."""
    design = plan.design
    protocol = steps(design.standard(), total_ms=design.total_ms, dt_ms=design.sample_ms)
    voltage = torch.from_numpy(dequantise(quantised[: len(design.standard_pa)]))
    return judge_models(Recording(protocol=protocol, voltage_mv=voltage), plan.criteria)[0].status


def _criterion(criterion: Criterion) -> dict[str, Any]:
    """JSON values of a criterion; open ends are left out."""
    return {k: v for k, v in asdict(criterion).items() if isinstance(v, str) or np.isfinite(v)}
