"""A spike map's answers held to the latents: where these say when a neuron fires, nothing has to be predicted.

Log latencies, first intervals and mean intervals to a fixed moment are latents themselves, so the error of a spike map
at their currents is known exactly, for any neuron, without a simulation. What is missing there is added at other
currents, too, linearly between those where it is known:

* to the log latency and to the first log interval;
* to the log intervals behind the first, piece by piece of the step. Let ``phi(T)`` be the number of spikes behind the
  first by the moment ``T``, that is ``(T - latency) / mean interval to T``, and ``t(phi)`` the predicted moment. The
  intervals between two such moments ``S`` and ``T`` are longer by the factor ``(T - S) / (t(phi(T)) - t(phi(S)))``;
  between the middles of two pieces log factors are interpolated.

Only the mean of a *whole* train is not used: it jumps when the last spike leaves the step, and a network can not be
taught a jump. A network that is taught these answers (:mod:`noble_prob.training.student`) is right at the latents'
currents also where no training data are, at no cost when it is asked.
"""

from __future__ import annotations

import math
import re
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.decoder.spike_map import SpikeMap, log_steps
from noble_prob.errors import require
from noble_prob.latent import LatentSpace

LATENCY, FIRST, MEAN = "first_spike_latency_ms", "first_isi_ms", r"mean_isi_to_(\d+)ms_ms"
PIECE_MS = 50.0
"""Distance of the moments between which factors are interpolated."""
PASSES = 2
"""Where in the step an interval lies is known once it is corrected."""
MOST = 1.0
"""Largest change of a log interval; latents that ask for more contradict each other."""

Known = tuple[float, int]
"""Current (pA) and column of a latent."""


class Held:
    """A spike map that is asked through its latents, on the device of its weights.

    Args:
        spike_map: What is corrected.
        space: The latents it takes.

    Raises:
        UsageError: If the space has no latency, first interval or mean interval to a moment at two currents at least.
    """

    def __init__(self, spike_map: SpikeMap, space: LatentSpace):
        self.spike_map = spike_map
        self.latency, self.first = _columns(space, LATENCY), _columns(space, FIRST)
        self.means = _mean_columns(space)
        self.currents_pa = sorted({pa for pa, _ in (*self.latency, *self.first)} | set(self.means))
        known = len(self.latency), len(self.first), len(self.means)
        require(
            min(known) >= 2,
            "held",
            "a latent space with latencies, first intervals and mean intervals to a moment at two currents at least",
            f"{space.name!r}, with {known[0]}, {known[1]} and {known[2]}",
            "use 'features26', or leave `held` out",
        )
        like = next(spike_map.parameters()).detach()
        self.mean, self.sd = space.mean.to(like), space.sd.to(like)
        last = max(moment for columns in self.means.values() for moment, _ in columns)
        self.middles = torch.arange(PIECE_MS, last, PIECE_MS).to(like)
        self.by_current = [_Line([math.log(pa) for pa, _ in each], like) for each in (self.latency, self.first)]
        self.by_current += [_Line([math.log(pa) for pa in self.means], like)]
        self.by_moment = _Line(self.middles.tolist(), like)
        self.by_piece = {pa: _Line(_middles(columns), like) for pa, columns in self.means.items()}

    def mean_times(
        self, x: Float[Tensor, "batch latent"], current_pa: Float[Tensor, " batch"]
    ) -> Float[Tensor, "batch spike"]:
        """Spike times (ms after onset), held to the latents.

        Args:
            x: Standardised latents.
            current_pa: Step currents (pA).
        """
        latents = x * self.sd + self.mean
        known = {pa: self._logs(x, x.new_full((len(x),), pa)) for pa in self.currents_pa}
        lack = [self._lack(known, latents, which) for which in (0, 1)]
        pieces = torch.stack([self._pieces(known[pa], latents, pa, lack) for pa in self.means], 1)
        own = self._begun(self._logs(x, current_pa), current_pa, lack)
        factors = self.by_current[2](pieces, current_pa.clamp(min=1.0).log())
        times = own.exp().cumsum(-1)
        for _ in range(PASSES):
            later = own[:, 2:] + self.by_moment.rows(factors, (times[:, 1:-1] + times[:, 2:]) / 2)
            times = torch.cat([own[:, :2], later], -1).exp().cumsum(-1)
        return times

    def _logs(self, x: Tensor, current_pa: Tensor) -> Float[Tensor, "batch spike"]:
        """Log latency and log intervals of the spike map itself."""
        return log_steps(self.spike_map.mean_times(x, current_pa))

    def _lack(self, known: dict[float, Tensor], latents: Tensor, which: int) -> Float[Tensor, "batch known"]:
        """What log latency (0) or first log interval (1) lacks at each current where it is a latent."""
        columns = (self.latency, self.first)[which]
        return torch.stack([latents[:, k] - known[pa][:, which] for pa, k in columns], -1).clamp(-MOST, MOST)

    def _begun(self, logs: Tensor, current_pa: Tensor, lack: list[Tensor]) -> Float[Tensor, "batch spike"]:
        """Log latency and log intervals with what the first two lack."""
        at = current_pa.clamp(min=1.0).log()
        early = torch.stack([line(each, at) for line, each in zip(self.by_current, lack, strict=False)], -1)
        return torch.cat([logs[:, :2] + early, logs[:, 2:]], -1)

    def _pieces(self, logs: Tensor, latents: Tensor, pa: float, lack: list[Tensor]) -> Float[Tensor, "batch middle"]:
        """Log factors of the intervals at one current, at the moments of ``middles``."""
        times = self._begun(logs, logs.new_full((len(logs),), pa), lack).exp().cumsum(-1)
        begun, phase, at = times[:, 1], torch.ones_like(times[:, 1]), times[:, 1]
        factors = []
        for moment, k in self.means[pa]:
            there = (moment - times[:, 0]) / latents[:, k].exp()
            then = _time_at(times, there)
            counts = (there - phase).clamp(0.0, 1.0)  # less than one interval says little of it
            ratio = (moment - begun).clamp(min=1e-3).log() - (then - at).clamp(min=1e-3).log()
            factors.append(counts * ratio.clamp(-MOST, MOST))
            begun, phase, at = torch.full_like(begun, moment), torch.maximum(there, phase), then
        return self.by_piece[pa].rows(torch.stack(factors, -1), self.middles.expand(len(logs), -1))


