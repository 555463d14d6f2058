"""Draws whose spread is no posterior's, so that what they say of latents is not judged: by NP105, NP108 and NP109."""

from __future__ import annotations

from collections.abc import Iterable

from noble_prob.findings.base import Finding
from noble_prob.inference.importance import BELIEVABLE
from noble_prob.inference.posterior import Posterior
from noble_prob.noise.chains import worst_r_hat

UNSETTLED = 1.1
"""R-hat above which the spread of chains says nothing."""


def disowned(result: Posterior) -> str:
    """Why draws are no posterior; empty where they may be one.

    Args:
        result: Weighted draws whose weights can not be believed, or chains that are far apart, or a posterior.
    """
    if "k_hat" in result.provenance and not float(result.provenance["k_hat"]) <= BELIEVABLE:
        return "the weights can not be believed (NP104)"
    if len(result.latents) > 1 and not worst_r_hat(result.latents) <= UNSETTLED:
        return "the chains have not settled (NP101)"
    return ""


def no_posterior(findings: Iterable[Finding]) -> bool:
    """Whether findings say of draws that they are no posterior: an issue of NP104, or NP105 not judged.

    Args:
        findings: About one posterior.
    """
    return any((f.code, f.severity) in (("NP104", "issue"), ("NP105", "not judged")) for f in findings)
