"""How two groups of rows differ in spread, in location and in what is defined: the statistics of every verdict.

Columns are first brought to a common scale by quantities of the *pooled* rows only (median, robust SD, clipping at
five of them, principal axes): relabelling the rows changes none of it, so a permutation test built on these numbers
is exact.

spread      ``log(s_a / s_b)`` of each feature, and of all at once ``log`` of the mean variance along the pooled
            principal axes. Correlated features become independent directions there, so every one of them adds power:
            with ``n`` rows and ``F`` features the joint log ratio has a standard error near ``1 / sqrt(2 F (n - 1))``.
location    Welch's t of each feature, and the sum of its squares along the principal axes. Welch's, because a wrong
            spread must not be mistaken for a wrong mean.
defined     difference of the shares of rows in which a feature is defined at all.

Sums over a group of rows are one matrix product with its 0/1 membership, so a thousand relabellings cost a
millisecond.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

CLIP = 5.0
"""Values beyond so many robust SDs of the pooled median are moved there."""
FLOOR = 0.02
"""SD (pooled robust SDs) below which two spreads count as equal: resolution, not variability."""


RIDGE = 0.1
"""Principal axes with less than this share of a feature's variance count less and less: nearly redundant features
(count, rate, last spike) have directions along which no model is right and about which nobody asks."""


@dataclass(frozen=True, kw_only=True)
class Scaled:
    """Pooled rows on a common scale.

    Attributes:
        z: Standardised values, 0 where undefined, shape ``(row, feature)``.
        defined: Whether a value is defined, shape ``(row, feature)``.
        axes: Values along the pooled principal axes, at most unit variance each, shape ``(row, axis)``.
    """

    z: Float[ndarray, "row feature"]
    defined: Bool[ndarray, "row feature"]
    axes: Float[ndarray, "row axis"]


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """Statistics of ``a`` against ``b``, one row per relabelling.

    Attributes:
        spread: ``log(s_a / s_b)`` per feature, NaN where either has fewer than two values, shape ``(relabelling,
            feature)``.
        location: Welch's t per feature, shape ``(relabelling, feature)``.
        defined: Standardised difference of the shares defined, shape ``(relabelling, feature)``.
        joint_spread: Log ratio of the spread along all principal axes, shape ``(relabelling,)``.
        joint_location: Sum of squared Welch's t along them, shape ``(relabelling,)``.
    """

    spread: Float[ndarray, "relabelling feature"]
    location: Float[ndarray, "relabelling feature"]
    defined: Float[ndarray, "relabelling feature"]
    joint_spread: Float[ndarray, " relabelling"]
    joint_location: Float[ndarray, " relabelling"]


def scale(pooled: Float[ndarray, "row feature"], clip: float = CLIP) -> Scaled:
    """Standardise pooled rows.

    Args:
        pooled: Rows of both groups, NaN where undefined; every column has at least one value.
        clip: Robust SDs from the median at which a value is held, so that few rows do not decide a test.
    """
    defined, pooled = np.isfinite(pooled), pooled / magnitude(pooled)
    centre = np.nanmedian(pooled, axis=0)
    robust = 1.4826 * np.nanmedian(np.abs(pooled - centre), axis=0)
    sd = np.nanstd(pooled, axis=0)
    unit = np.where(robust > 0.2 * sd, robust, sd)
    z = np.where(defined, (pooled - centre) / np.where(unit > 0, unit, 1.0), 0.0).clip(-clip, clip)
    z = np.where(defined, z - (z.sum(0) / defined.sum(0)), 0.0)
    value, vector = principal_axes(z)
    return Scaled(z=z, defined=defined, axes=z @ vector / np.sqrt(value))


def magnitude(values: Float[ndarray, "row feature"]) -> Float[ndarray, " feature"]:
    """A power of two near the largest value of every column: divided by it, squares neither overflow nor vanish.

    The division is exact. One where a column has no value but zero.

    Args:
        values: Rows, NaN where undefined.
    """
    largest = np.nan_to_num(np.abs(values)).max(0, initial=0.0)
    return np.ldexp(1.0, np.where(largest > 0, np.frexp(largest)[1] - 1, 0))


def principal_axes(z: Float[ndarray, "row feature"]) -> tuple[Float[ndarray, " axis"], Float[ndarray, "feature axis"]]:
    """Variances along the principal axes, each with the ridge on it, and the axes."""
    value, vector = np.linalg.eigh(z.T @ z / len(z))
    return np.maximum(value, 0.0) + RIDGE * value.mean() + 1e-300, vector


def contrast(scaled: Scaled, member: Float[ndarray, "relabelling row"]) -> Contrast:
    """Compare the rows of group ``a`` with the others.

    Args:
        scaled: Pooled rows.
        member: 1 for the rows of ``a``, 0 for those of ``b``, shape ``(relabelling, row)``.
    """
    other = 1.0 - member
    count_a, mean_a, var_a = moments(scaled.z, scaled.defined, member)
    count_b, mean_b, var_b = moments(scaled.z, scaled.defined, other)
    return assemble(
        (count_a, mean_a, var_a, member.sum(-1)),
        (count_b, mean_b, var_b, other.sum(-1)),
        moments(scaled.axes, np.ones_like(scaled.axes, dtype=bool), member),
        moments(scaled.axes, np.ones_like(scaled.axes, dtype=bool), other),
    )


Moments = tuple[ndarray, ndarray, ndarray]


def assemble(a: tuple[ndarray, ...], b: tuple[ndarray, ...], axes_a: Moments, axes_b: Moments) -> Contrast:
    """Statistics from the moments of the two groups.

    Args:
        a: Count, mean, variance per feature and number of rows of ``a``.
        b: The same of ``b``.
        axes_a: Count, mean and variance along the principal axes of ``a``.
        axes_b: The same of ``b``.
    """
    count_a, mean_a, var_a, n = a
    count_b, mean_b, var_b, m = b
    enough = (count_a >= 2) & (count_b >= 2)
    share_a, share_b = count_a / n[:, None], count_b / m[:, None]
    both = (count_a + count_b) / (n + m)[:, None]
    varies = both * (1 - both) > 1e-6  # rounding is no difference
    noise = np.sqrt(np.where(varies, both * (1 - both), 1.0) * (1 / n + 1 / m)[:, None])
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = 0.5 * np.log((var_a + FLOOR**2) / (var_b + FLOOR**2))
        location = (mean_a - mean_b) / np.sqrt((var_a + FLOOR**2) / count_a + (var_b + FLOOR**2) / count_b)
        defined = np.where(varies, (share_a - share_b) / noise, 0.0)
    return Contrast(
        spread=np.where(enough, spread, np.nan),
        location=np.where(enough, location, np.nan),
        defined=defined,
        joint_spread=0.5 * np.log((axes_a[2].mean(-1) + FLOOR**2) / (axes_b[2].mean(-1) + FLOOR**2)),
        joint_location=_welch(axes_a, axes_b),
    )


def _welch(a: Moments, b: Moments) -> ndarray:
    """Sum over axes of the squared Welch t, the variance of small groups shrunk to its mean over axes."""
    (n, mean_a, var_a), (m, mean_b, var_b) = a, b
    var_a = 0.5 * var_a + 0.5 * var_a.mean(-1, keepdims=True)
    var_b = 0.5 * var_b + 0.5 * var_b.mean(-1, keepdims=True)
    return ((mean_a - mean_b) ** 2 / (var_a / n + var_b / m + FLOOR**2 / n)).sum(-1)


def moments(z: ndarray, defined: ndarray, member: ndarray) -> Moments:
    """Number, mean and unbiased variance of the members' defined values, each of shape ``(relabelling, column)``."""
    count = member @ defined.astype(float)
    safe = np.maximum(count, 1)
    mean = (member @ z) / safe
    var = np.maximum((member @ z**2) / safe - mean**2, 0.0) * count / np.maximum(count - 1, 1)
    return count, mean, var
