"""``infer`` for a folder: batches through one sampler, on this machine or a cluster; failures stay alone.

A batch of recordings is read, inferred side by side (one pass through the decoder serves all chains of all of them),
judged and turned into files in one process; the caller writes them as they come. What can not be used is
refused with its sentence. A batch in which the sampler breaks is done again one by one; one whose process dies, too.

The seed of a batch follows from the run's seed and the content of its recordings: it does not matter which process did
it, in which order they were named, nor whether the run was interrupted. Chains in a batch share random numbers and step
sizes, so their draws depend on who was sampled side by side; weighted draws take a second, so on a processor each
recording is a batch of its own, and its draws depend on nothing but itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch

from noble_prob.amortised import fingerprint
from noble_prob.cells import Cell, load_cell
from noble_prob.errors import require, require_seed
from noble_prob.findings.registry import judge
from noble_prob.inference import Observation, Posterior, infer_evidence, to_json
from noble_prob.inference.export_file import as_netcdf
from noble_prob.inference.looked import observe_steps
from noble_prob.inference.task import ONE_BY_ONE, WEIGHTED, Method
from noble_prob.inference.together import one_by_one_if_broken
from noble_prob.jobs.bars import counter
from noble_prob.jobs.fanout import Engine, fan_out, require_workers
from noble_prob.noise import NoisePrior
from noble_prob.priors import Kind
from noble_prob.readers import read
from noble_prob.readers.cut import PulseChoice
from noble_prob.recording import Recording
from noble_prob.runs.record import POSTERIOR, TREE, TREE_HASH, Files, opened, sha256
from noble_prob.runs.refusal import ChangedError, as_json, died, refusal
from noble_prob.runs.sources import Source, require_apart
from noble_prob.runs.summary import Summary, summarise


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is done to every recording; everything that determines a result.

    Attributes:
        cell: Name of a shipped cell, or folder of a checkpoint.
        prior: Family of prior; None for the cell's own.
        method: Sampler, see :func:`noble_prob.inference.infer`.
        seed: Seed of the run.
        chains: Chains per recording.
        warmup: Draws thrown away per chain; by the method if None.
        draws: Draws kept per chain; by the method if None.
        fall_back: Whether chains are run where weights fail.
        noiseless: Whether the recordings are simulations without noise.
        batch: Recordings sampled side by side by ``hmc``, and on a graphics card by ``importance`` and ``npe``.
        channel: Voltage channel, where files have several.
        pulse: Pulse of a sweep, ``"all"``, or None for the one that ``read`` chooses.
        sweeps: Sweeps to use, from 0; all if None.
        liquid_junction_potential_mv: Potential to subtract (mV).
    """

    cell: str
    prior: Kind | None = None
    method: Method = "hmc"
    seed: int = 0
    chains: int = 4
    warmup: int | None = None
    draws: int | None = None
    fall_back: bool = True
    noiseless: bool = False
    batch: int = 16
    channel: int | str | None = None
    pulse: PulseChoice | None = None
    sweeps: tuple[int, ...] | None = None
    liquid_junction_potential_mv: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", require_seed(self.seed))

    def plan(self, cell: Cell) -> dict[str, Any]:
        """The settings as JSON values, with what tells the decoder, the prior and the estimator that was used."""
        used = cell.estimator if self.method == "npe" else None
        return {
            "format": "noble_prob run, version 2",
            "decoder_sha256": cell.card.get("weights_sha256"),
            "belongs_to": fingerprint(cell.decoder, cell.prior),
            "estimator": used and dict(used.facts),
            **asdict(self),
        }


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Recordings to be sampled side by side."""

    settings: Settings
    sources: tuple[Source, ...]
    device: str
    single_thread: bool
    progress: bool = False

    @property
    def seed(self) -> int:
        """From the run's seed and the content of the recordings."""
        text = " ".join([str(self.settings.seed), *(s.sha256 for s in self.sources)])
        return int(hashlib.sha256(text.encode()).hexdigest()[:7], 16)


