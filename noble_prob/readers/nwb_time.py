"""When the series of an NWB file were recorded, and which samples of a response and its stimulus belong together.

A stimulus may begin before or after its response: what both cover is a sweep. Where their times do not overlap at all
they are not those of one clock (some programs write 0 for every stimulus), and the first samples are taken to belong
together, as is said.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from noble_prob.errors import require
from noble_prob.readers.checks import regular_interval


def start_s(series: Any) -> float:
    """Time of the first sample of a series (s)."""
    return float(series.starting_time if series.starting_time is not None else series.timestamps[0])


def interval_ms(series: Any) -> float:
    """Sampling interval of a series (ms).

    Raises:
        UsageError: If the rate is not positive, or the timestamps are not regular.
    """
    if series.rate is not None:
        require(
            series.rate > 0, "rate", f"positive in series {series.name!r}", series.rate, "correct the sampling rate"
        )
        return round(1000.0 / float(series.rate), 9)
    return regular_interval(np.asarray(series.timestamps[:], float) * 1000.0, f"series {series.name!r}")


def lag(response: Any, stimulus: Any, of_response: slice, of_stimulus: slice) -> int:
    """How many samples after the response's first one the stimulus begins; negative if before.

    Args:
        response: Series of the voltage.
        stimulus: Series of the current, of the same rate.
        of_response: Samples of the response that are a sweep.
        of_stimulus: Samples of the stimulus that are a sweep.
    """
    late_ms = 1000.0 * (start_s(stimulus) - start_s(response))
    return round(late_ms / interval_ms(response)) + (of_stimulus.start or 0) - (of_response.start or 0)


def common(lag: int, n_response: int, n_stimulus: int) -> tuple[slice, slice]:
    """The samples of response and stimulus that both cover.

    Args:
        lag: How many samples after the response the stimulus begins.
        n_response: Samples of the response.
        n_stimulus: Samples of the stimulus.
    """
    if apart(lag, n_response, n_stimulus):
        lag = 0
    first, last = max(lag, 0), min(n_response, lag + n_stimulus)
    return slice(first, max(first, last)), slice(first - lag, max(first, last) - lag)


def apart(lag: int, n_response: int, n_stimulus: int) -> bool:
    """Whether response and stimulus by their times never met; arguments of :func:`common`."""
    return lag >= n_response or -lag >= n_stimulus
