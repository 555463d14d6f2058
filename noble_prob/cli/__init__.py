"""``noble-prob``: one verb, one artefact each. No logic lives here; the rooms do the work.

Exit codes: 0 done; 2 wrong use, with one sentence on stderr that says what to do; 1 it failed for another reason.
Progress goes to stderr, results to stdout (``--json`` for machines) and to files. A file or folder appears under its
final name only when the verb has succeeded. Only the module of the verb that was asked for is imported.
"""

from __future__ import annotations

import difflib
import os
import signal
import sys
import threading
import traceback
import warnings
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

from noble_prob.cli.given import given, refuse_repeated
from noble_prob.cli.options import CommandError, Parser, UnprintedError
from noble_prob.errors import UsageError

VERBS = {
    "demo": "see everything at once: novel neurons and a posterior, on data that came along",
    "sample": "novel neurons of a cell and their voltages",
    "infer": "the posterior of a neuron's latent features from its recording",
    "calibrate": "a report: does the model foresee these recordings, or a population of cells?",
    "evaluate": "a decoder's errors against simulated reference traces",
    "report": "a page about a posterior that was inferred before",
    "sbc": "simulation-based calibration of the posterior itself",
    "bench": "traces per second on this machine",
    "train": "decoders, as a file says; continues where it was stopped",
    "train-npe": "the amortised posterior of a cell, for posteriors in a second",
    "simulate": "biophysical models (Arbor) under current steps",
    "populate": "a data set of perturbed models, resumable",
}

RESUMABLE: Mapping[str, Callable[[Namespace], bool]] = {
    "infer": lambda args: os.path.exists(args.out / "run.json"),  # also of a name that is too long
    "sbc": lambda args: args.json is not None,
    "train": lambda _: True,
    "train-npe": lambda _: True,
    "populate": lambda _: True,
}
"""Verbs that keep what they have done when they end early: ``infer`` of a folder, ``sbc`` beside ``--json OUT``."""
KEPT = "what is finished is kept, the same command continues"
USAGE = """usage: noble-prob VERB [options]

Probabilistic surrogates of neurons: sample plausible cells, infer a neuron from its recording, check variability.

{verbs}

Begin with:   noble-prob demo --out demo
Then yours:   noble-prob infer cell.abf --cell pvalb-689331391 --out posterior
Each verb:    noble-prob VERB --help

Exit codes: 0 done, 2 wrong use (one sentence says what), 1 failed.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb.

    Args:
        argv: Arguments after the program's name; those of the process if not given.

    Returns:
        The exit code: 0, 1 or 2.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    _open_streams()
    try:
        with _without_warnings(unless="--debug" in arguments), _terminable():
            return _dispatch(arguments)
    except (UsageError, CommandError) as error:
        return _complain(arguments, str(error), 2)
    except SystemExit as stop:  # argparse after --help
        return stop.code if isinstance(stop.code, int) else 0
    except UnprintedError as error:
        return _complain(arguments, f"{error}.", error.code)
    except KeyboardInterrupt as stop:
        return _complain(arguments, f"interrupted; {_kept(stop) or 'nothing was written'}.", 1)
    except Exception as error:
        usual = "out of memory" if isinstance(error, MemoryError) else "no message"
        what = f"failed: {type(error).__name__}: {' '.join(str(error).split()) or usual}"
        return _complain(arguments, f"{what}; {kept}." if (kept := _kept(error)) else what, 1)


def _kept(error: BaseException) -> str:
    """That what was finished is kept, where that is noted; else nothing."""
    return KEPT if KEPT in getattr(error, "__notes__", ()) else ""


def _open_streams() -> None:
    """Streams that the caller has closed (``2>&-``) swallow what is printed; Python has None in their place."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


@contextmanager
def _without_warnings(*, unless: bool) -> Iterator[None]:
    """No warnings, neither of this process nor of those that it starts."""
    if unless:
        yield
        return
    before = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = "ignore"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        os.environ.pop("PYTHONWARNINGS")
        if before is not None:
            os.environ["PYTHONWARNINGS"] = before


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM and SIGHUP end a verb as Ctrl-C does, so that drafts are cleared away; under nohup the latter does not.

    Only the main thread may ask for that.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        wanted = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) != signal.SIG_IGN]
        before = {number: signal.signal(number, signal.default_int_handler) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _dispatch(arguments: list[str]) -> int:
    """Find the verb, let it parse its options, run it."""
    verb = arguments[0] if arguments else "--help"
    if verb in ("-h", "--help", "help"):
        print(USAGE.format(verbs="\n".join(f"  {name:<10} {what}" for name, what in VERBS.items())), end="")
        return 0
    if verb == "--version":
        print(f"noble-prob {import_module('noble_prob').__version__}")
        return 0
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, 1) or ["--help"]
        raise CommandError(f"there is no verb {verb!r}; try `noble-prob {near[0]}`, or one of {', '.join(VERBS)}.")
    parser = parser_of(verb)
    args = parser.parse_args(arguments[1:])
    refuse_repeated(parser, arguments[1:])
    args.given = given(arguments[1:])
    try:
        return int(_module(verb).run(args))
    except BaseException as error:
        if RESUMABLE.get(verb, lambda _: False)(args):
            error.add_note(KEPT)
        raise


def parser_of(verb: str) -> Parser:
    """The parser of a verb with all its options."""
    module = _module(verb)
    parser = Parser.of_verb(verb, module.__doc__ or "")
    module.add_options(parser)
    parser.add_common(json_file=getattr(module, "JSON_FILE", False), device=getattr(module, "DEVICE", True))
    return parser


def _module(verb: str) -> ModuleType:
    return import_module(f"noble_prob.cli.{verb.replace('-', '_')}")


def _complain(arguments: Sequence[str], sentence: str, code: int) -> int:
    """One line on stderr, and the traceback if it was asked for."""
    if "--debug" in arguments:
        traceback.print_exc()
    verb = f" {arguments[0]}" if arguments and arguments[0] in VERBS else ""
    print(f"noble-prob{verb}: {sentence}", file=sys.stderr)
    return code
