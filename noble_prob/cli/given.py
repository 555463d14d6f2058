"""Options that were given on a command line, and the refusal of those that a call would ignore."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

from noble_prob.cli.options import CommandError


def given(arguments: Sequence[str]) -> frozenset[str]:
    """Names of the options in a command line.

    Args:
        arguments: Its words; what follows a lone ``--`` is no option.

    Example:
        >>> sorted(given(["cell.abf", "--seed=1", "--out", "here", "--", "--each"]))
        ['--out', '--seed']
    """
    words = [*arguments, "--"]
    return frozenset(word.partition("=")[0] for word in words[: words.index("--")] if word.startswith("--"))


def refuse(args: argparse.Namespace, options: Iterable[str], why: str, remedy: str) -> None:
    """Refuse options that this call would ignore.

    Args:
        args: The parsed command line, with what was ``given``.
        options: Those without a meaning here.
        why: What they are about.
        remedy: What to do, beside leaving them out.

    Raises:
        CommandError: If one of them was given.
    """
    idle = [option for option in options if option in args.given]
    if idle:
        them = "it" if len(idle) == 1 else "them"
        raise CommandError(f"{', '.join(idle)} would be ignored: {why}; leave {them} out, or {remedy}.")


def refuse_repeated(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> None:
    """Refuse an option with a value that is given twice: the last one would win without a word.

    Args:
        parser: That knows which options may come again.
        arguments: Words of the command line.

    Raises:
        CommandError: If one was.
    """
    words = [*arguments, "--"]
    names = [word.partition("=")[0] for word in words[: words.index("--")] if word.startswith("--")]
    for action in parser._actions:
        times = sum(name in action.option_strings for name in names)
        once = action.nargs != 0 and not isinstance(action, argparse._AppendAction)
        if once and times > 1:
            raise CommandError(
                f"{action.option_strings[0]} was given {times} times, and one value counts; give it once."
            )


def refuse_warmup(args: argparse.Namespace) -> None:
    """Refuse ``--warmup`` for methods without chains; where chains replace their weights, the warm-up is as usual.

    Args:
        args: The parsed command line.

    Raises:
        CommandError: If it was given.
    """
    if args.method not in ("nuts", "hmc"):
        refuse(args, ["--warmup"], f"{args.method} runs no chains that warm up", "add --method nuts or hmc")


def require_engine(args: argparse.Namespace, *, also_here: bool = False) -> None:
    """Refuse the address of a cluster that is not used, and processes that a cluster counts itself.

    Args:
        args: The parsed command line.
        also_here: Whether part of the work is done on this machine in any case.

    Raises:
        CommandError: If one of them was given.
    """
    if args.engine != "ray":
        refuse(args, ["--address"], "it is that of a Ray cluster", "add --engine ray")
    elif not also_here:
        refuse(args, ["--jobs"], "a Ray cluster counts its own processes", "drop --engine ray")
