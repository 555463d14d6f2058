"""A decoder against biophysical truth: reference traces in, the table of errors out.

The reference is a folder of one ``sS_hH.npz`` per published model, number ``k = 20 (S - 1) + H``: ``V`` (current, time)
int16 with ``scale`` (mV per count), ``amps`` (nA), sampled every 0.02 ms, the 400 ms step 15 ms after the first sample.

Every model's latents come from its own reference responses to the standard protocol, as those of a neuron in the
laboratory would: the decoder is told nothing else. The truth is put on the decoder's grid by
:func:`noble_prob.windows.to_grid` (polyphase FIR filter, 0.02 to 0.0625 ms as 8:25, flat to 6.7 kHz; cut so that the
step begins at the decoder's onset). Two tables: training models at currents that are not the standard ones they were
trained on, and held-out models at all currents. No trace is dropped; a model without latents is named.
"""

from __future__ import annotations

import math
import re
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from noble_prob.decoder.base import Decoder, Window
from noble_prob.ensemble import respond
from noble_prob.errors import UsageError, require
from noble_prob.jobs.bars import bar
from noble_prob.latent import Neurons
from noble_prob.metrics import METRICS, MetricAccumulator
from noble_prob.population.latents import latent_values, protocol_of
from noble_prob.recording import Protocol, Recording
from noble_prob.windows import to_grid

DT_MS, ONSET_MS, STEP_MS = 0.02, 15.0, 400.0
RESAMPLING = "polyphase FIR filter (anti-aliased) from 0.02 ms to the decoder's interval, step aligned with its onset"
AGAIN = "make the reference again"
_NAME = re.compile(r"s(\d+)_h(\d+)\.npz$")


def reference_files(folder: str | Path) -> dict[int, Path]:
    """Reference files by model number.

    Args:
        folder: Where they are.

    Raises:
        UsageError: If the folder is missing or holds none.
    """
    folder = Path(folder)
    require(
        folder.is_dir(),
        "reference",
        "a folder of sS_hH.npz files",
        f"{str(folder)!r}, which is no folder",
        "check the path",
    )
    found = {20 * (int(m[1]) - 1) + int(m[2]): p for p in folder.iterdir() if (m := _NAME.match(p.name))}
    require(bool(found), "reference", "a folder of sS_hH.npz files", f"none in {str(folder)!r}", "check the path")
    return dict(sorted(found.items()))


def read_reference(path: Path, window: Window) -> Recording:
    """The responses of one model, on the decoder's grid.

    Args:
        path: A reference file.
        window: The decoder's grid.

    Raises:
        UsageError: If the file is damaged, or lacks an array or one of numbers that fit.
    """
    counts, scale, amps = _arrays(path)
    protocol = Protocol.step_family(
        (1000.0 * amps).tolist(), onset_ms=ONSET_MS, duration_ms=STEP_MS, dt_ms=DT_MS, total_ms=counts.shape[-1] * DT_MS
    )
    raw = Recording(protocol=protocol, voltage_mv=torch.from_numpy(counts * scale))
    total = window.n_samples * window.dt_ms
    return to_grid(raw, dt_ms=window.dt_ms, onset_ms=window.onset_ms, total_ms=total, trained_ms=window.duration_ms)


def _arrays(path: Path) -> tuple[np.ndarray, float, np.ndarray]:
    """Voltage (current, time), mV per count and currents (nA) of a reference file."""
    try:
        with np.load(path, allow_pickle=False) as data:
            counts, scale, amps = data["V"], data["scale"], data["amps"]
        numbers = [np.asarray(x, dtype=np.float64) for x in (counts, scale, amps)]
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UsageError("reference", "NPZ files with V, scale and amps", f"{path.name} ({error})", AGAIN) from error
    shapes = [x.shape for x in numbers]
    fit = counts.ndim == 2 and counts.size > 0 and scale.size == 1 and amps.shape == counts.shape[:1]
    require(
        fit,
        "reference",
        "V of shape (current, time), one scale, one of amps per current",
        f"{path.name} with shapes {shapes}",
        AGAIN,
    )
    finite = all(np.isfinite(x).all() for x in numbers) and scale.item() > 0
    require(finite, "reference", "finite V and amps and a positive scale", f"{path.name} with others", AGAIN)
    return counts, float(scale.item()), amps


