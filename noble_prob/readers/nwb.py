"""Neurodata Without Borders 2 (NWB), intracellular current clamp, through pynwb.

A response is a ``CurrentClampSeries`` in volts, its stimulus a ``CurrentClampStimulusSeries`` in amperes; both are
``data * conversion + offset`` in their unit. Which stimulus belongs to which response is said by the intracellular
recordings table (NWB >= 2.4), by the sweep number, by the numbers in the names
(``data_00012_AD0``/``data_00012_DA0``), or by the starting time: the first of these that answers is believed. Both are
put on one time by their starting times (:mod:`noble_prob.readers.nwb_time`).
Voltage-clamp and zero-current series are left out and counted. ``stimulus_description`` names the sweep family.

A bias current of the amplifier is added where the stimulus series begins at zero, as programs that store the
stimulus without its holding current write it.

Reference: Rübel et al. (2022), The Neurodata Without Borders ecosystem, eLife 11:e78362.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noble_prob.errors import UsageError, require
from noble_prob.readers.nwb_time import apart, common, interval_ms, lag, start_s
from noble_prob.readers.sweeps import RawFile, RawSweep, choose, factor

Match = tuple[Any, slice, slice]
"""A stimulus series, and which samples of it and of the response are a sweep."""
_NO_FAMILY = {"", "na", "n/a", "none", "no description"}


def load_nwb(path: Path, channel: int | str | None) -> RawFile:
    """Read all current-clamp sweeps of one electrode of an NWB 2 file.

    Args:
        path: The file.
        channel: Which electrode, by position or by name; the first when None.

    Raises:
        UsageError: If the file is no complete NWB 2 file or has no current-clamp response with a stimulus.
    """
    import pynwb

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pynwb.NWBHDF5IO(str(path), "r", load_namespaces=True) as io:
                return _read(io.read(), path, channel)
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(
            "path",
            "a complete NWB 2 file",
            f"{path.name}, which pynwb can not read ({type(error).__name__}: {str(error)[:80]})",
            "copy the file again, or convert NWB 1 to NWB 2",
        ) from error


def _responses(nwb: Any, path: Path) -> tuple[list[Any], int]:
    """Current-clamp responses of a file, and how many series of other clamps there are."""
    from pynwb.icephys import CurrentClampSeries, IZeroClampSeries, VoltageClampSeries

    series = list(nwb.acquisition.values())
    responses = [s for s in series if isinstance(s, CurrentClampSeries) and not isinstance(s, IZeroClampSeries)]
    other = sum(isinstance(s, VoltageClampSeries | IZeroClampSeries) for s in series)
    require(
        bool(responses),
        "path",
        "an NWB file with current-clamp responses (CurrentClampSeries)",
        f"{path.name} with {other} voltage-clamp or zero-current and {len(series) - other} other series",
        "choose a file with current-clamp sweeps",
    )
    return responses, other


def _read(nwb: Any, path: Path, channel: int | str | None) -> RawFile:
    """The sweeps of one electrode."""
    responses, other = _responses(nwb, path)
    electrodes = list(dict.fromkeys(_electrode(s) for s in responses))
    chosen = electrodes[choose(channel, electrodes, "electrodes")]
    mine = sorted((s for s in responses if _electrode(s) == chosen), key=_order)
    stimulus_of = _matches(nwb, mine)
    sweeps = [_sweep(s, *match) for s in mine for match in stimulus_of.get(s.name, [])]
    require(
        bool(sweeps),
        "path",
        "an NWB file with the stimulus of each response (CurrentClampStimulusSeries)",
        f"{path.name}, in which no stimulus matches any of {len(mine)} responses",
        "store the stimulus series, or export to CSV (python -m pydoc noble_prob.readers.csv_table names the columns)",
    )
    remarks = [f"{other} voltage-clamp or zero-current series are left out."] if other else []
    remarks += [f"Of the electrodes {electrodes} this is {chosen!r}."] if len(electrodes) > 1 else []
    remarks += _remarks(mine, stimulus_of)
    return RawFile(
        name=path.name,
        format="NWB",
        files=(path,),
        sweeps=tuple(sweeps),
        remarks=tuple(remarks),
        libraries=("pynwb", "h5py"),
    )


def _remarks(responses: list[Any], stimulus_of: dict[str, list[Match]]) -> list[str]:
    """What was left out of the chosen electrode's responses, or added to their stimuli."""
    matched = [s for s in responses if s.name in stimulus_of]
    remarks = []
    if len(matched) < len(responses):
        remarks.append(f"{len(responses) - len(matched)} responses without a stimulus are left out.")
    if any(_bias_pa(s, stimulus) for s in matched for stimulus, *_ in stimulus_of[s.name]):
        remarks.append("The amplifier's bias current is added to stimuli that begin at zero.")
    return remarks + _lags([(s, *match) for s in matched for match in stimulus_of[s.name]])


