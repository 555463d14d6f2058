"""The levels of a current: a piecewise constant fit that survives real amplifiers.

A step protocol is a current that holds a level, jumps, and holds another. In a command waveform that is exact; in a
recorded current it hides under pickup (tens of pA, often near the Nyquist frequency) and under the capacitive
artefacts of spikes (hundreds of pA, a millisecond long). The fit is binary segmentation (Scott & Knott 1974,
Vostrikova 1981): the sweep is split where the cumulative-sum statistic

    |mean(right) - mean(left)| * sqrt(n_left * n_right / n)

is largest, as long as it exceeds what noise would give, and each part is split again. Noise is measured on means of
5 and 20 ms, because a plateau averages over the fast part; spike artefacts are first removed by a running median. Each
edge is then placed to the sample on the raw current.

Limits: a level shorter than 8 ms is lost in a noisy current (not in a clean command); a jump must be at least
0.5 pA. A current that levels do not describe (ramp, sine, frozen noise) is reported as not piecewise constant.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

MAX_EDGES = 64
"""More jumps than this in one sweep is a waveform, not a step protocol."""
SMALLEST_JUMP_PA = 0.5
_STAIRS = 3
"""As many jumps in a row that go one way may be a ramp cut into levels."""
_SMOOTH_MS, _MEDIAN_MS, _BLOCK_MS, _SLOW_BLOCK_MS, _REFINE_MS, _SHORTEST_MS = 1.0, 25.0, 5.0, 20.0, 3.0, 8.0
Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Levels:
    """A sweep of current as levels.

    Attributes:
        edges: Index of the first sample of every level but the first.
        noise_pa: Standard deviation of a single sample that has the slow noise's power (pA): the mean of ``n`` samples
            is known to ``noise_pa / sqrt(n)``.
        smooth_pa: The current without pickup and spike artefacts (pA), shape ``(time,)``.
        piecewise: Whether levels describe the sweep.
    """

    edges: tuple[int, ...]
    noise_pa: float
    smooth_pa: Array
    piecewise: bool

    def mean(self, start: int, stop: int, margin: int = 0) -> float:
        """Mean current between two samples, ``margin`` samples away from both where there is room (pA)."""
        margin = min(margin, (stop - start) // 4)
        return float(np.mean(self.smooth_pa[start + margin : stop - margin]))


def fit_levels(current_pa: Array, dt_ms: float) -> Levels:
    """Fit a piecewise constant current to one sweep.

    Args:
        current_pa: Command or recorded current (pA), shape ``(time,)``, finite.
        dt_ms: Sampling interval (ms).

    Returns:
        The levels; ``piecewise`` is False where they leave a slow residual or a slope unexplained.
    """
    clean = float(np.mean(np.diff(current_pa) == 0)) > 0.9
    smooth = current_pa if clean else _despike(_moving_mean(current_pa, dt_ms), dt_ms)
    noise = 0.0 if clean else _slow_noise(smooth, dt_ms)
    edges = _segment(smooth, noise, shortest=1 if clean else max(2, round(2.0 / dt_ms)))
    if edges is None:
        return Levels(edges=(), noise_pa=noise, smooth_pa=smooth, piecewise=False)
    clusters = [[edge] for edge in edges] if clean else _cluster(edges, round(_SHORTEST_MS / dt_ms))
    bounds = [[0], *clusters, [len(current_pa)]]
    around = zip(bounds[:-2], bounds[1:-1], bounds[2:], strict=True)
    edges = [_refine(current_pa, smooth, before, here, after, dt_ms) for before, here, after in around]
    edges = _merge(smooth, sorted(set(edges)), noise)
    return Levels(
        edges=tuple(edges), noise_pa=noise, smooth_pa=smooth, piecewise=_explains(smooth, edges, noise, dt_ms)
    )


def _moving_mean(x: Array, dt_ms: float) -> Array:
    return ndimage.uniform_filter1d(x, max(2, round(_SMOOTH_MS / dt_ms)), mode="nearest")


def _despike(x: Array, dt_ms: float) -> Array:
    """Replace excursions beyond six robust SDs from a running median by that median."""
    middle = ndimage.median_filter(x, 2 * round(_MEDIAN_MS / dt_ms / 2) + 1, mode="nearest")
    away = np.abs(x - middle)
    return np.where(away > 6 * 1.4826 * np.median(away), middle, x)


def _slow_noise(x: Array, dt_ms: float) -> float:
    """Per-sample SD (pA) that would give the scatter seen in block means, whichever block is worse."""
    scales = [0.0]
    for block_ms in (_BLOCK_MS, _SLOW_BLOCK_MS):
        n = max(1, round(block_ms / dt_ms))
        means = x[: len(x) // n * n].reshape(-1, n).mean(axis=1)
        if len(means) >= 8:
            scales.append(1.4826 * float(np.median(np.abs(np.diff(means)))) / np.sqrt(2) * np.sqrt(n))
    return max(scales)


def _segment(x: Array, noise: float, shortest: int) -> list[int] | None:
    """Split as long as the best split stands out; None after too many."""
    threshold = max(SMALLEST_JUMP_PA / 2, (3 + np.sqrt(2 * np.log(len(x)))) * noise)
    edges: list[int] = []
    parts = [(0, len(x))]
    while parts:
        start, stop = parts.pop()
        n = stop - start
        if n < 2 * shortest:
            continue
        k = np.arange(shortest, n - shortest + 1)
        gain = np.abs(np.cumsum(x[start:stop] - x[start:stop].mean())[k - 1]) / np.sqrt(k * (n - k) / n)
        best = int(np.argmax(gain))
        if gain[best] <= threshold:
            continue
        edges.append(start + int(k[best]))
        if len(edges) > MAX_EDGES:
            return None
        parts += [(start, edges[-1]), (edges[-1], stop)]
    return sorted(edges)


def _cluster(edges: list[int], reach: int) -> list[list[int]]:
    """Group edges that follow each other too closely to hold a level of their own."""
    clusters: list[list[int]] = []
    for edge in edges:
        if clusters and edge - clusters[-1][-1] < reach:
            clusters[-1].append(edge)
        else:
            clusters.append([edge])
    return clusters


def _refine(x: Array, smooth: Array, before: list[int], here: list[int], after: list[int], dt_ms: float) -> int:
    """Place one edge where the raw current leaves the left level for the right one (outliers clipped)."""
    edge, reach = here[len(here) // 2], max(1, round(_REFINE_MS / dt_ms))
    left, right = smooth[before[-1] : here[0]].mean(), smooth[here[-1] : after[0]].mean()
    low, high = max(before[-1] + 1, here[0] - reach), min(after[0] - 1, here[-1] + reach)
    if high <= low or left == right:
        return edge
    scatter = np.median(np.abs(x - smooth)[before[-1] : after[0]])
    limit = abs(right - left) + 3 * scatter
    away = np.clip((x[low - 1 : high] - (left + right) / 2) * np.sign(right - left), -limit, limit)
    return low + int(np.argmin(np.cumsum(away)))


def _merge(x: Array, edges: list[int], noise: float) -> list[int]:
    """Drop edges whose two levels do not differ, the weakest first."""
    edges = list(edges)
    while edges:
        bounds = [0, *edges, len(x)]
        size = np.diff(bounds)
        level = np.array([x[a:b].mean() for a, b in pairwise(bounds)])
        error = noise * np.sqrt(1 / size[:-1] + 1 / size[1:])
        excess = np.abs(np.diff(level)) - np.maximum(SMALLEST_JUMP_PA, 5 * error)
        weakest = int(np.argmin(excess))
        if excess[weakest] > 0:
            break
        edges.pop(weakest)
    return edges


def _explains(x: Array, edges: list[int], noise: float, dt_ms: float) -> bool:
    """Whether nothing slow is left: neither scatter of 20 ms means, nor a slope within a level or over several.

    A slope is held against the smaller jump beside its level: the fall at a ramp's end would excuse any.
    """
    parts = [x[a:b] for a, b in pairwise([0, *edges, len(x)])]
    jumps = np.diff([p.mean() for p in parts])
    largest = float(np.max(np.abs(jumps), initial=0.0))
    if _is_ramp(x, edges, np.sign(jumps)):
        return False
    block, margin = max(1, round(_SLOW_BLOCK_MS / dt_ms)), max(1, round(2 * _SMOOTH_MS / dt_ms))
    left_over = []
    for k, part in enumerate(parts):
        inner = part[margin:-margin]
        if len(inner) < block:
            continue
        left_over.append(inner[: len(inner) // block * block].reshape(-1, block).mean(axis=1) - inner.mean())
        rise = 12 * np.mean((inner - inner.mean()) * np.linspace(-0.5, 0.5, len(inner)))
        beside = float(np.min(np.abs(jumps[max(k - 1, 0) : k + 1]), initial=largest))
        if len(inner) >= 2 * block and abs(rise) > max(1.0, 0.2 * beside, 4 * noise * np.sqrt(12 / len(inner))):
            return False
    scatter = float(np.std(np.concatenate(left_over))) if left_over else 0.0
    return scatter <= max(5.0, 0.1 * largest)


def _is_ramp(x: Array, edges: list[int], signs: Array) -> bool:
    """Whether somewhere a straight line describes neighbouring levels that rise (or fall) better than they do."""
    for k in range(len(signs) - _STAIRS + 1):
        if abs(signs[k : k + _STAIRS].sum()) < _STAIRS:
            continue
        own = edges[k : k + _STAIRS]
        parts = [x[a:b] for a, b in pairwise(own)]
        time, inside = np.linspace(-0.5, 0.5, own[-1] - own[0]), x[own[0] : own[-1]]
        line = inside.mean() + time * np.sum(time * inside) / np.sum(time**2)
        if np.sum((inside - line) ** 2) < sum(np.sum((p - p.mean()) ** 2) for p in parts):
            return True
    return False
