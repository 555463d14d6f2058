"""What a population of neurons is believed to look like, before any recording.

A :class:`Prior` is a density over the *standardised* latent space. Whatever its kind, it ends in one torch distribution
with event shape ``(latent,)``, so the program, the samplers and the plausibility figures do not know which kind it is.
It keeps the neurons it was fitted to: "how far is this draw from any model we have seen" is a question people ask.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from pyro.distributions import TorchDistribution
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from noble_prob.errors import UsageError, require, require_count, require_kind, require_seed
from noble_prob.jobs.whole import write_atomically
from noble_prob.latent import LatentSpace, Neurons
from noble_prob.priors.rng import seeded
from noble_prob.recording.made import made_by

Kind = Literal["student", "gaussian", "mixture", "flow", "empirical"]
"""Families of priors."""

Builder = Callable[[Mapping[str, Tensor], Mapping[str, Any]], TorchDistribution]
_BUILDERS: dict[str, Builder] = {}
QUANTILE_DRAWS, QUANTILE_SEED = 8192, 20506
DAMAGE = (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, RuntimeError, SafetensorError)
"""What damaged files raise."""


def builder(kind: Kind) -> Callable[[Builder], Builder]:
    """Register how a kind's distribution is made from its tensors and settings."""

    def register(build: Builder) -> Builder:
        _BUILDERS[kind] = build
        return build

    return register


