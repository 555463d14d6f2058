"""To the top in a few strides: Newton's method with curvature from differences of gradients.

One gradient of a recording's log density takes hardly twice as long for sixty points as for one, on a processor: most
of it is the cost of a thousand small operations. So a Hessian, from differences along every axis, costs little more
than a point, and seven strides do what a quasi-Newton climb does in thirty. For many recordings at once the arithmetic
counts, and :func:`~noble_prob.inference.whiten.climb` is the cheaper one.

The differences are taken over half a standard deviation, as in :func:`~noble_prob.inference.whiten.laplace`; negative
curvature is taken by its size (a saddle is left, not approached; Dauphin et al. 2014); the best of several lengths of a
stride is kept, none of them longer than a dozen standard deviations: a start a hundred away is not brought to the top.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.inference.density import LogDensity
from noble_prob.inference.whiten import LARGEST_SD, Affine

STRIDES, ENOUGH, AT_LEAST = 8, 0.03, 3
"""Most strides, the gain in nats at which to stop, and how many are made in any case."""
FIRST, LATER = 0.1, 0.5
"""Over how many SDs gradients differ: before and after the curvature is known."""
LENGTHS = (2.0, 1.0, 0.5, 0.25, 0.1, 0.03, 0.0)
"""Parts of a stride that are tried."""
LONGEST = 6.0
"""Standard deviations of the longest stride."""


def ascend(density: LogDensity, start: Affine) -> Affine:
    """White coordinates around the mode that is reached from the centre of these.

    Args:
        density: What to ascend.
        start: Coordinates of about the right scale.
    """
    here, probe, height = start, FIRST, torch.full_like(start.centre[..., 0], -torch.inf)
    for k in range(STRIDES):
        here, new = _stride(density, here, probe)
        gain, height, probe = new - height, new, LATER
        if k + 1 >= AT_LEAST and bool((gain < ENOUGH).all()):
            break
    return here


def _stride(density: LogDensity, here: Affine, probe: float) -> tuple[Affine, Float[Tensor, "*batch"]]:
    """Coordinates with the curvature found here, at the best point of a stride, and the log density there."""
    centre, size = here.centre, here.centre.shape[-1]
    eye = torch.eye(size, dtype=centre.dtype, device=centre.device)
    points = probe * torch.cat([eye, -eye]).reshape(2 * size, *[1] * (centre.ndim - 1), size)
    _, slope = here.pull_back(density, points.expand(2 * size, *centre.shape))
    hessian = ((slope[size:] - slope[:size]) / (2 * probe)).movedim(0, -1)
    curvature, axes = torch.linalg.eigh(0.5 * (hessian + hessian.mT))
    root = axes * curvature.abs().clamp(min=LARGEST_SD**-2).rsqrt()[..., None, :]
    here = Affine(centre=centre, scale=here.scale @ root)
    stride = (root.mT @ slope.mean(0)[..., None])[..., 0]
    stride = stride * (LONGEST / stride.norm(dim=-1, keepdim=True).clamp(min=LONGEST))
    lengths = torch.tensor(LENGTHS, dtype=centre.dtype, device=centre.device)
    trial = here(lengths.reshape(-1, *[1] * centre.ndim) * stride)
    with torch.no_grad():
        height = density(trial)
    best = torch.where(torch.isfinite(height), height, -torch.inf).argmax(0, keepdim=True)
    reached = trial.gather(0, best[..., None].expand(1, *centre.shape))[0]
    return Affine(centre=reached, scale=here.scale), height.gather(0, best)[0]
