"""A posterior back from the DataTree that was written of it, so that it can be judged and shown again.

What the file does not hold is made anew from the decoder and the prior it belongs to: how each draw relates to the
population.
"""

from __future__ import annotations

import io
import json
from functools import partial
from pathlib import Path
from typing import Any

import arviz as az
import numpy as np
import torch
from torch import Tensor

from noble_prob.decoder.base import Decoder
from noble_prob.errors import UsageError, require
from noble_prob.findings.base import Finding
from noble_prob.inference.density import LogDensity
from noble_prob.inference.posterior import Posterior, Predictive
from noble_prob.inference.predict import likelihoods, shuffled
from noble_prob.noise import Design, Evidence, NoisePrior
from noble_prob.priors import Prior
from noble_prob.program import program

KNOWN = ("method", "seed", "wall_s", "space", "notes")
FILE = "posterior.nc"
"""Name of the file in the folder of a posterior."""
AGREED = 0.05
"""Largest difference of log densities (nats) computed then and now: hardware rounds, another density is far off."""
PROBED = 8
"""Draws whose likelihood is computed again."""


def stored(path: str | Path) -> dict[str, Any]:
    """How a stored posterior was made: the attributes of its file, among them ``cell``, ``prior`` and ``method``.

    Args:
        path: The file, or the folder that holds ``posterior.nc``.

    Raises:
        UsageError: If the file is missing or damaged.
    """
    tree = _open(path)
    try:
        return _attributes(tree)
    except ValueError as error:
        raise _damaged(path, error) from error


def read_posterior(path: str | Path, *, decoder: Decoder, prior: Prior) -> Posterior:
    """Read a ``posterior.nc``.

    Args:
        path: The file, or the folder that holds ``posterior.nc``.
        decoder: The decoder it was inferred with.
        prior: The prior it was inferred with.

    Raises:
        UsageError: If the file is missing, damaged, or was inferred with another decoder or prior.
    """
    tree = _open(path)
    try:
        return from_datatree(tree, decoder=decoder, prior=prior)
    except UsageError:
        raise
    except (KeyError, ValueError, TypeError, IndexError, RuntimeError, AttributeError) as error:
        raise _damaged(path, error) from error


def _open(path: str | Path) -> Any:
    """The DataTree of a file, or of the folder that holds it.

    From a copy in memory: the tree keeps what it was read from open, and HDF5 writes no file that is open.
    """
    path = Path(path) / FILE if Path(path).is_dir() else Path(path)
    require(
        path.is_file(),
        "path",
        "a posterior.nc, or a folder that holds one",
        f"{path.name!r}, which is not there",
        "run `noble-prob infer` first",
    )
    try:
        return az.from_netcdf(io.BytesIO(path.read_bytes()))
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        raise _damaged(path, error) from error


def _damaged(path: str | Path, error: Exception) -> UsageError:
    found = f"{Path(path).name} ({type(error).__name__})"
    return UsageError("path", "a posterior.nc as `noble-prob infer` writes it", found, "infer again")


def from_datatree(tree: Any, *, decoder: Decoder, prior: Prior) -> Posterior:
    """The inverse of :func:`noble_prob.inference.export.to_datatree`.

    Args:
        tree: The DataTree.
        decoder: The decoder it was inferred with.
        prior: The prior it was inferred with.

    Raises:
        UsageError: If it was inferred with another decoder or prior: other latents, or other densities of its draws.
    """
    space, draws = prior.space, tree["posterior"]
    _require_latents(space.names, draws)
    latents = torch.stack([_tensor(draws[name]) for name in space.names], -1)
    stats = {str(name): _tensor(value) for name, value in tree["sample_stats"].data_vars.items()}
    stats["log_prior"] = _tensor(tree["log_prior"]["latents"])
    attrs = _attributes(tree)
    standardised = space.standardise(latents)
    member = {"density_quantile": prior.quantile_of_density(standardised), "support": decoder.support(latents).double()}
    before = torch.stack([_tensor(tree["prior"][name])[0] for name in space.names], -1)
    names = decoder.summary_names
    posterior = Posterior(
        space=space,
        latents=latents,
        stats=stats,
        membership=member,
        scales={str(n): _tensor(v) for n, v in draws.data_vars.items() if n not in space.names},
        log_likelihood=_tensor(tree["log_likelihood"]["sweeps"]),
        evidence=_evidence(tree, names),
        predictive=_replays(tree["posterior_predictive"], names, latents, paired=True),
        prior_predictive=_replays(tree["prior_predictive"], names, before[None], paired=False),
        sweeps=tuple(tree["constant_data"]["recorded_sweep"].values.tolist()),
        method=str(attrs["method"]),
        seed=int(attrs["seed"]),
        wall_s=float(attrs["wall_s"]),
        provenance={k: v for k, v in attrs.items() if k not in KNOWN},
        notes=tuple(Finding(**note) for note in attrs.get("notes", ())),
    )
    require_same_densities(posterior, decoder, prior)
    return posterior


