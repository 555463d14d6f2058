"""A trained conditional flow with what it belongs to, on disk as ``npe.json`` and ``npe.safetensors``.

An estimator is right about one decoder, one prior and one program. The fingerprint of the former two, a hash over
weights, error model, latent scale and the prior's parameters, is stored with it, and so are log densities of the
program (:mod:`noble_prob.inference.belongs`) and its own for a recording that is always the same
(:mod:`noble_prob.amortised.known`); all are compared before it is used. It works on the unconstrained coordinates in
which samplers move (latents, then logarithms of noise scales), scaled by the prior's centre and Cholesky factor.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from noble_prob.amortised.known import known_recording
from noble_prob.amortised.network import ConditionalFlow, Sizes
from noble_prob.amortised.tokens import tokens
from noble_prob.decoder.base import Decoder
from noble_prob.errors import UsageError, require
from noble_prob.jobs.whole import write_atomically
from noble_prob.noise import Evidence, NoisePrior
from noble_prob.priors import Prior, seeded

CARD, WEIGHTS = "npe.json", "npe.safetensors"
POINTS = 3
"""Points at which an estimator is asked for its density."""


@dataclass(frozen=True, kw_only=True)
class Estimator:
    """An amortised posterior.

    Attributes:
        network: The conditional flow.
        sites: Names of the program's latent sites with their unconstrained sizes, in order.
        summary_names: Features it looks at.
        tensors: ``centre`` and ``scale`` of the prior in unconstrained coordinates; ``feature_centre`` and
            ``feature_scale`` of the summary features.
        belongs_to: Fingerprint of decoder and prior.
        facts: How it was trained and how well it does.
        noise: Priors of the noise scales it was trained for.
        probe: Log densities of the program it was trained on.
        answers: Its own log densities when it was trained, see :meth:`asked`.
    """

    network: ConditionalFlow
    sites: tuple[tuple[str, int], ...]
    summary_names: tuple[str, ...]
    tensors: Mapping[str, Tensor]
    belongs_to: str
    facts: Mapping[str, Any]
    noise: NoisePrior
    probe: tuple[float, ...]
    answers: tuple[float, ...] = ()

    def __repr__(self) -> str:
        """One line for people."""
        size = sum(p.numel() for p in self.network.parameters())
        return f"Estimator({sum(n for _, n in self.sites)} numbers of the program, {size:,} weights)"

    @torch.no_grad()
    def given(self, evidence: Evidence) -> Conditional:
        """Its density for the sweeps of a recording, or of every recording of a batch.

        Args:
            evidence: On any device; the network follows.
        """
        device = evidence.times_ms.device
        rows, real = tokens(evidence, self.tensors["feature_centre"], self.tensors["feature_scale"])
        network, lead = self.network.to(device), rows.shape[:-2]
        context = network.encode(rows.reshape(-1, *rows.shape[-2:]), real.reshape(-1, real.shape[-1]))
        mean, factor = network.moments(context)
        base = self.tensors["scale"].to(device)
        centre = self.tensors["centre"].to(device) + mean.to(base) @ base.T
        scale = base @ factor.to(base)
        return Conditional(flow=network.flow(context), centre=centre, scale=scale, lead=lead)

    @torch.no_grad()
    def asked(self) -> tuple[float, ...]:
        """Its log densities at fixed points for a fixed recording, on the processor wherever it works otherwise.

        The weights being the same, they are others if sweeps are now told to the network in another way.
        """
        centre, scale = self.tensors["centre"].cpu(), self.tensors["scale"].cpu()
        evidence = known_recording(self.summary_names, self.tensors["feature_centre"], self.tensors["feature_scale"])
        wave = torch.arange(POINTS * len(centre), dtype=centre.dtype).reshape(POINTS, -1)
        return tuple(self.given(evidence).log_prob(centre + 0.5 * torch.sin(wave) @ scale.T).tolist())

    def save(self, folder: str | Path) -> None:
        """Write card and weights, each whole or not at all.

        Args:
            folder: Made if missing.
        """
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        parts = {f"net.{k}": v.detach().cpu().contiguous() for k, v in self.network.state_dict().items()}
        weights = save({**parts, **{k: v.cpu().contiguous() for k, v in self.tensors.items()}})
        card = {
            "sizes": asdict(self.network.sizes),
            "sites": [list(site) for site in self.sites],
            "summary_names": list(self.summary_names),
            "belongs_to": self.belongs_to,
            "weights_sha256": hashlib.sha256(weights).hexdigest(),
            "facts": dict(self.facts),
            "noise": asdict(self.noise),
            "probe": list(self.probe),
            "answers": list(self.answers),
        }
        write_atomically(path / WEIGHTS, weights)  # first: with a card of others they are refused, without one not used
        write_atomically(path / CARD, (json.dumps(card, indent=1) + "\n").encode())

    @classmethod
    def load(cls, folder: str | Path) -> Estimator:
        """Read what :meth:`save` wrote.

        Raises:
            UsageError: If a file is missing, damaged or altered.
        """
        path = Path(folder)
        remedy = "train it again with `noble-prob train-npe`, or delete both files"
        there = (path / CARD).is_file() and (path / WEIGHTS).is_file()
        require(there, "estimator", f"a folder with {CARD} and {WEIGHTS}", path.name, remedy)
        try:
            card, weights = json.loads((path / CARD).read_text()), (path / WEIGHTS).read_bytes()
            digest = hashlib.sha256(weights).hexdigest()
            require(digest == card["weights_sha256"], "estimator", "unaltered weights", f"{digest[:12]}...", remedy)
            return _built(card, load(weights))
        except UsageError:
            raise
        except (AttributeError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
            why = " ".join(str(error).split())[:100]
            raise UsageError(
                "estimator", f"a {CARD} that fits its weights", f"{type(error).__name__}: {why}", remedy
            ) from error


@dataclass(frozen=True, kw_only=True)
class Conditional:
    """The density of an estimator for given sweeps, in unconstrained coordinates.

    Attributes:
        flow: zuko's distribution of the white coordinates, batch ``(recording,)``.
        centre: Mean of its Gaussian, shape ``(recording, size)``.
        scale: Factor of its covariance, shape ``(recording, size, size)``.
        lead: Shape of the batch of recordings, ``()`` for one.
    """

    flow: Any
    centre: Float[Tensor, "recording size"]
    scale: Float[Tensor, "recording size size"]
    lead: torch.Size

    @property
    def moments(self) -> tuple[Float[Tensor, "*recording size"], Float[Tensor, "*recording size size"]]:
        """Centre and factor, in the shape of the batch."""
        return self.centre.reshape(*self.lead, -1), self.scale.reshape(*self.lead, *self.scale.shape[-2:])

    @torch.no_grad()
    def sample(self, n: int, *, seed: int) -> Float[Tensor, "draw *recording size"]:
        """Draws.

        Args:
            n: For every recording.
            seed: Of the draws.
        """
        with seeded(seed):
            white = self.flow.sample((n,)).to(self.centre)
        flat = self.centre + (self.scale @ white.unsqueeze(-1)).squeeze(-1)
        return flat.reshape(n, *self.lead, -1)

    @torch.no_grad()
    def log_prob(self, flat: Float[Tensor, "draw *recording size"]) -> Tensor:
        """Log density, shape ``(draw, *recording)``."""
        off = (flat.reshape(len(flat), -1, flat.shape[-1]) - self.centre).unsqueeze(-1)
        white = torch.linalg.solve(self.scale, off).squeeze(-1)
        value = self.flow.log_prob(white.to(torch.float32)).to(flat) - torch.linalg.slogdet(self.scale).logabsdet
        return value.reshape(flat.shape[:-1])


def _built(card: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Estimator:
    """An estimator from its card and weights."""
    network = new_network(Sizes(**card["sizes"]))
    network.load_state_dict({k[4:]: v for k, v in tensors.items() if k.startswith("net.")})
    return Estimator(
        network=network.eval().requires_grad_(False),
        sites=tuple((n, s) for n, s in card["sites"]),
        summary_names=tuple(card["summary_names"]),
        belongs_to=card["belongs_to"],
        facts=card["facts"],
        tensors={k: v for k, v in tensors.items() if not k.startswith("net.")},
        noise=NoisePrior.from_dict(card["noise"]),
        probe=tuple(card["probe"]),
        answers=tuple(card["answers"]),
    )


def new_network(sizes: Sizes, *, seed: int = 0) -> ConditionalFlow:
    """An untrained network; the caller's random state stays as it is.

    Args:
        sizes: Of its parts.
        seed: Of its weights.
    """
    with seeded(seed):
        return ConditionalFlow(sizes)


def fingerprint(decoder: Decoder, prior: Prior) -> str:
    """SHA-256 over everything that shapes the posterior: decoder, its error model, latent scale, prior.

    Args:
        decoder: Any; the weights of a network, the printed form of another.
        prior: Any.
    """
    total = hashlib.sha256()
    parts: dict[str, Any] = {"prior": prior.kind, "settings": dict(prior.settings), **prior.tensors}
    parts |= {"space": decoder.space.to_dict(), "summary": decoder.summary_names, **vars(decoder.error)}
    if isinstance(decoder, nn.Module):
        parts |= {f"net.{k}": v for k, v in decoder.state_dict().items() if not k.startswith("operator.")}
    for name in sorted(parts):
        value = parts[name]
        total.update(name.encode())
        if isinstance(value, Tensor):
            total.update(value.detach().to("cpu", torch.float32).contiguous().numpy().tobytes())
        elif name != "_metadata":
            total.update(json.dumps(value, sort_keys=True, default=str).encode())
    return total.hexdigest()
