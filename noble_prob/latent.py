"""Latent features: the coordinates in which neurons differ, and points in them.

A :class:`LatentSpace` names its coordinates, gives them units, and maps them one to one to a
standardised space (`standardise` / `unstandardise`) in which networks and priors work. :class:`Neurons` are weighted
points with a *named* leading axis, because three different spreads look alike and must never be mixed:

``draw``
    one neuron, many possible values: our ignorance (a posterior);
``neuron``
    many cells, one value each: their diversity (a population);
``trial``
    one cell, one value per repeat: its drift and state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.errors import listed, require, require_kind
from noble_prob.recording import Axis as Axis
from noble_prob.recording.numbers import indices, numbers

FEWEST_CELLS = 5
"""Neurons that a population needs at least, for a density to be fitted to it."""


@dataclass(frozen=True, kw_only=True)
class Latent:
    """One latent feature: a per-sweep feature, measured at one step of the standard protocol, maybe in log.

    Attributes:
        name: Short name with ``log`` and its step where several are told apart, for example ``log_mean_isi_180pa``; the
            unit is not part of it.
        unit: Unit of the value (``"mV"``, ``"ln(ms)"``).
        feature: Name of the per-sweep feature it is (see :mod:`noble_prob.features`).
        current_pa: Step of the standard protocol it is measured at (pA).
        log: Whether the value is the natural logarithm of the feature.
        defined_when: One clause that says when the feature exists.
    """

    name: str
    unit: str
    feature: str
    current_pa: float
    log: bool = False
    defined_when: str = "always"


@dataclass(frozen=True, kw_only=True, eq=False)
class LatentSpace:
    """A named coordinate system for neurons.

    Attributes:
        name: Name of the space, for example ``"features13"`` or ``"noble2"``.
        latents: Its coordinates, in order.
        mean: Centre of the training population (coordinate units), shape ``(latent,)``.
        sd: Spread of the training population (coordinate units), shape ``(latent,)``.
    """

    name: str
    latents: tuple[Latent, ...]
    mean: Float[Tensor, " latent"]
    sd: Float[Tensor, " latent"]

    def __post_init__(self) -> None:
        n = len(self.latents)
        require(
            self.mean.shape == (n,) and self.sd.shape == (n,),
            "mean",
            f"of shape ({n},) as `latents` and `sd`",
            (tuple(self.mean.shape), tuple(self.sd.shape)),
            "give one centre and one spread per latent",
        )
        require(bool((self.sd > 0).all()), "sd", "positive", self.sd.tolist(), "drop a latent that does not vary")

    def __repr__(self) -> str:
        """One line for people."""
        return f"LatentSpace({self.name!r}, {len(self)} latents)"

    def __len__(self) -> int:
        return len(self.latents)

    @property
    def names(self) -> tuple[str, ...]:
        """Coordinate names; ArviZ's ``var_names`` takes them as a list."""
        return tuple(item.name for item in self.latents)

    @property
    def units(self) -> tuple[str, ...]:
        """Coordinate units."""
        return tuple(item.unit for item in self.latents)

    def standardise(self, value: Float[Tensor, "*batch latent"]) -> Float[Tensor, "*batch latent"]:
        """Map coordinate values to the unbounded space of networks and priors (dimensionless).

        Whole numbers are taken as double precision.
        """
        value = value if value.is_floating_point() else value.double()
        return (value - self.mean.to(value)) / self.sd.to(value)

    def unstandardise(self, x: Float[Tensor, "*batch latent"]) -> Float[Tensor, "*batch latent"]:
        """Inverse of :meth:`standardise`."""
        x = x if x.is_floating_point() else x.double()
        return x * self.sd.to(x) + self.mean.to(x)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; :meth:`from_dict` restores the space."""
        return {
            "name": self.name,
            "latents": [vars(item) for item in self.latents],
            "mean": self.mean.tolist(),
            "sd": self.sd.tolist(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LatentSpace:
        """Rebuild a space written by :meth:`to_dict`."""
        return cls(
            name=data["name"],
            latents=tuple(Latent(**item) for item in data["latents"]),
            mean=torch.tensor(data["mean"], dtype=torch.float64),
            sd=torch.tensor(data["sd"], dtype=torch.float64),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Neurons:
    """Weighted points of a latent space with a named leading axis.

    Attributes:
        space: The coordinate system.
        value: Coordinate values in their units (not standardised), shape ``(n, latent)``: a tensor, which
            is not copied; arrays, tables and lists are, and whole numbers become double precision.
        axis: What the leading axis means: ``draw``, ``neuron`` or ``trial``.
        weight: Non-negative weights in any unit, shape ``(n,)``; uniform when not given.
        labels: Optional name of each point (model number, file).
        provenance: Seed, prior or method, ``made_by``, and of a cell's own ``cell`` and ``decoder_sha256``.

    Raises:
        UsageError: If values or weights are no numbers, of another shape, not finite, or negative weights; or if there
            are labels for some points only.
    """

    space: LatentSpace
    value: Float[Tensor, "n latent"]
    axis: Axis
    weight: Float[Tensor, " n"] | None = None
    labels: Sequence[str] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require(self.axis in get_args(Axis), "axis", "one of draw, neuron, trial", self.axis, "say what the points are")
        object.__setattr__(self, "value", numbers(self.value, "value"))
        require(
            self.value.ndim == 2 and self.value.shape[1] == len(self.space),
            "value",
            f"of shape (n, {len(self.space)})",
            tuple(self.value.shape),
            f"give the latents {self.space.names}",
        )
        require(
            bool(torch.isfinite(self.value).all()), "value", "finite", "NaN or infinity", "drop undefined neurons first"
        )
        require(
            len(self.labels) in (0, len(self)),
            "labels",
            f"one per point: {len(self)}",
            len(self.labels),
            "name every point, or none",
        )
        if self.weight is not None:
            self._check_weight(numbers(self.weight, "weight"))

    def _check_weight(self, weight: Tensor) -> None:
        """Refuse weights that do not belong to the points or can not be normalised."""
        object.__setattr__(self, "weight", weight)
        require(
            weight.shape == (len(self),),
            "weight",
            f"of shape ({len(self)},)",
            tuple(weight.shape),
            "give one weight per point",
        )
        fits = bool(torch.isfinite(weight).all() and (weight >= 0).all() and weight.sum() > 0)
        require(
            fits,
            "weight",
            "finite, not negative, and not all zero",
            f"a smallest of {float(weight.min()):g}" if len(weight) else "none",
            "mend the weights, or leave them out for equal ones",
        )
        require(
            bool(torch.isfinite(weight.sum())),
            "weight",
            "of a finite sum",
            f"a largest of {float(weight.max()):g}",
            "give weights of about one",
        )

    def __repr__(self) -> str:
        """One line for people."""
        weighted = "" if self.weight is None else ", weighted"
        return f"Neurons({len(self)} of axis {self.axis!r} in {self.space!r}{weighted})"

    def __len__(self) -> int:
        return len(self.value)

    @property
    def weights(self) -> Float[Tensor, " n"]:
        """Normalised weights, uniform if none were given."""
        if self.weight is None:
            return torch.full((len(self),), 1.0 / max(len(self), 1), dtype=self.value.dtype)
        return self.weight / self.weight.sum()

    def select(self, index: int | slice | Sequence[int] | Sequence[bool] | Tensor) -> Neurons:
        """Only some of the points, in the given order, with their weights and labels.

        Args:
            index: Indices of points, one index, a slice, or True and False for every point.

        Raises:
            UsageError: If an index is out of range, none is given, or a mask is not as long as there are points.
        """
        chosen = indices(index, len(self), "index", "points")
        weight = None if self.weight is None else self.weight[torch.tensor(chosen, device=self.weight.device)]
        return replace(
            self,
            value=self.value[torch.tensor(chosen, device=self.value.device)],
            weight=weight,
            labels=tuple(self.labels[i] for i in chosen) if self.labels else (),
        )

    def require_axis(self, axis: Axis, what: str) -> None:
        """Refuse points of another kind: the spreads mean different things.

        Raises:
            UsageError: If this is not a set of ``axis`` points.
        """
        require(
            self.axis == axis,
            "neurons.axis",
            f"'{axis}' for {what}",
            f"'{self.axis}'",
            "do not mix ignorance (draw), diversity (neuron) and repeats (trial)",
        )


def require_neurons(neurons: object) -> None:
    """Refuse what is no set of points: arrays and whole cells are what people try.

    Raises:
        UsageError: If it is none.
    """
    require_kind(
        neurons,
        Neurons,
        "neurons",
        "draw some, take cell.models, or put latents into Neurons(space=cell.decoder.space, value=x, axis='neuron')",
        "Neurons",
    )


def require_latents(found: LatentSpace, wanted: LatentSpace, parameter: str, expected: str, remedy: str) -> None:
    """Refuse a space whose latents have other names, or another order, than those wanted.

    Args:
        found: What was given.
        wanted: What has to be matched; centre and spread may differ.
        parameter: Name of the argument.
        expected: Whose latents these should be, in words.
        remedy: What to do.

    Raises:
        UsageError: If they differ; it names the latents that one has and the other lacks.
    """
    more = [name for name in found.names if name not in wanted.names]
    less = [name for name in wanted.names if name not in found.names]
    differences = [f"{word} {listed(names, 4)}" for word, names in (("with", more), ("without", less)) if names]
    apart = ", ".join(differences) or "in another order"
    require(found.names == wanted.names, parameter, expected, f"{len(found)} latents, {apart}", remedy)
