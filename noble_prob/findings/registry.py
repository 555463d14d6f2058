"""Checks and their addresses: one file per code, each a function from a result to findings.

A check is entered under its code with :func:`check`; :func:`judge` runs every check that applies to the type of a
result. A check yields what it saw by :meth:`Check.say` and may yield nothing where it has nothing to say. Codes are
stable: NP1xx about inference, NP20x and NP21x about repeats and populations, NP22x about predictive checks, NP23x
about recalibration, NP24x about input. The number of a check that was deleted is not used again: NP222.
``docs/findings.md`` is written from this registry.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import noble_prob.findings
from noble_prob.errors import UsageError, require
from noble_prob.findings.base import Finding, Severity


@dataclass(frozen=True, kw_only=True)
class Check:
    """One question to a result.

    Attributes:
        code: Address such as ``"NP201"``.
        title: A few words.
        applies_to: Type of result it can be asked of.
        run: Yields findings.
        doc: When it fires, when it does not, when it can not judge.
    """

    code: str
    title: str
    applies_to: type
    run: Callable[[Any], Iterable[Finding]]
    doc: str


CHECKS: dict[str, Check] = {}
"""Every check by its code."""


def check(code: str, title: str, applies_to: type) -> Callable[[Callable[..., Iterable[Finding]]], Callable[..., Any]]:
    """Enter a function ``(result, say) -> findings`` under a code; ``say`` makes findings of this code.

    Args:
        code: Address, unique.
        title: A few words.
        applies_to: Type of result.
    """

    def enter(function: Callable[..., Iterable[Finding]]) -> Callable[..., Any]:
        require(code not in CHECKS, "code", "unused", code, "take the next free number")

        def say(severity: Severity, sentence: str, remedy: str = "", **evidence: Any) -> Finding:
            return Finding(
                code=code, title=title, severity=severity, sentence=sentence, evidence=evidence, remedy=remedy
            )

        CHECKS[code] = Check(
            code=code,
            title=title,
            applies_to=applies_to,
            run=lambda result: function(result, say),
            doc=inspect.cleandoc(inspect.getmodule(function).__doc__ or ""),
        )
        return function

    return enter


def load() -> dict[str, Check]:
    """All checks of this package, by code; importing a file enters its check."""
    for module in pkgutil.iter_modules(noble_prob.findings.__path__):
        if module.name.startswith("np"):
            importlib.import_module(f"noble_prob.findings.{module.name}")
    return dict(sorted(CHECKS.items()))


def judge(result: object, *, mute: Sequence[str] = ()) -> list[Finding]:
    """Everything that the checks have to say about a result.

    Args:
        result: A calibration, a predictive check, a drift, ...; of an examination, all that it has is judged.
        mute: Codes not to be asked.

    Returns:
        Findings in the order of their codes.

    Raises:
        UsageError: If no check knows this type of result, or a muted code does not exist.
    """
    checks = load()
    unknown = [code for code in mute if code not in checks]
    require(not unknown, "mute", f"codes among {', '.join(checks)}", unknown, "mute existing codes")
    fitting = [item for item in checks.values() if isinstance(result, item.applies_to)]
    if not fitting:
        return [finding for part in _parts(result, checks) for finding in judge(part, mute=mute)]
    return [finding for item in fitting if item.code not in mute for finding in item.run(result)]


def _parts(result: object, checks: dict[str, Check]) -> list[object]:
    """What an examination is made of, in the order of the codes.

    Raises:
        UsageError: If the result is none.
    """
    from noble_prob.examination import Examination  # it is heavy, and ``load`` has it by now

    if isinstance(result, Examination):
        repeats = [] if result.repeats is None else [result.repeats]
        return [result.posterior, *repeats, *result.trains, result.check]
    known = sorted({item.applies_to.__name__ for item in checks.values()})
    raise UsageError(
        "result",
        f"one result: an Examination, or one of {', '.join(known)}",
        f"a {type(result).__name__}",
        "pass what a verb has returned; of several results, judge each: [judge(one) for one in results]",
    )
