"""Wrong use, said in one sentence: the parameter, what it should be, what was found, what to do.

Wrong *outcomes* (a chain that did not mix, a recording outside the decoder's support) are not errors: they are
:class:`noble_prob.findings.Finding` values. Only wrong *use* raises.
"""

from __future__ import annotations

from collections.abc import Iterable


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


def require(condition: bool, parameter: str, expected: str, found: object, remedy: str) -> None:
    """Raise :class:`UsageError` unless ``condition`` holds.

    Raises:
        UsageError: When the condition is false.
    """
    if not condition:
        raise UsageError(parameter, expected, found, remedy)


def require_seed(seed: int) -> None:
    """Refuse a seed that generators of random numbers do not take.

    Raises:
        UsageError: Beyond 63 bits.
    """
    require(abs(seed) < 2**63, "seed", "a whole number below 2^63 in size", seed, "choose a smaller one")


def listed(names: Iterable[object], most: int = 8) -> str:
    """Names for a sentence: the first few, and how many there are where some are left out.

    Example:
        >>> print(listed("abcd", 2))
        a, b, … (4 in all)
    """
    every = [str(name) for name in names]
    return ", ".join(every if len(every) <= most else [*every[:most], f"… ({len(every)} in all)"])