def evaluate(
    decoder: Decoder,
    reference: str | Path,
    *,
    held_out: Iterable[int],
    trained_currents_pa: Sequence[float] | None = None,
    device: str | torch.device | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """Judge a decoder by a folder of reference responses.

    Args:
        decoder: What is judged.
        reference: Folder of reference files.
        held_out: Numbers of the models that no training has seen; a cell knows its own (``Cell.held_out_numbers``).
        trained_currents_pa: Currents of training models that are left out, because all of them were trained on (pA);
            those of the decoder's latents if not given.
        device: Where the decoder lives.
        progress: Show a bar on stderr.

    Returns:
        ``train_models`` and ``held_out_models``: every metric of :mod:`noble_prob.metrics` and ``n_traces``;
        ``without_latents``: models that lack a latent feature and so can not be asked; ``resampling``.

    Raises:
        UsageError: If the folder holds no reference, or one without the standard protocol.
    """
    kept_apart = set(held_out)
    known = protocol_of(decoder.space.latents) if trained_currents_pa is None else tuple(trained_currents_pa)
    totals = {"train_models": MetricAccumulator(), "held_out_models": MetricAccumulator()}
    models: dict[str, list[int]] = {name: [] for name in totals}
    without: list[int] = []
    files = reference_files(reference)
    for number, path in bar(files.items(), desc="evaluate", unit="model", show=progress):
        truth = read_reference(path, decoder.window)
        values, defined = latent_values(truth, decoder.space.latents)
        if not bool(defined):
            without.append(number)
            continue
        group = "held_out_models" if number in kept_apart else "train_models"
        asked = truth if number in kept_apart else _unseen(truth, known)
        totals[group].add(asked, _predict(decoder, values, asked, device))
        models[group].append(number)
    return {
        **{name: {**total.result(), "n_models": len(models[name])} for name, total in totals.items()},
        "without_latents": without,
        "resampling": RESAMPLING,
        "excluded_currents_pa": list(known),
    }


def table(result: Mapping[str, Any]) -> str:
    """The errors as text, one metric per line.

    Args:
        result: From :func:`evaluate`.
    """
    train, held = result["train_models"], result["held_out_models"]
    lines = [f"{'metric':<36}{'training models':>18}{'held-out models':>18}"]
    for name in METRICS:
        share = not name.endswith(("_mv", "_ms", "_p90", "gamma_2ms"))
        cells = (_cell(side[name], share=share) for side in (train, held))
        lines.append(f"{name:<36}" + "".join(f"{cell:>18}" for cell in cells))
    lines.append(f"{'n_traces':<36}{train['n_traces']:>18}{held['n_traces']:>18}")
    if result["without_latents"]:
        lines.append(f"without latents, not asked: models {result['without_latents']}")
    return "\n".join(lines)


def _cell(value: float, *, share: bool) -> str:
    """A figure of the table; a dash where there was nothing to take it from."""
    if math.isnan(value):
        return "–"
    return f"{100 * value:.2f} %" if share else f"{value:.3f}"


def _predict(decoder: Decoder, latents: Tensor, truth: Recording, device: str | torch.device | None) -> Recording:
    """The decoder's answer to the sweeps of one model."""
    neuron = Neurons(space=decoder.space, value=latents[None], axis="neuron")
    asked = truth.protocol.amplitudes_pa  # those of the reference, whatever the decoder was trained on
    answer = respond(decoder, neuron, asked, device=device, extrapolate=True).squeeze()
    return replace(answer, protocol=truth.protocol, voltage_mv=answer.voltage_mv.to(truth.voltage_mv))


def _unseen(truth: Recording, trained_pa: Sequence[float]) -> Recording:
    """The sweeps whose current is none of the trained ones."""
    amplitudes = truth.protocol.amplitudes_pa.tolist()
    return truth.select([k for k, a in enumerate(amplitudes) if all(abs(a - t) > 0.5 for t in trained_pa)])
