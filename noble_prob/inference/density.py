"""The program's log density as a function of one flat vector, for many vectors at once.

Samplers want ``U: R^d -> R``; the program has named sites with supports. A trace of the program gives names, shapes
and supports; each site is mapped to the reals (Stan's change of variables) and laid out in one vector. Conditioning
the program on the values back in its own space and adding up the sites' log densities gives the posterior, by Pyro's
handlers alone. Leading batch dimensions become plates of the program, so a batch costs one pass through the decoder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import pyro.poutine as poutine
import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Transform, biject_to

from noble_prob.inference.recorded import Recorded
from noble_prob.priors import seeded

Program = Callable[..., object]
"""A Pyro program that takes ``batch=()`` and observes its data."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """A latent site of the program.

    Attributes:
        name: Its name.
        shape: Event shape in its own space.
        free_shape: Shape in the unconstrained space.
        transform: From the unconstrained space to its own.
    """

    name: str
    shape: torch.Size
    free_shape: torch.Size
    transform: Transform


class LogDensity:
    """Unnormalised log posterior of a program on unconstrained flat vectors.

    Args:
        program: Called as ``program(batch=(...))``.
        observed: Sites that are data, for a program that draws them (whose density is then not asked for).
    """

    def __init__(self, program: Program, *, observed: Sequence[str] = ()):
        self.program = program
        with seeded(0):
            trace: Any = poutine.trace(program).get_trace(batch=())
        self.sites = tuple(
            _site(name, node["fn"], node["value"])
            for name, node in trace.nodes.items()
            if node["type"] == "sample"
            and not node["is_observed"]
            and not poutine.util.site_is_subsample(node)
            and name not in observed
        )
        self.size = sum(prod(site.free_shape) for site in self.sites)
        self._recorded = Recorded(self.__call__)

    def unpack(self, flat: Float[Tensor, "*batch size"]) -> tuple[dict[str, Tensor], Float[Tensor, "*batch"]]:
        """Values of the sites and the log Jacobian of the map to them."""
        values, log_jacobian, at = {}, flat.new_zeros(flat.shape[:-1]), 0
        for site in self.sites:
            n = prod(site.free_shape)
            free = flat[..., at : at + n].reshape(torch.Size(flat.shape[:-1]) + site.free_shape)
            values[site.name] = site.transform(free)
            jacobian = site.transform.log_abs_det_jacobian(free, values[site.name])
            log_jacobian = log_jacobian + jacobian.reshape((*flat.shape[:-1], -1)).sum(-1)
            at += n
        return values, log_jacobian

    def pack(self, values: Mapping[str, Tensor]) -> Float[Tensor, "*batch size"]:
        """Inverse of :meth:`unpack`."""
        parts = []
        for site in self.sites:
            batch = values[site.name].shape[: values[site.name].ndim - len(site.shape)]
            parts.append(site.transform.inv(values[site.name]).reshape((*batch, -1)))
        return torch.cat(parts, -1)

    def __call__(self, flat: Float[Tensor, "*batch size"]) -> Float[Tensor, "*batch"]:
        """Log density of every vector of the batch."""
        values, log_jacobian = self.unpack(flat)
        trace = self.trace(values, tuple(flat.shape[:-1]))
        total = log_jacobian
        for node in trace.nodes.values():
            if node["type"] == "sample" and not poutine.util.site_is_subsample(node):
                total = total + node["fn"].log_prob(node["value"])
        return total

    def trace(self, values: Mapping[str, Tensor], batch: tuple[int, ...]) -> Any:
        """The program run with these values of its latent sites (a Pyro trace)."""
        return poutine.trace(poutine.condition(self.program, data=dict(values))).get_trace(batch=batch)

    def gradient(
        self, flat: Float[Tensor, "*batch size"]
    ) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch size"]]:
        """Log density and its gradient; a vector where either is not finite gets minus infinity and zero."""
        value, slope = self._recorded(flat)
        good = torch.isfinite(value) & torch.isfinite(slope).all(-1)
        return torch.where(good, value, -torch.inf), torch.where(good[..., None], slope, 0.0)


def _site(name: str, fn: torch.distributions.Distribution, value: Tensor) -> Site:
    transform = biject_to(fn.support)
    return Site(name=name, shape=value.shape, free_shape=transform.inv(value).shape, transform=transform)
