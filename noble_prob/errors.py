"""Wrong use, said in one sentence: the parameter, what it should be, what was found, what to do.

Wrong *outcomes* (a chain that did not mix, a recording outside the decoder's support) are not errors: they are
:class:`noble_prob.findings.Finding` values. Only wrong *use* raises.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from operator import index
from pathlib import Path
from typing import Any


class UsageError(ValueError):
    """A caller's mistake that the caller can repair.

    Args:
        parameter: Name of the argument, column, file or option at fault.
        expected: What it should have been, without a final full stop.
        found: What it was.
        remedy: What to do now, an imperative clause.

    Example:
        >>> print(UsageError("dt_ms", "a positive number", "-1", "pass the sampling interval in ms"))
        `dt_ms` should be a positive number; found -1; pass the sampling interval in ms.
    """

    def __init__(self, parameter: str, expected: str, found: object, remedy: str):
        self.parameter, self.expected, self.found, self.remedy = parameter, expected, str(found), remedy
        super().__init__(f"`{parameter}` should be {expected}; found {found}; {remedy}.")

    def __reduce__(self) -> tuple[type[UsageError], tuple[str, str, str, str]]:
        """Made again from its parts, so that it travels between processes."""
        return type(self), (self.parameter, self.expected, self.found, self.remedy)


def require(condition: bool, parameter: str, expected: str, found: object, remedy: str) -> None:
    """Raise :class:`UsageError` unless ``condition`` holds.

    Raises:
        UsageError: When the condition is false.
    """
    if not condition:
        raise UsageError(parameter, expected, found, remedy)


def require_kind(value: object, kind: type, parameter: str, remedy: str, expected: str = "") -> None:
    """Refuse an object of another kind, before it fails somewhere inside.

    Args:
        value: What was passed.
        kind: What it should be an instance of.
        parameter: Its name.
        remedy: What to pass instead.
        expected: The kind in words; ``a`` and its name if not given.

    Raises:
        UsageError: If it is none.
    """
    require(isinstance(value, kind), parameter, expected or f"a {kind.__name__}", f"a {type(value).__name__}", remedy)


SEEDS = "a whole number of at least 0 and below 2^63"
"""What a seed is, in words."""


def _whole(value: Any) -> int | None:
    """A whole number, also of numpy or torch, as Python's; None for everything else."""
    try:
        return None if isinstance(value, bool) else index(value)
    except (TypeError, ValueError):
        return None


def is_seed(value: object) -> bool:
    """Whether every generator of random numbers takes a value as its seed."""
    number = _whole(value)
    return number is not None and 0 <= number < 2**63


def require_seed(seed: Any) -> int:
    """Refuse a seed that generators of random numbers do not take.

    Returns:
        The seed as Python's number: torch's generators and JSON refuse those of numpy.

    Raises:
        UsageError: If it is no whole number, negative, or beyond 63 bits.
    """
    require(is_seed(seed), "seed", SEEDS, repr(seed), "pass one such as seed=0")
    return index(seed)


def require_count(n: object, parameter: str, what: str, fewest: int = 1) -> None:
    """Refuse a number of things that is no whole number, or too small.

    Args:
        n: The number.
        parameter: Its name.
        what: What is counted, plural.
        fewest: Smallest number that makes sense.

    Raises:
        UsageError: If it does not.
    """
    number = _whole(n)
    fits = number is not None and number >= fewest
    require(fits, parameter, f"a whole number of {what}, at least {fewest}", repr(n), f"ask for {fewest} or more")


def memory_bytes() -> int:
    """Memory of this machine, or of the container that this process runs in."""
    most = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(most, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):  # none, or no limit
        return most


def require_memory(needed: int, parameter: str, what: str) -> None:
    """Refuse a number of things that this machine can not hold, before hours are spent on them.

    Args:
        needed: Bytes they take at least.
        parameter: Of which there are too many.
        what: The things, and how many.

    Raises:
        UsageError: If they are more than the memory.
    """
    most = memory_bytes()
    require(
        needed <= most,
        parameter,
        f"few enough for the memory of this machine ({most / 1e9:.1f} GB)",
        f"{what}, which take {needed / 1e9:,.1f} GB",
        "ask for fewer",
    )


def require_mass(mass: float) -> None:
    """Refuse the probability of an interval that none has.

    Raises:
        UsageError: Unless it lies between 0 and 1.
    """
    remedy = "write 89 % as 0.89"
    require(
        isinstance(mass, int | float) and 0 < mass < 1, "mass", "between 0 and 1, both excluded", repr(mass), remedy
    )


def listed(names: Iterable[object], most: int = 8) -> str:
    """Names for a sentence: the first few, and how many there are where some are left out.

    Example:
        >>> print(listed("abcd", 2))
        a, b, … (4 in all)
    """
    every = [str(name) for name in names]
    return ", ".join(every if len(every) <= most else [*every[:most], f"… ({len(every)} in all)"])
