"""Estimates of latents as people read them: logarithms in their own unit, no digit that says nothing."""

from __future__ import annotations

import math

from noble_prob.report.data import LatentRow
from noble_prob.report.plain import number, to_sd

SIGNIFICANT = 4
"""Digits of an estimate, unless the first digit of its SD comes later."""


def is_log(unit: str) -> bool:
    """Whether values of this unit are natural logarithms: ``ln(ms)``."""
    return unit.startswith("ln(")


def plain_unit(unit: str) -> str:
    """The unit without the logarithm: ``ms`` for ``ln(ms)``."""
    return unit[3:-1] if is_log(unit) else unit


def told(row: LatentRow) -> dict[str, str]:
    """Every number of a latent in words: ``mean``, ``sd``, ``low``, ``high``, ``truth``, ``prior_mean``, ``prior_sd``.

    Of a logarithm, exp of the mean, of the interval's ends and of the truth, and the SD in per cent.
    """
    after = {key: _estimate(getattr(row, key), row.mean, row.sd, row.unit) for key in ("mean", "low", "high", "truth")}
    return {
        **after,
        "sd": _spread(row.sd, row.unit),
        "prior_mean": _estimate(row.prior_mean, row.prior_mean, row.prior_sd, row.unit),
        "prior_sd": _spread(row.prior_sd, row.unit),
    }


def _estimate(value: float | None, mean: float | None, sd: float | None, unit: str) -> str:
    """A value to the second digit of the SD, or the first where that makes more than :data:`SIGNIFICANT` digits."""
    if value is None or mean is None or sd is None:
        return number(math.exp(value) if value is not None and is_log(unit) else value)
    if is_log(unit):
        value, mean = math.exp(value), math.exp(mean)
        sd *= mean
    if not (math.isfinite(value) and math.isfinite(mean) and math.isfinite(sd)) or sd < 1e-6:
        return number(value, SIGNIFICANT)
    fine = 1 - _exponent(sd)
    places = max(min(fine, SIGNIFICANT - 1 - _exponent(mean)), fine - 1, 0)
    return f"{value:z.{places}f}".replace("-", "−")


def _spread(sd: float | None, unit: str) -> str:
    """Two digits of an SD, in per cent where it is one of logarithms."""
    if sd is None or not is_log(unit):
        return to_sd(sd, sd)
    return f"{to_sd(100 * sd, 100 * sd)} %"


def _exponent(value: float) -> int:
    """Decimal exponent after rounding to two digits: 0.0997 is 0.10."""
    return int(f"{value:.1e}".split("e")[1])