class _Line:
    """Straight lines between knots, constant beyond them.

    Args:
        knots: Increasing.
        like: Gives device and precision.
    """

    def __init__(self, knots: list[float], like: Tensor):
        self.ends, self.knots = (knots[0], knots[-1]), torch.tensor(knots).to(like)

    def _right(self, where: Tensor) -> tuple[Tensor, Tensor]:
        """The knot to the right of each place, and how much of it counts."""
        where = where.clamp(*self.ends)
        right = torch.searchsorted(self.knots, where.contiguous()).clamp(1, len(self.knots) - 1)
        return right, (where - self.knots[right - 1]) / (self.knots[right] - self.knots[right - 1])

    def __call__(self, values: Tensor, where: Float[Tensor, " batch"]) -> Tensor:
        """One place for all values of a row, shape ``(batch, knot, *more)`` to ``(batch, *more)``."""
        right, share = self._right(where)
        rows = torch.arange(len(where), device=where.device)
        share = share.reshape(-1, *(1,) * (values.ndim - 2))
        return (1 - share) * values[rows, right - 1] + share * values[rows, right]

    def rows(
        self, values: Float[Tensor, "batch knot"], where: Float[Tensor, "batch place"]
    ) -> Float[Tensor, "batch place"]:
        """Many places of each row's own line."""
        if len(self.knots) == 1:
            return values.expand(-1, where.shape[1])
        right, share = self._right(where)
        return (1 - share) * values.gather(1, right - 1) + share * values.gather(1, right)


def _columns(space: LatentSpace, feature: str) -> list[Known]:
    """Currents, increasing, at which the logarithm of a feature is a latent, with its columns."""
    return sorted((item.current_pa, k) for k, item in enumerate(space.latents) if item.feature == feature and item.log)


def _mean_columns(space: LatentSpace) -> dict[float, list[Known]]:
    """By current, increasing: the moments (ms) to which a mean interval is a latent, with their columns."""
    found: dict[float, list[Known]] = {}
    for k, item in enumerate(space.latents):
        if (match := re.fullmatch(MEAN, item.feature)) and item.log:
            found.setdefault(item.current_pa, []).append((float(match[1]), k))
    return {pa: sorted(found[pa]) for pa in sorted(found)}


def _middles(columns: list[Known]) -> list[float]:
    """Middles of the pieces between moments."""
    moments = [0.0, *(moment for moment, _ in columns)]
    return [(a + b) / 2 for a, b in pairwise(moments)]


def _time_at(times: Float[Tensor, "batch spike"], phase: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
    """When so many spikes behind the first have come, linear between spikes (ms)."""
    phase = phase.clamp(0.0, times.shape[1] - 1.001)
    before = phase.floor().long()[:, None]
    last, following = (times.gather(1, before + k)[:, 0] for k in (0, 1))
    return last + (phase - before[:, 0]) * (following - last)
