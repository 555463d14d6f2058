"""Findings: wrong outcomes as values, each with an address, a sentence and a remedy."""

from noble_prob.findings.base import Finding, Severity

__all__ = ["Finding", "Severity"]
