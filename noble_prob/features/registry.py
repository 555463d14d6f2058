"""The catalogue of features: each a name, a unit, a condition under which it exists, and a small function.

A definition takes a :class:`~noble_prob.features.sweeps.Sweeps` and gives one value per trace, NaN where undefined. The
decorator :func:`feature` enters it under the function's own name, which ends in its unit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from noble_prob.errors import UsageError
from noble_prob.features.sweeps import Sweeps

Definition = Callable[[Sweeps], Tensor]


@dataclass(frozen=True, kw_only=True)
class Needs:
    """Conditions that count and current alone decide.

    Attributes:
        spikes: Fewest spikes.
        silence: Whether it takes a sweep without spikes.
        current: Which step current it takes.
    """

    spikes: int = 0
    silence: bool = False
    current: Literal["any", "not zero", "negative"] = "any"


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One measurable property of a sweep.

    Attributes:
        name: Name with its unit, for example ``ap1_width_ms``.
        unit: Unit, empty for a pure number.
        doc: One sentence that defines it.
        defined_when: One clause that says when it exists.
        efel_name: The eFEL feature it agrees with, empty if there is none.
        needs_step: Whether it makes no sense without a current step.
        whole_step: Whether it is another number where the step is shorter, its end or every spike of it being part.
        needs: What the sweep must be or have at least; ``defined_when`` says all of it.
        compute: The definition, ``Sweeps -> (trace,)``.
    """

    name: str
    unit: str
    doc: str
    defined_when: str
    efel_name: str
    needs_step: bool
    whole_step: bool
    needs: Needs
    compute: Definition


NOTHING, SILENCE, HYPERPOLARISED = Needs(), Needs(silence=True), Needs(silence=True, current="negative")
ONE_SPIKE, TWO_SPIKES = Needs(spikes=1), Needs(spikes=2)

FEATURES: dict[str, Feature] = {}
"""Every feature by its name, in the order of the documentation."""


def of_spike(name: str) -> bool:
    """Whether a feature describes the shape of a spike rather than the membrane below threshold."""
    return name.startswith(("ap1_", "ahp_", "mean_ap_"))


def feature(
    unit: str,
    *,
    defined_when: str,
    needs: Needs = NOTHING,
    efel_name: str = "",
    needs_step: bool = True,
    whole_step: bool = False,
) -> Callable[[Definition], Definition]:
    """Enter a definition into the catalogue under its function's name; the docstring's first line is its ``doc``.

    Args:
        unit: Unit of the value.
        defined_when: One clause that says when it exists.
        needs: What of it spike count and current decide.
        efel_name: The eFEL feature it agrees with.
        needs_step: Whether it makes no sense without a current step.
        whole_step: Whether it is another number where the step is shorter.
    """

    def enter(compute: Definition) -> Definition:
        doc = (compute.__doc__ or "").strip().splitlines()[0]
        FEATURES[compute.__name__] = Feature(
            name=compute.__name__,
            unit=unit,
            doc=doc,
            defined_when=defined_when,
            efel_name=efel_name,
            needs_step=needs_step,
            whole_step=whole_step,
            needs=needs,
            compute=compute,
        )
        return compute

    return enter


def lookup(names: tuple[str, ...] | list[str] | None) -> tuple[Feature, ...]:
    """The features of these names, all of them for None.

    Raises:
        UsageError: If a name is not in the catalogue.
    """
    if names is None:
        return tuple(FEATURES.values())
    unknown = [name for name in names if name not in FEATURES]
    if unknown or not len(names):
        raise UsageError("names", f"among {', '.join(FEATURES)}", unknown or "none", "pick features from the catalogue")
    return tuple(FEATURES[name] for name in names)
