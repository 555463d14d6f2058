"""Names of latents and features as people say them: ``log_mean_isi_50pa`` is the mean interval at 50 pA.

It knows nothing of this package, so any room may speak in these words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from noble_prob.findings.base import with_minus

WORDS = {"isi": "interval", "ap1": "first spike", "ahp": "afterhyperpolarisation", "ap": "spike", "cv": "CV"}
UNITS = ("_mv", "_ms", "_hz", "_mohm")


def in_words(name: str) -> str:
    """A name in words, with the current it belongs to.

    Args:
        name: Name of a latent or a feature.

    Example:
        >>> in_words("log_mean_isi_50pa"), in_words("ap1_peak_mv_180pa"), in_words("resting_voltage_mv")
        ('mean interval at 50 pA', 'first spike peak at 180 pA', 'resting voltage')
    """
    body = name.removeprefix("log_")
    found = re.fullmatch(r"(.+)_(m?)(\d+)pa", body)
    current = ""
    if found:
        body, current = found[1], f" at {'−' if found[2] else ''}{found[3]} pA"
    for unit in UNITS:
        body = body.removesuffix(unit)
    return re.sub(r"(\d)ms\b", r"\1 ms", " ".join(WORDS.get(part, part) for part in body.split("_"))) + current


def with_step(name: str, current_pa: float) -> str:
    """A latent in words with the step it is measured at, also where its name leaves that out.

    Args:
        name: Name of a latent.
        current_pa: Its step (pA).

    Example:
        >>> with_step("sag", -110.0), with_step("resting_voltage", -110.0)
        ('sag at −110 pA', 'resting voltage')
    """
    said = in_words(name)
    return said if said.endswith(" pA") or said == "resting voltage" else with_minus(f"{said} at {current_pa:g} pA")


def listed(items: Iterable[str]) -> str:
    """Items as a sentence has them: ``a, b and c``."""
    *first, last = items
    return f"{', '.join(first)} and {last}" if first else last


def amount(sd: float, unit: str) -> str:
    """An SD in words: percent for logarithms, the unit otherwise."""
    return f"{100 * sd:.1f} %" if unit.startswith("ln(") else f"{sd:.2g} {unit}"


def counted(n: int, noun: str) -> str:
    """A number of things.

    Example:
        >>> counted(1, "sweep"), counted(2, "sweep")
        ('1 sweep', '2 sweeps')
    """
    return f"{n} {noun}{'' if n == 1 else 's'}"


def with_unit(value: float, unit: str, digits: int = 3) -> str:
    """A value with its unit and a minus sign of its own, a number alone where there is no unit.

    Args:
        value: Any number.
        unit: Its unit, empty for counts and ratios.
        digits: Significant digits.

    Example:
        >>> with_unit(38.81, "ms"), with_unit(-4.0, ""), with_unit(0.2468, "mV", 2)
        ('38.8 ms', '−4', '0.25 mV')
    """
    return f"{value:.{digits}g} {unit}".rstrip().replace("-", "−", 1 if value < 0 else 0)


def two_digits(value: float) -> str:
    """A spread or a ratio of spreads: two digits and no exponent, for a third says nothing.

    Example:
        >>> two_digits(8.0), two_digits(0.2), two_digits(123.4), two_digits(0.04222)
        ('8.0', '0.20', '120', '0.042')
    """
    if value == 0 or not math.isfinite(value) or not 1e-4 <= abs(value) < 1e6:
        return f"{value:.2g}"
    places = 1 - int(f"{value:.1e}".split("e")[1])
    return f"{round(value, places):.{max(places, 0)}f}"


def begun(words: str) -> str:
    """Words at the beginning of a sentence; a first word with capitals of its own (``dV/dt``) stays as it is.

    Example:
        >>> begun("sag at -110 pA"), begun("dV/dt")
        ('Sag at -110 pA', 'dV/dt')
    """
    return words[:1].upper() + words[1:] if words.split(" ")[0].islower() else words
