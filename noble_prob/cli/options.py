"""Options that verbs share, the types of their values, and a parser that answers in one sentence."""

from __future__ import annotations

import argparse
import math
import re
from pathlib import Path
from typing import Any, NoReturn

from noble_prob.errors import SEEDS, is_seed

DEFAULT_CELL = "pvalb-689331391"
MOST_NA = 10.0
"""Strongest step that is simulated (nA): far beyond any that a patched neuron survives."""
MOST = 10_000_000
"""Largest number of anything that can be counted: more is a slip of the finger."""
MOST_DRAWS = 1_000_000
"""Draws per chain, and recordings or neurons of a figure about shares."""
METHODS = ("nuts", "hmc", "importance", "npe", "svi")
"""Ways to sample a posterior."""
SAMPLING = ("--method", "--chains", "--warmup", "--draws", "--noiseless", "--no-chains")
READING = ("--channel", "--pulse", "--sweeps", "--ljp-mv")
"""Options that only a recording gives a meaning to."""
_NEGATIVE = re.compile(r"^-[\d.][\d.,eE+-]*$")
"""A negative number, or several with commas between: the value of an option, no option."""


class CommandError(Exception):
    """A command line that can not be understood; its text is the sentence for the user."""


class UnprintedError(Exception):
    """A result that is made and could not be printed; its text is the sentence for the user.

    Args:
        sentence: For the user.
        code: The exit code.
    """

    def __init__(self, sentence: str, code: int):
        super().__init__(sentence)
        self.code = code


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one sentence, and whose help keeps the layout of the verb's text."""

    def __init__(self, *args: Any, **keywords: Any):
        super().__init__(*args, **keywords)
        self._negative_number_matcher = _NEGATIVE

    @classmethod
    def of_verb(cls, verb: str, text: str) -> Parser:
        """The parser of a verb.

        Args:
            verb: Its name.
            text: Its module's docstring: the first line says what it does, the rest teaches.
        """
        return cls(
            prog=f"noble-prob {verb}",
            description=text.replace("``", "").strip(),
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def add_common(self, *, json_file: bool, device: bool) -> None:
        """Options of every verb.

        Args:
            json_file: Whether ``--json`` takes a file name (else it is a flag: JSON on stdout).
            device: Whether the verb computes with a decoder, and has no ``--device`` of its own.
        """
        common = self.add_argument_group("common options")
        if json_file:
            common.add_argument("--json", metavar="OUT", type=Path, default=None, help="write the result to this file")
        else:
            common.add_argument("--json", action="store_true", help="print the result as JSON on stdout")
        if device:
            common.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (cpu)")
        common.add_argument("--quiet", action="store_true", help="no progress on stderr")
        common.add_argument("--debug", action="store_true", help="show warnings, and the traceback of an error")

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        """Refuse an empty word: as a path it would be the current folder."""
        if not arg_string.strip():
            raise argparse.ArgumentError(action, f"should not be empty; found {arg_string!r}")
        return super()._get_value(action, arg_string)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one sentence."""
        raise CommandError(f"{' '.join(message.split())}; see `{self.prog} --help`.")


def add_cell(
    parser: argparse.ArgumentParser, *, default: str | None = DEFAULT_CELL, prior: bool = True, toy: bool = True
) -> None:
    """Which cell, with which prior.

    Args:
        parser: Of the verb.
        default: The cell that is taken where none is named; None where a file knows it.
        prior: Whether the verb uses the cell's prior.
        toy: Whether the toy will do.
    """
    parser.add_argument(
        "--cell",
        default=default,
        metavar="NAME",
        help=f"a shipped cell,{" 'toy'," * toy} or a checkpoint's folder ({default or 'as stored'})",
    )
    if not prior:
        parser.set_defaults(prior=None)
        return
    usual = "the stored one, else student" if default else "as stored"
    parser.add_argument(
        "--prior",
        choices=("student", "gaussian", "mixture", "flow", "empirical"),
        default=None,
        help=f"density fitted to the cell's models ({usual})",
    )


def add_sampling(parser: argparse.ArgumentParser, *, file: bool = True) -> None:
    """How a posterior is sampled, and how a recording is read.

    Args:
        parser: Of the verb.
        file: Whether the verb reads files.
    """
    parser.add_argument(
        "--method",
        choices=METHODS,
        default="nuts",
        help="nuts (the reference, about 10 to 60 s), hmc (batched), importance, npe (about 1 to 2 s), svi (nuts)",
    )
    parser.add_argument("--seed", type=seed, default=0, help="seed of everything random (0)")
    parser.add_argument("--chains", type=positive, default=4, help="chains (4)")
    parser.add_argument(
        "--warmup", type=enough, default=None, help="draws thrown away per chain of nuts and hmc (by method)"
    )
    parser.add_argument("--draws", type=enough, default=None, help="draws kept per chain, at least 4 (by method)")
    parser.add_argument(
        "--no-chains",
        action="store_true",
        help="of npe and importance keep draws whose weights fail, not to be believed, in place of minutes of chains",
    )
    if file:
        parser.add_argument("--noiseless", action="store_true", help="the recording is a simulation without noise")
        add_reading(parser)
    else:
        parser.set_defaults(noiseless=True)


def add_reading(parser: argparse.ArgumentParser) -> None:
    """What to take from a file."""
    parser.add_argument("--channel", default=None, help="voltage channel or electrode, where a file has several")
    parser.add_argument(
        "--pulse", type=pulse, default=None, help="which pulse of a sweep, from 0, or 'all' (the stimulus)"
    )
    parser.add_argument("--sweeps", default=None, metavar="LIST", help="only these sweeps, from 0, such as 0-5,8 (all)")
    parser.add_argument(
        "--ljp-mv",
        type=finite,
        default=None,
        help="liquid junction potential to subtract, where voltages are not corrected: 14 turns -60 into -74 mV (none)",
    )


def add_processes(parser: Any) -> None:
    """Where work of many parts is done.

    Args:
        parser: Of the verb, or a group of its options.
    """
    parser.add_argument("--jobs", type=positive, default=1, help="processes (1)")
    parser.add_argument("--engine", choices=("processes", "ray"), default="processes", help="where to run (processes)")
    parser.add_argument("--address", default=None, help="address of the Ray cluster (one on this machine)")


def add_out(parser: argparse.ArgumentParser, what: str) -> None:
    """Where the artefact goes."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help=what)


def load_cell(args: argparse.Namespace) -> Any:
    """The cell that the options name."""
    from noble_prob.cells import load_cell as load

    return load(args.cell, prior=args.prior, device=args.device)


def read(args: argparse.Namespace, path: Path | list[Path]) -> Any:
    """A recording, read as the options say."""
    import noble_prob as nb

    return nb.read(path, **reading(args))


def reading(args: argparse.Namespace) -> dict[str, Any]:
    """The options of :func:`add_reading` as arguments of ``read``."""
    from noble_prob.population.hof import parse_keys

    sweeps = None if args.sweeps is None else parse_keys(args.sweeps, "sweeps")
    return {
        "channel": args.channel,
        "pulse": args.pulse,
        "sweeps": sweeps,
        "liquid_junction_potential_mv": args.ljp_mv,
    }


def sampling(args: argparse.Namespace, cell: Any) -> dict[str, Any]:
    """The options of :func:`add_sampling` as arguments of ``infer``, with the cell's amortised posterior."""
    from noble_prob.cli.chains import fall_back
    from noble_prob.noise import NoisePrior

    return {
        "method": args.method,
        "seed": args.seed,
        "chains": args.chains,
        "warmup": args.warmup if args.method in ("nuts", "hmc") else None,  # a verb's own default is for chains
        "draws": args.draws,
        "noise": NoisePrior.simulated() if args.noiseless else None,
        "progress": not args.quiet,
        "estimator": cell.estimator,
        "device": args.device,
        "fall_back": fall_back(args),
    }


def positive(text: str) -> int:
    """A whole number of at least 1 and of a sound size."""
    return _number(text, int, f"a whole number of at least 1 and at most {MOST}", lambda n: 1 <= n <= MOST)


def enough(text: str) -> int:
    """A whole number of at least 4: draws of a chain that R-hat can judge."""
    return _number(text, int, f"a whole number of at least 4 and at most {MOST_DRAWS}", lambda n: 4 <= n <= MOST_DRAWS)


def several(text: str) -> int:
    """A whole number of at least 20: enough for a figure about shares."""
    expected = f"a whole number of at least 20 and at most {MOST_DRAWS}"
    return _number(text, int, expected, lambda n: 20 <= n <= MOST_DRAWS)


def whole(text: str) -> int:
    """A whole number of at least 0 and of a sound size."""
    return _number(text, int, f"a whole number of at least 0 and at most {MOST}", lambda n: 0 <= n <= MOST)


def seed(text: str) -> int:
    """A whole number that generators take: 0 to 2^63 - 1."""
    return _number(text, int, SEEDS, is_seed)


def step_na(text: str) -> list[float]:
    """Heights of current steps in nA, separated by commas; beyond 10 nA they were meant in pA."""
    heights = numbers(text)
    if any(abs(height) > MOST_NA for height in heights):
        expected = f"in nA, within -{MOST_NA:g}..{MOST_NA:g}"
        raise argparse.ArgumentTypeError(f"should be {expected}; found {text!r}; divide by 1000 if these are pA")
    return heights


def finite(text: str) -> float:
    """A finite number."""
    return _number(text, float, "a finite number", math.isfinite)


def above_zero(text: str) -> float:
    """A finite number above 0."""
    return _number(text, float, "a finite number above 0", lambda x: math.isfinite(x) and x > 0)


def pulse(text: str) -> int | str:
    """The position of a pulse, or all of them."""
    return text if text == "all" else whole(text)


def numbers(text: str) -> list[float]:
    """Finite numbers separated by commas."""
    return [finite(part) for part in text.split(",")]


def _number(text: str, kind: Any, expected: str, fits: Any) -> Any:
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not fits(value):
        raise argparse.ArgumentTypeError(f"should be {expected}; found {text!r}")
    return value
