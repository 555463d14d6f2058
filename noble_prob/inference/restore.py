"""A posterior back from the DataTree that was written of it, so that it can be judged and shown again.

What the file does not hold is made anew from the decoder and the prior it belongs to (how each draw relates to the
population) or is left undefined (the latents of single predictive draws). Importance weights come back as they were.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import arviz as az
import numpy as np
import torch
from torch import Tensor

from noble_prob.decoder.base import Decoder
from noble_prob.errors import UsageError, require
from noble_prob.inference.posterior import Posterior, Predictive
from noble_prob.noise import Design, Evidence
from noble_prob.priors import Prior

KNOWN = ("method", "seed", "wall_s", "space")


def read_posterior(path: str | Path, *, decoder: Decoder, prior: Prior) -> Posterior:
    """Read a ``posterior.nc``.

    Args:
        path: The file, or the folder that holds ``posterior.nc``.
        decoder: The decoder it was inferred with.
        prior: The prior it was inferred with.

    Raises:
        UsageError: If the file is missing, damaged, or of other latents.
    """
    path = Path(path) / "posterior.nc" if Path(path).is_dir() else Path(path)
    require(path.is_file(), "path", "a posterior.nc, or a folder that holds one", f"{path.name!r}, which is not there",
            "run `noble-prob infer` first")  # fmt: skip
    try:
        tree = az.from_netcdf(str(path))
        return from_datatree(tree, decoder=decoder, prior=prior)
    except UsageError:
        raise
    except (OSError, KeyError, ValueError, RuntimeError, AttributeError) as error:
        found = f"{path.name} ({type(error).__name__})"
        raise UsageError("path", "a posterior.nc as `noble-prob infer` writes it", found, "infer again") from error


def from_datatree(tree: Any, *, decoder: Decoder, prior: Prior) -> Posterior:
    """The inverse of :func:`noble_prob.inference.export.to_datatree`.

    Args:
        tree: The DataTree.
        decoder: The decoder it was inferred with.
        prior: The prior it was inferred with.

    Raises:
        UsageError: If its latents are not the decoder's.
    """
    space, draws = decoder.space, tree["posterior"]
    missing = [name for name in space.names if name not in draws]
    require(not missing, "cell", "the cell that the posterior was inferred with", f"a posterior without {missing[:1]}",
            "pass the same --cell as to infer")  # fmt: skip
    latents = torch.stack([_tensor(draws[name]) for name in space.names], -1)
    stats = {str(name): _tensor(value) for name, value in tree["sample_stats"].data_vars.items()}
    if "log_prior" in tree.children:
        stats["log_prior"] = _tensor(tree["log_prior"]["latents"])
    weights = stats.pop("weight", None)
    attrs = dict(tree.attrs)
    standardised = space.standardise(latents)
    member = {"density_quantile": prior.quantile_of_density(standardised), "support": decoder.support(latents).double()}
    before = torch.stack([_tensor(tree["prior"][name])[0] for name in space.names], -1)
    names = decoder.summary_names
    return Posterior(
        space=space, latents=latents, weights=weights, stats=stats, membership=member,
        scales={str(n): _tensor(v) for n, v in draws.data_vars.items() if n not in space.names},
        log_likelihood=_tensor(tree["log_likelihood"]["sweeps"]), evidence=_evidence(tree, names),
        predictive=_replays(tree["posterior_predictive"], names, None),
        prior_predictive=_replays(tree["prior_predictive"], names, before),
        sweeps=tuple(tree["constant_data"]["recorded_sweep"].values.tolist()), method=str(attrs["method"]),
        seed=int(attrs["seed"]), wall_s=float(attrs["wall_s"]),
        provenance={k: v for k, v in attrs.items() if k not in KNOWN},
    )  # fmt: skip


def _evidence(tree: Any, names: tuple[str, ...]) -> Evidence:
    """What was observed."""
    given, seen = tree["constant_data"], tree["observed_data"]
    design = Design(current_pa=_tensor(given["current_pa"]), end_ms=_tensor(given["end_ms"]), summary_names=names)
    return Evidence(design=design, times_ms=_late(_tensor(seen["spike_time_ms"])),
                    summary=torch.stack([_tensor(seen[name]) for name in names], -1))  # fmt: skip


def _replays(group: Any, names: tuple[str, ...], latents: Tensor | None) -> Predictive:
    """Predictive draws; their latents where they are known."""
    times = _late(_tensor(group["spike_time_ms"])[0])
    return Predictive(
        times_ms=times, summary=torch.stack([_tensor(group[name])[0] for name in names], -1),
        latents=torch.full((len(times), 0), torch.nan, dtype=torch.float64) if latents is None else latents,
    )  # fmt: skip


def _late(times_ms: Tensor) -> Tensor:
    """Infinity where the file has NaN: behind the last spike."""
    return torch.where(torch.isfinite(times_ms), times_ms, torch.inf)


def _tensor(array: Any) -> Tensor:
    values = np.array(array.values)
    return torch.from_numpy(values if values.dtype.kind in "bi" else values.astype(np.float64))
