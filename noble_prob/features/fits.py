"""Time constants, fitted to many traces at once.

The charging of a membrane is ``V(t) = V_inf + A exp(-t / tau)``. For a given tau the best ``V_inf`` and ``A`` are a
linear regression, so the squared error is a function of tau alone (variable projection: Golub and Pereyra 1973); it
is minimised by golden section on log tau, all traces side by side. The asymptote is free, so a window that ends
before the plateau does not bias tau; one exponential remains a simplification of a cell with dendrites or sag.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

GOLDEN = 0.6180339887498949


def exponential_time_constant(
    t_ms: Float[Tensor, "*trace time"],
    v_mv: Float[Tensor, "trace time"],
    used: Bool[Tensor, "trace time"],
    *,
    shortest_ms: float = 0.2,
    longest_ms: float = 500.0,
    steps: int = 40,
) -> Float[Tensor, " trace"]:
    """Least-squares time constant of one exponential with free amplitude and asymptote.

    Args:
        t_ms: Sample times (ms), shape ``(time,)``, or each trace's own, ``(trace, time)``.
        v_mv: Voltage (mV), shape ``(trace, time)``.
        used: Samples that take part, shape ``(trace, time)``.
        shortest_ms: Smallest time constant looked for (ms).
        longest_ms: Largest time constant looked for (ms).
        steps: Golden-section steps; 40 leave a relative error below 1e-7.

    Returns:
        Time constants (ms), shape ``(trace,)``; NaN where fewer than five samples are used or the optimum lies at a
        bound.
    """
    t, v, w = (t_ms - t_ms[..., :1]).to(torch.float64), v_mv.to(torch.float64), used.to(torch.float64)
    v = torch.where(used, v, 0.0)
    low = torch.full(v.shape[:1], shortest_ms, dtype=torch.float64, device=v.device).log()
    high = torch.full_like(low, longest_ms).log()
    bounds = (low + 1e-3, high - 1e-3)
    a, b = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    fa, fb = _residual(a, t, v, w), _residual(b, t, v, w)
    for _ in range(steps):
        left = fa < fb
        low, high = torch.where(left, low, a), torch.where(left, b, high)
        a_new, b_new = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        probe = torch.where(left, a_new, b_new)
        f = _residual(probe, t, v, w)
        fa, fb = torch.where(left, f, fb), torch.where(left, fa, f)
        a, b = a_new, b_new
    best = 0.5 * (low + high)
    good = (used.sum(-1) >= 5) & (best > bounds[0]) & (best < bounds[1])
    return torch.where(good, best.exp(), torch.nan).to(v_mv.dtype)


def _residual(log_tau: Tensor, t: Tensor, v: Tensor, w: Tensor) -> Tensor:
    """Squared error of the best line through ``(exp(-t / tau), v)``, per trace."""
    x = torch.exp(-t / log_tau.exp()[:, None])
    n = w.sum(-1, keepdim=True).clamp(min=1)
    dx = (x - (w * x).sum(-1, keepdim=True) / n) * w
    dv = (v - (w * v).sum(-1, keepdim=True) / n) * w
    sxx, sxy, syy = (dx * dx).sum(-1), (dx * dv).sum(-1), (dv * dv).sum(-1)
    return syy - sxy**2 / sxx.clamp(min=1e-12)


def log_linear_time_constant(
    t_ms: Float[Tensor, " time"], v_mv: Float[Tensor, "trace time"], reference_mv: Float[Tensor, " trace"]
) -> Float[Tensor, " trace"]:
    """Time constant of a decay towards a known voltage: minus the inverse slope of ``log |V - reference|``.

    Args:
        t_ms: Sample times (ms), shape ``(time,)``.
        v_mv: Voltage (mV), shape ``(trace, time)``.
        reference_mv: Voltage of the plateau (mV), shape ``(trace,)``.

    Returns:
        Time constants (ms), shape ``(trace,)``; NaN where the distance changes sign or does not shrink.
    """
    distance = v_mv - reference_mv[:, None]
    y = distance.abs().clamp(min=1e-9).log()
    x = (t_ms - t_ms.mean()).to(y)
    slope = (x * y).sum(-1) / (x * x).sum()
    one_sided = (distance > 0).all(-1) | (distance < 0).all(-1)
    return torch.where(one_sided & (slope < 0), -1.0 / slope, torch.nan)