def infer_many(
    sources: Sequence[Source],
    out: str | Path,
    settings: Settings,
    *,
    device: str = "cpu",
    jobs: int = 1,
    engine: Engine = "processes",
    address: str | None = None,
    progress: bool = False,
) -> Summary:
    """Infer many recordings; what an earlier run of the same settings has done in this folder stays.

    Args:
        sources: From :func:`~noble_prob.runs.sources.find_recordings`.
        out: Folder of the results; see :mod:`noble_prob.runs.record`.
        settings: What is done to each.
        device: Where the decoder's weights go.
        jobs: Processes of this machine.
        engine: ``processes``, or ``ray`` for the workers of a cluster, which must see the files under the same paths.
        address: Address of the Ray cluster; None starts one on this machine.
        progress: Show a bar on stderr.

    Returns:
        One row per recording; it is in ``summary.csv`` and ``summary.json`` too.

    Raises:
        UsageError: If the folder belongs to another run or is one of recordings, or a setting is out of range.
    """
    require_apart(Path(out), sources)
    _require_use(settings, device, jobs, engine)
    cell = load_cell(settings.cell, prior=settings.prior, device=device)
    _infer(settings, cell, [], 0, device)  # a wrong setting is said before any work
    alone = settings.method in ONE_BY_ONE or (settings.method in WEIGHTED and device == "cpu")
    size = 1 if alone else settings.batch
    how = {"jobs": jobs, "engine": engine, "address": address}
    apart = jobs > 1 or engine == "ray"
    kind = partial(Batch, settings=settings, device=device, single_thread=apart, progress=progress and not apart)
    with opened(Path(out), settings.plan(cell)) as record:
        todo = sorted(record.pending(sources), key=lambda s: (s.sha256, s.name))  # as if named in another order
        pieces = [tuple(todo[at : at + size]) for at in range(0, len(todo), size)]
        with _bar(len(sources), len(todo), show=progress) as shown:
            while pieces:
                batches = [kind(sources=piece) for piece in pieces]
                pieces = []
                for outcome in fan_out(infer_batch, batches, **how):  # type: ignore[arg-type]
                    sources_of = batches[outcome.index].sources
                    if outcome.error and len(sources_of) > 1:
                        pieces += [(source,) for source in sources_of]  # one of them is guilty; find out which
                    else:
                        record.commit(outcome.value or died(sources_of[0], outcome))
                        shown.update(len(sources_of))
        return summarise(record, sources, cell)


def _require_use(settings: Settings, device: str, jobs: int, engine: Engine) -> None:
    """Refuse what can not be run, before a folder is claimed."""
    require(settings.batch >= 1, "batch", "a positive number of recordings", settings.batch, "pass 16")
    require(
        engine != "ray" or device == "cpu",
        "device",
        "cpu on a Ray cluster, which hides its graphics cards from tasks",
        device,
        "give each card a share of the files and an --out of its own, or leave --engine ray out",
    )
    require_workers(jobs, engine)


def _bar(total: int, todo: int, *, show: bool) -> Any:
    """Counts recordings that are on disk, those of an earlier run included."""
    return counter(total=total, initial=total - todo, desc="infer", unit="recording", smoothing=0, show=show)


def infer_batch(batch: Batch) -> dict[str, Files]:
    """Read, infer, judge: the files of every recording of a batch, by its name."""
    if batch.single_thread:
        torch.set_num_threads(1)
    s = batch.settings
    cell = _cell(s.cell, s.prior, batch.device)
    done: dict[str, Files] = {}
    observations: dict[Source, Observation] = {}
    for source in batch.sources:
        try:
            recording = _read(source, s)
            observations[source] = observe_steps(recording, cell.decoder)
        except Exception as error:
            done[source.name] = refusal(source, error)
    run = partial(_infer, s, cell, seed=batch.seed, device=batch.device, progress=batch.progress)
    for source, result in zip(observations, one_by_one_if_broken(run, list(observations.values())), strict=True):
        done[source.name] = refusal(source, result) if isinstance(result, Exception) else _files(source, result, cell)
    return {source.name: done[source.name] for source in batch.sources}


def _read(source: Source, s: Settings) -> Recording:
    """The recording, with the content under whose hash its result is kept."""
    recording = read(
        source.path,
        channel=s.channel,
        pulse=s.pulse,
        sweeps=s.sweeps,
        liquid_junction_potential_mv=s.liquid_junction_potential_mv,
    )
    if source.now() != source.sha256:
        raise ChangedError(
            "file",
            "one that stays as it is while the run is under way",
            f"{source.path.name!r}, which has changed since it began",
            "run the same command again when it is complete",
        )
    return recording


def _infer(
    s: Settings, cell: Cell, observations: Sequence[Observation], seed: int, device: str, progress: bool = False
) -> list[Posterior]:
    noise = NoisePrior.simulated() if s.noiseless else None
    return infer_evidence(
        observations,
        decoder=cell.decoder,
        prior=cell.prior,
        method=s.method,
        noise=noise,
        seed=seed,
        chains=s.chains,
        warmup=s.warmup,
        draws=s.draws,
        estimator=cell.estimator,
        device=device,
        progress=progress,
        fall_back=lambda _: s.fall_back,  # a function: without a word amid the bar
    )


@cache
def _cell(where: str, prior: Kind | None, device: str) -> Cell:
    return load_cell(where, prior=prior, device=device)


def _files(source: Source, posterior: Posterior, cell: Cell) -> Files:
    """``posterior.nc`` and ``posterior.json``, as the verb ``infer`` writes them, with the hash of the recording."""
    findings = [f for f in judge(posterior) if f not in posterior.notes]
    values = {"file": source.path.name, "cell": cell.name, "sha256": source.sha256, **to_json(posterior, findings)}
    tree = as_netcdf(posterior)
    return {TREE: tree, POSTERIOR: as_json({**values, TREE_HASH: sha256(tree)})}
