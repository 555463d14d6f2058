"""Further repeats from a fitted trial model: what the next recordings of the same cell should look like."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.errors import require, require_count, require_seed
from noble_prob.noise.chains import warn_unsettled
from noble_prob.noise.repeats import RepeatFit

BEYOND = 12
"""Spikes added behind the mean train, of which those before the end of the window are kept."""
TAIL = 3
"""Last intervals whose mean continues the train."""


def mean_train(trains: list[Tensor]) -> Float[Tensor, " spike"]:
    """Mean first spike and mean intervals as far as half of the repeats go, continued by the last (ms after onset).

    Every mean is over the repeats that have the spike: one repeat that falls silent early does not end the train.
    Empty where a repeat has no spike.
    """
    lengths = sorted(len(t) for t in trains)
    if lengths[0] == 0:
        return torch.empty(0, dtype=torch.float64)
    whole = [t.to(torch.float64) for t in trains]
    first = torch.stack([t[0] for t in whole]).mean()
    k = max(lengths[len(lengths) // 2] - 1, min(1, lengths[-1] - 1))
    if k == 0:
        return first[None]
    step = torch.stack([torch.stack([t[j + 1] - t[j] for t in whole if len(t) > j + 1]).mean() for j in range(k)])
    return torch.cat([first[None], step, step[-TAIL:].mean().expand(BEYOND)]).cumsum(0)


def forecast(fit: RepeatFit, group: int, n: int, *, seed: int = 0) -> Float[Tensor, "repeat spike"]:
    """Draw further repeats of one group, the uncertainty of scales and mean train included.

    A fit whose chains have not settled (R-hat above 1.01) is used with a ``UserWarning``.

    Args:
        fit: The fitted trial model.
        group: Index of the cell and stimulus.
        n: Number of repeats.
        seed: Seed of the draws.

    Returns:
        Spike times (ms after onset), infinity behind the last, shape ``(n, spike)``.

    Raises:
        UsageError: If the group does not exist or some of its repeats are silent.
    """
    require(
        0 <= group < len(fit.repeats.times_ms), "group", f"below {len(fit.repeats.times_ms)}", group, "pick a group"
    )
    seed = require_seed(seed)
    require_count(n, "n", "repeats")
    trains = [torch.as_tensor(t) for t in fit.repeats.times_ms[group]]
    mean = mean_train(trains)
    require(
        len(mean) > 0, "group", "one whose every repeat fires", f"{group}, with silent repeats", "use a stronger step"
    )
    warn_unsettled(fit.r_hat, "the trial model")
    generator = torch.Generator().manual_seed(seed)
    pick = torch.randint(len(fit.scales), (n,), generator=generator)
    latency, rate, sigma = fit.scales[pick, group, None].unbind(-1)
    a, b = torch.randn(2, n, 1, generator=generator, dtype=torch.float64)
    e = torch.randn(n, len(mean) - 1, generator=generator, dtype=torch.float64)
    more = (1 + 1 / len(trains)) ** 0.5  # the mean train is itself uncertain
    interval = torch.diff(mean)
    walk = interval * (1 + more * rate * b) + more * sigma * (interval**3 / 1000).sqrt() * e
    times = torch.cat([mean[:1] * (1 + more * latency * a), walk.clamp(min=0.1)], -1).clamp(min=1e-3).cumsum(-1)
    return torch.where(times < fit.repeats.end_ms[group], times, torch.inf)
