"""The noun that every judgement ends in.

A :class:`Finding` says in one sentence what a user should know about a result, with the numbers it rests on and what to
do about it. A check that could not judge says so too, with severity ``"not judged"``: silence is not a pass.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["issue", "caution", "passed", "not judged"]
"""How much a finding matters; ``not judged`` means that the data could not answer."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One judgement.

    Attributes:
        code: Stable address such as ``"NP101"``; documentation and muting go by it.
        title: A few words, the same for every finding of the code.
        severity: ``issue``, ``caution``, ``passed`` or ``not judged``.
        sentence: What is the case, with units; a hyphen before a number becomes a minus sign.
        evidence: The numbers behind the sentence, JSON values.
        remedy: What the user can do, empty if nothing is needed.
    """

    code: str
    title: str
    severity: Severity
    sentence: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    remedy: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "sentence", with_minus(self.sentence))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "code": self.code,
            "title": self.title,
            "severity": self.severity,
            "sentence": self.sentence,
            "evidence": dict(self.evidence),
            "remedy": self.remedy,
        }


def with_minus(text: str) -> str:
    """A text whose negative numbers have a minus sign; dates, ranges and values of options stay as they are.

    Args:
        text: A sentence, or part of one.

    Example:
        >>> with_minus("sag at -110 pA, recorded 2019-07-24; use --current-pa -110")
        'sag at −110 pA, recorded 2019-07-24; use --current-pa -110'
    """
    return re.sub(r"(--[\w-]+ )?(?<![\w.)\]-])-(?=\d)", lambda found: found[0] if found[1] else "−", text)