def _require_latents(names: tuple[str, ...], draws: Any) -> None:
    """Refuse a posterior over other latents."""
    missing = [name for name in names if name not in draws]
    require(
        not missing,
        "cell",
        "the cell that the posterior was inferred with",
        f"a posterior without {missing[:1]}",
        "pass the same --cell as to infer",
    )


def require_same_densities(posterior: Posterior, decoder: Decoder, prior: Prior) -> None:
    """Refuse a decoder and a prior that give the draws other densities than were stored with them.

    Args:
        posterior: Draws and what was stored with them.
        decoder: Taken for the one it was inferred with.
        prior: Likewise.

    Raises:
        UsageError: If one of them is another.
    """
    z = posterior.standardised
    require(
        _near(prior.log_prob(z), posterior.stats["log_prior"]),
        "prior",
        f"the prior it was inferred with ({posterior.provenance.get('prior', 'unknown')})",
        f"another density ({prior.kind})",
        "pass the same --cell and --prior as to infer, or infer again",
    )
    pick = torch.linspace(0, z.shape[1] - 1, min(PROBED, z.shape[1])).long()
    values = {"z": z[:1, pick], **{name: draws[:1, pick] for name, draws in posterior.scales.items()}}
    evidence, robust = posterior.evidence, bool(posterior.provenance["robust"])
    noise = NoisePrior.from_dict(posterior.provenance["noise_prior"])
    density = LogDensity(partial(program, decoder, prior, evidence.design, evidence, noise=noise, robust=robust))
    now, _ = likelihoods(density, values, evidence)
    require(
        _near(now, posterior.log_likelihood[:1, pick]),
        "cell",
        "the cell that the posterior was inferred with",
        "a decoder that gives its draws another likelihood",
        "pass the same --cell as to infer, or infer again",
    )


def _near(now: Tensor, then: Tensor) -> bool:
    return torch.allclose(now.cpu(), then, rtol=1e-3, atol=AGREED)


def _attributes(tree: Any) -> dict[str, Any]:
    """Attributes of the file as plain values; what was written as JSON is read as such."""
    return {str(name): _plain(value) for name, value in tree.attrs.items()}


def _plain(value: Any) -> Any:
    """One attribute: the files' own numbers are NumPy's."""
    if isinstance(value, str):
        return json.loads(value) if value[:1] in ("[", "{") or value in ("true", "false", "null") else value
    return value.item() if isinstance(value, np.generic) else value


def _evidence(tree: Any, names: tuple[str, ...]) -> Evidence:
    """What was observed."""
    given, seen = tree["constant_data"], tree["observed_data"]
    design = Design(current_pa=_tensor(given["current_pa"]), end_ms=_tensor(given["end_ms"]), summary_names=names)
    return Evidence(
        design=design,
        times_ms=_late(_tensor(seen["spike_time_ms"])),
        summary=torch.stack([_tensor(seen[name]) for name in names], -1),
    )


def _replays(group: Any, names: tuple[str, ...], latents: Tensor, *, paired: bool) -> Predictive:
    """Predictive draws in the order that they had, with the latents of their chain and draw."""
    chain, draw = (_tensor(group.coords[name]) for name in ("chain", "draw"))
    place = (latents.shape[1] * chain[:, None] + draw).long().flatten()
    order = shuffled(len(place)) if paired else torch.arange(len(place))
    return Predictive(
        times_ms=_late(_tensor(group["spike_time_ms"]).flatten(0, 1))[order],
        summary=torch.stack([_tensor(group[name]).flatten(0, 1) for name in names], -1)[order],
        latents=latents.flatten(0, 1)[place[order]],
        made_from=place[order] if paired else None,
    )


def _late(times_ms: Tensor) -> Tensor:
    """Infinity where the file has NaN: behind the last spike."""
    return torch.where(torch.isfinite(times_ms), times_ms, torch.inf)


def _tensor(array: Any) -> Tensor:
    values = np.array(array.values)
    return torch.from_numpy(values if values.dtype.kind in "bi" else values.astype(np.float64))
