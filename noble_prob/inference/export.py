"""A posterior as an ArviZ DataTree on disk, and as plain JSON.

Groups: ``posterior`` (latents in their units, noise scales), ``sample_stats`` (among them ``log_likelihood``, that of
all sweeps together), ``log_prior`` (of the latents), ``log_likelihood`` (per sweep),
``posterior_predictive`` and ``prior_predictive`` (spike counts, times, summary features), ``prior`` (latents), and
``observed_data``. A replay bears the chain and draw that it was made with, in ``posterior_predictive`` those of some
draws of ``posterior``, in ``prior_predictive`` those of ``prior``: what is aligned belongs together. Units are in the
attributes of every variable. The JSON names, per latent, mean, SD, 89 % interval, R-hat and effective sample sizes,
with names that other programs may rely on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import arviz as az
import numpy as np
import torch
from torch import Tensor

from noble_prob.findings.base import Finding
from noble_prob.inference.agreement import judged, record
from noble_prob.inference.looked import looked_at
from noble_prob.inference.posterior import Posterior, Predictive

SCALE_UNITS = {
    "decoder_excess": "1",
    "phase_diffusion": "spikes/sqrt(s)",
    "trial_timing": "1",
    "trial_rate": "1",
    "trial_rest": "usual SDs",
    "trial_passive": "usual SDs",
    "trial_shape": "usual SDs",
}
MASS = 0.89


def convergence(posterior: Posterior) -> dict[str, dict[str, float | None]]:
    """R-hat, bulk and tail effective sample size of every latent and noise scale (Vehtari et al. 2021).

    Args:
        posterior: What to judge; every number is None for a single chain.

    Returns:
        ``{name: {"r_hat", "ess_bulk", "ess_tail"}}``.
    """
    chains = len(posterior.latents)
    draws = judged(posterior.latents, posterior.scales)
    none: dict[str, float | None] = dict.fromkeys(("r_hat", "ess_bulk", "ess_tail"))
    rows = [{**none, **row} for row in record(draws)] if chains > 1 else [none] * draws.shape[-1]
    return dict(zip((*posterior.space.names, *posterior.scales), rows, strict=True))


def to_json(posterior: Posterior, findings: Sequence[Finding] = ()) -> dict[str, Any]:
    """The content of ``posterior.json``.

    Args:
        posterior: The posterior.
        findings: Judgements to list after the notes on the input.

    Returns:
        JSON values: ``latents`` (per latent ``unit``, ``mean``, ``sd``, ``interval_89``, ``r_hat``, ``ess_bulk``,
        ``ess_tail``, ``contraction``; ``interval_89_ms`` where the unit is ``ln(ms)``), ``noise``, ``wall_s``,
        ``window_ms`` (what was looked at of each step), ``looked_at`` (``first 400 ms of 1000 ms steps``, empty where
        all of it was), ``findings``, and how it was made.
    """
    chains = convergence(posterior)
    noise = {
        name: {"unit": SCALE_UNITS.get(name, ""), **_moments(value), **chains[name]}
        for name, value in posterior.scales.items()
    }
    return {
        "method": posterior.method,
        "seed": posterior.seed,
        "wall_s": posterior.wall_s,
        "latents": _latents(posterior, chains),
        "noise": noise,
        "sweeps": list(posterior.sweeps),
        "current_pa": posterior.evidence.design.current_pa.tolist(),
        "window_ms": posterior.evidence.design.end_ms.tolist(),
        "looked_at": looked_at(posterior),
        "provenance": dict(posterior.provenance),
        "divergences": int(posterior.stats["diverging"].sum()) if "diverging" in posterior.stats else 0,
        "findings": [finding.to_dict() for finding in (*posterior.notes, *findings)],
    }


def _latents(posterior: Posterior, record: Mapping[str, Mapping[str, float | None]]) -> dict[str, dict[str, Any]]:
    """What is told of every latent, by name, with the record of its chains."""
    interval, contraction = posterior.interval(MASS), posterior.contraction().tolist()
    mean, sd = posterior.mean(), posterior.covariance().diagonal().sqrt()
    return {
        latent.name: {
            "unit": latent.unit,
            "mean": float(mean[k]),
            "sd": float(sd[k]),
            "interval_89": interval[:, k].tolist(),
            **({"interval_89_ms": interval[:, k].exp().tolist()} if latent.unit == "ln(ms)" else {}),
            **record[latent.name],
            "contraction": contraction[k],
        }
        for k, latent in enumerate(posterior.space.latents)
    }


def to_datatree(posterior: Posterior) -> Any:
    """The posterior as a DataTree; ``.to_netcdf(path)`` writes it, ``arviz.from_netcdf`` reads it.

    Args:
        posterior: The posterior.

    Returns:
        The groups that the module names. Latents are variables of the group ``posterior``, with their unit in the
        attribute ``units``; ArviZ takes their names as a list, ``var_names=list(posterior.space.names)[:3]``.
    """
    columns = {name: _array(posterior.latents[..., k]) for k, name in enumerate(posterior.space.names)}
    before = _array(posterior.prior_predictive.latents[None])
    stats = {name: _array(value) for name, value in posterior.stats.items()}
    density = {"log_prior": {"latents": stats.pop("log_prior")}} if "log_prior" in stats else {}
    tree = az.from_dict(
        {
            **density,
            "posterior": {**columns, **{name: _array(value) for name, value in posterior.scales.items()}},
            "sample_stats": stats,
            "prior": {name: before[..., k] for k, name in enumerate(posterior.space.names)},
        }
    )
    for name, group in _responses(posterior).children.items():  # apart: a feature may bear the name of a latent
        tree[name] = group
    _annotate(tree, posterior)
    return tree


def _moments(value: Tensor) -> dict[str, Any]:
    """Mean, SD and interval of the draws of one number."""
    tails = torch.tensor([(1 - MASS) / 2, (1 + MASS) / 2]).to(value)
    return {"mean": float(value.mean()), "sd": float(value.std()), "interval_89": torch.quantile(value, tails).tolist()}


def _responses(posterior: Posterior) -> Any:
    """The groups whose variables have sweeps."""
    e, after, before = posterior.evidence, posterior.predictive, posterior.prior_predictive
    names = e.design.summary_names
    width = max(p.times_ms.shape[-1] for p in (e, after, before))
    seen = Predictive(times_ms=e.times_ms[None], summary=e.summary[None], latents=torch.zeros(1, 0))
    data = {
        "log_likelihood": {"sweeps": _array(posterior.log_likelihood)},
        "prior_predictive": _replays(before, names, width),
        "observed_data": {name: value[0, 0] for name, value in _replays(seen, names, width).items()},
        "constant_data": {
            "current_pa": _array(e.design.current_pa),
            "end_ms": _array(e.design.end_ms),
            "recorded_sweep": np.array(posterior.sweeps),
        },
    }
    dims = {name: ["sweep"] for name in ("spike_count", "current_pa", "end_ms", "recorded_sweep", "sweeps", *names)}
    coords = {"sweep": list(range(len(e.design))), "spike": list(range(1, width + 1))}
    dims["spike_time_ms"] = ["sweep", "spike"]
    tree = az.from_dict(data, dims=dims, coords=coords)
    chains, draws = posterior.latents.shape[:2] if after.made_from is not None else (1, len(after.latents))
    replays = _replays(after, names, width, chains)
    place = range(draws) if after.made_from is None else (after.made_from % draws).unique().tolist()
    paired = az.from_dict({"posterior_predictive": replays}, dims=dims, coords={**coords, "draw": list(place)})
    tree["posterior_predictive"] = paired["posterior_predictive"]
    return tree


def _array(value: Tensor) -> np.ndarray:
    return value.detach().cpu().numpy()


def _replays(p: Predictive, names: Sequence[str], width: int, chains: int = 1) -> dict[str, np.ndarray]:
    """Counts, spike times (NaN behind the last) and features, chain and draw in front, in the order of these."""
    order = torch.arange(len(p.times_ms)) if p.made_from is None else p.made_from.argsort()
    times = torch.nn.functional.pad(p.times_ms, (0, width - p.times_ms.shape[-1]), value=torch.inf)
    out = {"spike_count": p.counts, "spike_time_ms": torch.where(times < 1e9, times, torch.nan)}
    out |= {name: p.summary[..., k] for k, name in enumerate(names)}
    return {name: _array(value[order].unflatten(0, (chains, -1))) for name, value in out.items()}


def _annotate(tree: Any, posterior: Posterior) -> None:
    """Units of every variable, and how the whole was made."""
    units = dict(zip(posterior.space.names, posterior.space.units, strict=True)) | SCALE_UNITS
    units |= {"spike_count": "1", "spike_time_ms": "ms after onset", "current_pa": "pA", "end_ms": "ms after onset"}
    units |= {name: _unit(name) for name in posterior.evidence.design.summary_names if name not in units}
    for group in tree.children.values():
        for name, variable in group.data_vars.items():
            if str(name) in units:
                variable.attrs["units"] = units[str(name)]
    tree.attrs.update(
        _flat(
            {
                "method": posterior.method,
                "seed": posterior.seed,
                "wall_s": posterior.wall_s,
                "space": posterior.space.name,
                **posterior.provenance,
                "notes": [note.to_dict() for note in posterior.notes],
            }
        )
    )


def _unit(name: str) -> str:
    """Unit of a feature from the end of its name."""
    return {"mv": "mV", "ms": "ms", "hz": "Hz", "pa": "pA", "mohm": "MOhm"}.get(name.rsplit("_", 1)[-1], "1")


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """Values that netCDF attributes can hold: numbers and words; all else as JSON, truth values too."""
    plain = {k: isinstance(v, int | float | str) and not isinstance(v, bool) for k, v in record.items()}
    return {k: v if plain[k] else json.dumps(v, default=str) for k, v in record.items()}