@dataclass(frozen=True, kw_only=True, eq=False)
class Prior:
    """A density over neurons.

    Attributes:
        kind: Family.
        space: Latent space whose standardised coordinates the density lives on.
        tensors: Fitted parameters by name (safetensors on disk).
        settings: Plain JSON settings of the family.
        points: Standardised latents of the neurons it was fitted to, shape ``(n, latent)``.
        labels: Their names.
        provenance: Seed and sizes; of a cell's own, ``cell`` and ``decoder_sha256``, which its draws carry on.
    """

    kind: Kind
    space: LatentSpace
    tensors: Mapping[str, Tensor]
    settings: Mapping[str, Any] = field(default_factory=dict)
    points: Float[Tensor, "n latent"]
    labels: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """One line for people."""
        return f"Prior({self.kind!r} in {self.space!r}, fitted to {len(self.points)} neurons)"

    @cached_property
    def distribution(self) -> TorchDistribution:
        """The torch distribution on standardised latents, batch shape ``()``, event shape ``(latent,)``."""
        return _BUILDERS[self.kind](self.tensors, self.settings)

    def to(self, device: str | torch.device) -> Prior:
        """The same density on a device."""
        moved = {name: value.to(device) for name, value in self.tensors.items()}
        return replace(self, tensors=moved, points=self.points.to(device))

    def log_prob(self, x: Float[Tensor, "*batch latent"]) -> Float[Tensor, "*batch"]:
        """Log density at standardised latents."""
        return self.distribution.log_prob(x)

    def sample_standardised(self, n: int, *, seed: int) -> Float[Tensor, "n latent"]:
        """Independent draws, standardised.

        Raises:
            UsageError: If ``n`` is no positive whole number, or the seed is none.
        """
        require_count(n, "n", "neurons")
        seed = require_seed(seed)
        distribution = self.distribution  # made before seeding: building a network draws numbers too
        with seeded(seed), torch.no_grad():
            return distribution.sample(torch.Size((n,)))

    def sample(self, n: int, *, seed: int) -> Neurons:
        """Novel neurons: ``n`` independent cells of the population, labelled by their number from 0.

        Args:
            n: How many.
            seed: Same seed, same neurons.
        """
        seed = require_seed(seed)
        value = self.space.unstandardise(self.sample_standardised(n, seed=seed))
        return Neurons(
            space=self.space,
            value=value,
            axis="neuron",
            labels=tuple(str(k) for k in range(n)),
            provenance={**self.carried, "seed": seed},
        )

    @property
    def carried(self) -> dict[str, Any]:
        """What results remember of it: its family, of which cell it is, if it is one's, and the package's version."""
        known = {k: self.provenance[k] for k in ("cell", "decoder_sha256") if k in self.provenance}
        return {"prior": self.kind, **known, "made_by": made_by()}

    @cached_property
    def _sorted_density(self) -> Float[Tensor, " draw"]:
        return self.log_prob(self.sample_standardised(QUANTILE_DRAWS, seed=QUANTILE_SEED)).detach().sort().values

    def quantile_of_density(self, x: Float[Tensor, "*batch latent"]) -> Float[Tensor, "*batch"]:
        """Share of the prior's own draws that are *less* dense than ``x``: 0 = far out, 1 = mode.

        One minus it is the probability content of the highest-density region whose edge passes through ``x``. Estimated
        with 8,192 draws, hence to about half a percent.
        """
        rank = torch.searchsorted(self._sorted_density, self.log_prob(x).detach().contiguous())
        return rank.to(x.dtype) / QUANTILE_DRAWS

    @cached_property
    def moments(self) -> tuple[Float[Tensor, " latent"], Float[Tensor, "latent latent"]]:
        """Mean and covariance of standardised latents (Gaussian, Student t: closed form; else from 8,192 draws)."""
        if self.kind in ("gaussian", "student"):
            tril, df = self.tensors["scale_tril"], self.tensors.get("df")
            return self.tensors["loc"], tril @ tril.T * (1.0 if df is None else df / (df - 2))
        draws = self.sample_standardised(QUANTILE_DRAWS, seed=QUANTILE_SEED)
        return draws.mean(0), torch.atleast_2d(torch.cov(draws.T))

    def save(self, folder: str | Path) -> None:
        """Write ``prior.json`` and ``prior.safetensors`` into a folder (made if missing), each whole or not at all."""
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        tensors = {f"fit.{k}": v.detach().contiguous() for k, v in self.tensors.items()}
        numbers = save({**tensors, "points": self.points.contiguous()})
        card = {
            "kind": self.kind,
            "space": self.space.to_dict(),
            "settings": dict(self.settings),
            "labels": list(self.labels),
            "provenance": dict(self.provenance),
            "tensors_sha256": hashlib.sha256(numbers).hexdigest(),
        }
        text = json.dumps(card, indent=1) + "\n"
        write_atomically(path / "prior.safetensors", numbers)  # a stop before the next line is seen by the hash
        write_atomically(path / "prior.json", text.encode())

    @classmethod
    def load(cls, folder: str | Path) -> Prior:
        """Read what :meth:`save` wrote.

        Raises:
            UsageError: If the folder holds no prior, a damaged one, or one of an unknown kind.
        """
        path = Path(folder)
        require(
            (path / "prior.json").is_file(),
            "folder",
            "a folder with prior.json and prior.safetensors",
            path,
            "pass the folder that Prior.save wrote",
        )
        try:
            return cls._read(path)
        except UsageError:
            raise
        except DAMAGE as error:
            raise UsageError(
                "folder",
                "a folder with a whole prior.json and prior.safetensors",
                f"{path} ({type(error).__name__})",
                "save the prior again",
            ) from error

    @classmethod
    def _read(cls, path: Path) -> Prior:
        """The two files as a prior."""
        card = json.loads((path / "prior.json").read_text())
        require(
            card.get("kind") in _BUILDERS,
            "kind",
            f"one of {sorted(_BUILDERS)}",
            card.get("kind"),
            "use a prior written by this version",
        )
        tensors = load(_numbers(path, card["tensors_sha256"]))
        prior = cls(
            kind=card["kind"],
            space=LatentSpace.from_dict(card["space"]),
            points=tensors["points"],
            tensors={k.removeprefix("fit."): v for k, v in tensors.items() if k.startswith("fit.")},
            settings=card["settings"],
            labels=tuple(card["labels"]),
            provenance=card["provenance"],
        )
        require(
            prior.points.ndim == 2 and prior.points.shape[1] == len(prior.space),
            "folder",
            f"a folder whose points have the {len(prior.space)} latents of prior.json",
            f"{tuple(prior.points.shape)} in {path}",
            "save the prior again",
        )
        with seeded(0):  # making a network draws numbers; the caller's are left alone
            prior.log_prob(prior.points[:1])  # fails here, not in the first sample, if a tensor is missing or misshapen
        return prior


def _numbers(path: Path, expected: str) -> bytes:
    """Content of ``prior.safetensors``, refused if its hash is another than the card's."""
    numbers = (path / "prior.safetensors").read_bytes()
    found = hashlib.sha256(numbers).hexdigest()
    require(
        found == expected,
        "folder",
        f"a folder whose prior.safetensors has SHA-256 {expected}",
        f"{found} in {path} (altered, or of another prior)",
        "save the prior again",
    )
    return numbers


def require_prior(prior: object) -> None:
    """Refuse what is no prior: a whole cell is what people try.

    Raises:
        UsageError: If it is none.
    """
    require_kind(prior, Prior, "prior", "pass cell.prior")
