r"""How wrong a decoder is about summary features, as a function of the step current.

A latent gives a feature away at the current it is measured at; between these currents the summary network has to guess.
So the error of, say, the membrane time constant is small at the protocol's own hyperpolarising step, and ten times as
large at a third of it, where the deflection is small as well. One number for all currents is too large for the one and
too small for the other, and the posterior of a recording whose sweeps lie in between is too narrow. Therefore the SD is
measured at *knots*, the currents of the standard protocol and others between them, from the errors near each (linear
weights, down to zero at the neighbouring knots), and joined by straight lines in its logarithm. Where fewer than
:data:`FEW` validation sweeps have the feature a knot takes the value of the nearest one that has enough. How much of a
feature's error similar currents have in common, and how far, is the least-squares fit of ``share exp(-distance /
length)`` to the products of errors of one model, each divided by its SD.

Not all of it is common. A spike is sharper than the sampling, so its peak and width depend on where the samples happen
to fall: in the sweep that is looked at, and in the one that the latent was measured on. The one differs from sweep to
sweep, the other belongs to the neuron and is as large. At the protocol's own current both are the same samples, and the
error of a noiseless simulation vanishes; no recording repeats that, so the shape of a spike takes the SD of the
currents beside it.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

APART_PA = 20.0
"""Usual distance of knots (pA)."""
FEW = 6.0
"""Effective number of sweeps below which a knot is not measured."""
PAIRS, USUAL_PA = 30, 150.0
"""Pairs of sweeps of one model below which a correlation length is not measured, and what it is then taken to be."""


def knots(current_pa: Float[Tensor, "model sweep"], standard_pa: Float[Tensor, " step"]) -> Float[Tensor, " knot"]:
    """Currents at which the SD is measured: the standard ones, and a grid between them.

    Args:
        current_pa: Currents of the validation sweeps (pA).
        standard_pa: Those of the standard protocol (pA).
    """
    low, high = float(current_pa.min()), float(current_pa.max())
    grid = torch.linspace(low, high, max(2, round((high - low) / APART_PA) + 1), dtype=torch.float64)
    standard = standard_pa.to(torch.float64).unique()
    if not len(standard):
        return grid
    far = (grid[:, None] - standard).abs().amin(-1) > APART_PA / 2
    return torch.cat([grid[far], standard]).sort().values


def profile(
    error: Float[Tensor, " value"], current_pa: Float[Tensor, " value"], at_pa: Float[Tensor, " knot"]
) -> Float[Tensor, " knot"]:
    """SD of one feature's error at the knots.

    Args:
        error: Errors, all defined.
        current_pa: Current of each (pA).
        at_pa: Knots (pA), increasing.
    """
    weight = _hats(current_pa, at_pa)
    out, known = [], []
    for w in weight:
        near = w > 0
        known.append(bool(near.any()) and float(w.sum()) ** 2 / float(w.square().sum()) >= FEW)
        limit = 5 * 1.4826 * error[near].abs().median() if known[-1] else error.new_tensor(1.0)
        mean = (w[near] * error[near].clamp(-limit, limit).square()).sum() / w.sum() if known[-1] else limit
        out.append(mean.sqrt())
    spread, measured = torch.stack(out), torch.tensor(known)
    if not bool(measured.any()):
        return error.square().mean().sqrt().expand(len(at_pa))
    nearest = (at_pa[:, None] - at_pa[measured]).abs().argmin(-1)
    return torch.where(measured, spread, spread[measured][nearest])


def _hats(current_pa: Float[Tensor, " value"], at_pa: Float[Tensor, " knot"]) -> Float[Tensor, "knot value"]:
    """Linear weights: one at a knot, zero at its neighbours."""
    right = torch.searchsorted(at_pa, current_pa.contiguous()).clamp(1, len(at_pa) - 1)
    share = ((current_pa - at_pa[right - 1]) / (at_pa[right] - at_pa[right - 1])).clamp(0, 1)
    out = torch.zeros(len(at_pa), len(current_pa), dtype=at_pa.dtype)
    at = torch.arange(len(current_pa))
    out[right, at] = share
    out[right - 1, at] = 1 - share
    return out


def correlation(
    z: Float[Tensor, "model sweep"], current_pa: Float[Tensor, "model sweep"], *, whole: bool = False
) -> tuple[float, float]:
    """What share of the errors' variance is correlated over the current, and over what distance (pA).

    Args:
        z: Errors divided by their SD, NaN where undefined.
        current_pa: Currents (pA).
        whole: All of it is: fit the distance alone.

    Returns:
        Share and distance, the latter at most 500 pA; all of it and the usual distance where pairs are too few.
    """
    i, j = torch.triu_indices(z.shape[1], z.shape[1], 1)
    known = z[torch.isfinite(z)]
    limit = 5 * 1.4826 * known.abs().median()
    z = z.clamp(-limit, limit)
    product, distance = (z[:, i] * z[:, j]).flatten(), (current_pa[:, i] - current_pa[:, j]).abs().flatten()
    good = torch.isfinite(product)
    if int(good.sum()) < PAIRS:
        return 1.0, USUAL_PA
    product, distance = product[good] / z[torch.isfinite(z)].square().mean(), distance[good]
    fits = []
    for length in torch.logspace(1, 2.7, 60, dtype=torch.float64).tolist():
        course = torch.exp(-distance / length)
        share = 1.0 if whole else float(((product * course).sum() / course.square().sum()).clamp(0, 1))
        fits.append((float((product - share * course).square().mean()), share, length))
    _, share, length = min(fits)
    return share, length
