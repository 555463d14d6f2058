"""Probabilistic neural-operator surrogates of neurons.

The public surface is what ``__all__`` names. Each name is imported from its room when it is first asked for, so that
``import noble_prob`` costs nothing and a machine that only simulates needs no probabilistic libraries.

Example:
    >>> import noble_prob as nb
    >>> protocol = nb.Protocol.step_family([-110.0, 180.0])
    >>> protocol.amplitudes_pa.tolist()
    [-110.0, 180.0]
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from noble_prob.calibration import FeatureTable, calibrate_population, calibrate_repeats, compare_experiments
    from noble_prob.calibration.left_out import check_left_out
    from noble_prob.calibration.trials import fit_trials, trial_model
    from noble_prob.cells import Cell, load_cell
    from noble_prob.ensemble import draw, respond
    from noble_prob.errors import UsageError
    from noble_prob.evaluation import evaluate
    from noble_prob.examination import Examination, examine
    from noble_prob.features import fi_curve, find_spikes, measure
    from noble_prob.findings.base import Finding
    from noble_prob.findings.registry import judge
    from noble_prob.inference import Posterior, from_pyro, infer, infer_population, read_posterior
    from noble_prob.latent import LatentSpace, Neurons
    from noble_prob.noise import NoisePrior, TrialModel
    from noble_prob.population.simulate import simulate
    from noble_prob.priors import Prior, fit_prior, plausibility
    from noble_prob.readers import from_arrays, read
    from noble_prob.recording import Protocol, Recording, Step
    from noble_prob.report.render import render
    from noble_prob.runs.infer_many import infer_many

_HOME = {
    "recording": "Protocol Recording Step",
    "readers": "read from_arrays",
    "features": "measure find_spikes fi_curve",
    "latent": "LatentSpace Neurons",
    "noise": "NoisePrior TrialModel",
    "population.simulate": "simulate",
    "priors": "Prior fit_prior plausibility",
    "cells": "Cell load_cell",
    "inference": "Posterior infer infer_population read_posterior from_pyro",
    "ensemble": "draw respond",
    "evaluation": "evaluate",
    "calibration": "FeatureTable calibrate_repeats calibrate_population compare_experiments",
    "calibration.trials": "fit_trials trial_model",
    "findings.base": "Finding",
    "findings.registry": "judge",
    "calibration.left_out": "check_left_out",
    "examination": "Examination examine",
    "report": "render",
    "runs": "infer_many",
    "errors": "UsageError",
}
_ROOM = {name: room for room, names in _HOME.items() for name in names.split()}

__all__ = [
    "Cell",
    "Examination",
    "FeatureTable",
    "Finding",
    "LatentSpace",
    "Neurons",
    "NoisePrior",
    "Posterior",
    "Prior",
    "Protocol",
    "Recording",
    "Step",
    "TrialModel",
    "UsageError",
    "calibrate_population",
    "calibrate_repeats",
    "check_left_out",
    "compare_experiments",
    "draw",
    "evaluate",
    "examine",
    "fi_curve",
    "find_spikes",
    "fit_prior",
    "fit_trials",
    "from_arrays",
    "from_pyro",
    "infer",
    "infer_many",
    "infer_population",
    "judge",
    "load_cell",
    "measure",
    "plausibility",
    "read",
    "read_posterior",
    "render",
    "respond",
    "simulate",
    "trial_model",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its room when it is asked for."""
    if name == "__version__":
        return import_module("importlib.metadata").version("noble_prob")
    if name not in _ROOM:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOM[name]}"), name)


def __dir__() -> list[str]:
    """The public names."""
    return sorted([*__all__, "__version__"])
