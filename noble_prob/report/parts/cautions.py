"""Why a verdict is a caution or an issue: the findings behind it in a few words each, those about the input first."""

from __future__ import annotations

from collections.abc import Iterable

from noble_prob.findings.base import Finding, with_minus

INPUT = ("NP110", "NP111")
"""Codes about the recording itself."""
PLAIN = {"NP105": "latents uninformed or less certain than before"}
"""Titles that say the contrary of a caution."""
USE = {
    "reasons": "sweeps left out",
    "until_ms": "sweeps used in part",
    "without_baseline": "nothing recorded before the step",
    "missing_before_step": "gaps before the step",
}
"""What a note about the use of the sweeps is about, by its evidence."""


def cautions(findings: Iterable[Finding]) -> str:
    """``Cautions: holding current of −40 pA (NP110), noise needed (NP106).``; empty without any.

    Args:
        findings: Of any severity, in any order.
    """
    return _named("Cautions", [f for f in findings if f.severity == "caution"])


def further_issues(findings: Iterable[Finding]) -> str:
    """``Further issues: noise needed (NP106)``; empty without any.

    Args:
        findings: Issues that were not told in full.
    """
    return _named("Further issues", findings)


def _named(what: str, findings: Iterable[Finding]) -> str:
    """Findings in a few words each, after what they are."""
    found = sorted(findings, key=lambda f: (f.code not in INPUT, f.code))
    said = dict.fromkeys(f"{_about(f)} ({f.code})" for f in found)
    return f"{what}: {', '.join(said)}." if said else ""


def _about(finding: Finding) -> str:
    """A finding in a few words."""
    held = finding.evidence.get("holding_pa")
    if held:
        ends = dict.fromkeys(f"{end:.0f}" for end in (min(held), max(held)))
        return with_minus(f"holding current of {' to '.join(ends)} pA")
    title = PLAIN.get(finding.code, finding.title)
    title = next((words for key, words in USE.items() if key in finding.evidence), title)
    return title[:1].lower() + title[1:]


def reasons(findings: Iterable[Finding]) -> str:
    """``importance weights (NP104), noise needed (NP106)``; empty without any.

    Args:
        findings: Those that are told, in any order.
    """
    return ", ".join(dict.fromkeys(f"{_about(f)} ({f.code})" for f in sorted(findings, key=lambda f: f.code)))
