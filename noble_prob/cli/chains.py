"""Chains in place of draws whose weights fail: a wait of minutes, announced with its reason, or declined."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from noble_prob.cli.given import refuse


def refuse_no_chains(args: argparse.Namespace) -> None:
    """Refuse ``--no-chains`` where nothing is weighted.

    Raises:
        CommandError: If it was given with such a method.
    """
    from noble_prob.inference.task import WEIGHTED

    if args.method not in WEIGHTED:
        refuse(args, ("--no-chains",), f"{args.method} weights no draws", "add --method npe")


def fall_back(args: argparse.Namespace) -> Callable[[Any], bool]:
    """What ``infer`` asks before it runs chains: tells why on stderr, and answers as ``--no-chains`` says.

    Args:
        args: Options of the verb.
    """

    def asked(posterior: Any) -> bool:
        if not args.no_chains and not args.quiet:
            _announce(posterior)
        return not args.no_chains

    return asked


def _announce(posterior: Any) -> None:
    """One line: what failed, whether the recording is one of the population, and what can be done."""
    from noble_prob.findings.registry import load
    from noble_prob.jobs.bars import say

    file = posterior.provenance.get("recording", {}).get("file")
    (support,) = load()["NP107"].run(posterior)
    unlike = "" if support.severity == "passed" else f" {support.sentence}"
    say(
        f"{f'{file}: ' if file else ''}the quick posterior can not be trusted (Pareto k = "
        f"{posterior.provenance['k_hat']:.1f}).{unlike} Running chains, which can take minutes: Ctrl-C stops, "
        "--no-chains keeps the quick draws."
    )
