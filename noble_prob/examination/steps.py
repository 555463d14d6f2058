"""Which features a current step can not give: a depolarising one has no sag, a hyperpolarising one no spike.

A feature that no neuron of an ensemble has because the step is of the wrong sign says nothing about the ensemble. One
that the step could give, and that none has all the same, does.
"""

from __future__ import annotations

import numpy as np

from noble_prob.calibration import FeatureTable
from noble_prob.features.registry import FEATURES, NOTHING, Needs
from noble_prob.latent import LatentSpace


def lacking(name: str, current_pa: float) -> str:
    """What kind of step a feature needs that this one is not; empty where the feature can exist.

    Args:
        name: Of a feature.
        current_pa: The step (pA).

    Example:
        >>> lacking("sag_mv", 180.0), lacking("sag_mv", -110.0), lacking("ap1_width_ms", -110.0)
        ('a hyperpolarising step', '', 'a step that elicits spikes')
    """
    needs = _needs(name)
    if needs.current == "negative" and current_pa >= 0:
        return "a hyperpolarising step"
    if needs.silence and current_pa > 0:
        return "a step without spikes, such as a hyperpolarising one"
    if needs.spikes and current_pa < 0:
        return "a step that elicits spikes"
    return ""


def _needs(name: str) -> Needs:
    return FEATURES[name].needs if name in FEATURES else NOTHING


def impossible(rows: FeatureTable, current_pa: float, space: LatentSpace) -> dict[str, str]:
    """Features that no row has because the step can not give them, each with the reason and a way out.

    Args:
        rows: An ensemble's features at the step.
        current_pa: The step (pA).
        space: The ensemble's latents, which keep their own steps.
    """
    found = {}
    for name in rows.names:
        needs = lacking(name, current_pa)
        if needs and name not in space.names and not np.isfinite(rows.column(name)).any():
            found[name] = (
                f"{name} does not exist at {current_pa:+g} pA (it needs {needs}): left out; {_way_out(name, space)}"
            )
    return found


def _way_out(name: str, space: LatentSpace) -> str:
    """The latent that is this feature at its own step, and the current that gives the feature."""
    of = [latent for latent in space.latents if latent.feature == name]
    step = f"{of[0].current_pa:g}" if of else "-110" if _needs(name).silence else "180"
    plain = [latent for latent in of if not latent.log]
    column = f"the column `{plain[0].name}` (the latent, measured at {step} pA) or " if plain else ""
    return f"use {column}--current-pa {step}"