def _lags(sweeps: list[tuple[Any, Any, slice, slice]]) -> list[str]:
    """Whether stimuli begin at other times than their responses, and what was made of it."""
    late: list[float] = []
    strange = 0
    for response, stimulus, of_stimulus, of_response in sweeps:
        n = [len(range(*span.indices(len(s.data)))) for s, span in ((response, of_response), (stimulus, of_stimulus))]
        samples = lag(response, stimulus, of_response, of_stimulus)
        strange += apart(samples, *n)
        late += [samples * interval_ms(response)] if samples and not apart(samples, *n) else []
    remarks = []
    if late:
        span = " to ".join(dict.fromkeys(f"{edge:g}" for edge in (min(late), max(late))))
        remarks.append(
            f"{len(late)} of {len(sweeps)} stimuli begin {span} ms after their responses (before, if "
            "negative): both are cut to the time that they share."
        )
    if strange:
        remarks.append(
            f"{strange} of {len(sweeps)} stimuli have other times than their responses, which they never "
            "meet: the first samples of both are taken as simultaneous."
        )
    return remarks


def _electrode(series: Any) -> str:
    return series.electrode.name if series.electrode is not None else "electrode"


def _order(series: Any) -> tuple[float, tuple[int, ...]]:
    return start_s(series), _numbers(series.name)


def _numbers(name: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall(r"\d+", name))


def _matches(nwb: Any, responses: list[Any]) -> dict[str, list[Match]]:
    """Stimuli of each response, one per sweep in it; by the surest evidence that the file has."""
    from pynwb.icephys import CurrentClampStimulusSeries

    stimuli = [s for s in nwb.stimulus.values() if isinstance(s, CurrentClampStimulusSeries)]
    found = _by_table(nwb, {s.name for s in stimuli})
    keys = (
        lambda s: ("sweep", s.sweep_number, _electrode(s)) if s.sweep_number is not None else None,
        lambda s: ("name", _numbers(s.name)) if _numbers(s.name) else None,
        lambda s: ("start", _order(s)[0]) if _order(s)[0] else None,
    )
    for key in keys:
        table = _unique((key(s), s) for s in stimuli)
        for response in responses:
            if response.name not in found and (stimulus := table.get(key(response))) is not None:
                found[response.name] = [(stimulus, slice(None), slice(None))]
    return found


def _unique(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    """Keys that name one thing only; a key that names two answers nothing."""
    table: dict[Any, Any] = {}
    twice = {None}
    for key, value in pairs:
        if key in table:
            twice.add(key)
        table[key] = value
    return {key: value for key, value in table.items() if key not in twice}


def _by_table(nwb: Any, stimuli: set[str]) -> dict[str, list[Match]]:
    """Rows of the intracellular recordings table: several of one response are sweeps, one after another."""
    if nwb.intracellular_recordings is None:
        return {}
    frame = nwb.intracellular_recordings.to_dataframe()
    found: dict[str, dict[int, Match]] = {}
    for response, stimulus in zip(frame["responses", "response"], frame["stimuli", "stimulus"], strict=True):
        if stimulus.timeseries is not None and stimulus.timeseries.name in stimuli and response.timeseries is not None:
            span, rows = _span(response), found.setdefault(response.timeseries.name, {})
            rows[span.start or 0] = (stimulus.timeseries, _span(stimulus), span)
    return {name: [rows[start] for start in sorted(rows)] for name, rows in found.items()}


def _span(reference: Any) -> slice:
    """Samples that a time series reference names."""
    if reference.idx_start < 0 or reference.count < 0:
        return slice(None)
    return slice(int(reference.idx_start), int(reference.idx_start + reference.count))


def _values(series: Any, span: slice) -> NDArray[np.float64]:
    """Samples of a series in our unit: conversion and offset applied."""
    data = np.asarray(series.data[span], dtype=np.float64)
    require(
        data.ndim == 1,
        "data",
        f"one axis of samples in {series.name!r}",
        f"shape {data.shape}",
        "store one channel a series",
    )
    return (data * float(series.conversion) + float(series.offset or 0.0)) * factor(
        series.unit, f"series {series.name!r}"
    )


def _bias_pa(response: Any, stimulus: Any) -> float:
    """Holding current that the stimulus series leaves out (pA)."""
    bias = getattr(response, "bias_current", None)
    if bias is None or not np.isfinite(bias) or float(stimulus.data[0]) != 0:
        return 0.0
    return float(bias) * 1e12


def _sweep(response: Any, stimulus: Any, of_stimulus: slice, of_response: slice) -> RawSweep:
    voltage, current = _values(response, of_response), _values(stimulus, of_stimulus) + _bias_pa(response, stimulus)
    dt, other = interval_ms(response), interval_ms(stimulus)
    require(
        abs(dt - other) <= 1e-4 * dt,
        "sampling rate",
        f"the same in {response.name!r} and its stimulus",
        f"intervals of {dt:g} and {other:g} ms",
        "store both at one rate",
    )
    late = lag(response, stimulus, of_response, of_stimulus)
    mine, its = common(late, len(voltage), len(current))
    require(
        mine.stop - mine.start >= 0.5 * max(len(voltage), len(current)),
        "current_pa",
        f"as long as the response {response.name!r}",
        f"{len(current)} against {len(voltage)} samples" + (f", from {late * dt:g} ms after its start" if late else ""),
        "store the stimulus of the whole sweep",
    )
    family = str(getattr(response, "stimulus_description", "") or "")
    return RawSweep(
        label=response.name if of_response == slice(None) else f"{response.name}, from sample {of_response.start}",
        voltage_mv=voltage[mine],
        current_pa=current[its],
        dt_ms=dt,
        family="" if family.lower() in _NO_FAMILY else family,
        source="command",
    )
