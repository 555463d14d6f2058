"""The standard protocol, and the latent features of a neuron from its responses to it.

Six 400 ms steps say who a neuron is: -110 pA (passive membrane, sag), -30 pA (the membrane near rest), 25 pA (just
above threshold), 50, 100 and 180 pA (the f-I curve and adaptation). ``features21`` was chosen because it predicts the
spikes of unseen neurons at other currents; biophysical parameters in its place do not generalise. Mean intervals to 100
and 200 ms pin the course of adaptation, which first and mean interval leave open; deflection and time constant at -30
pA pin latencies just above threshold. ``features16`` does without these and the steps at -30 and 100 pA, ``features13``
also without the step at 25 pA, ``features10`` without the first intervals and the spike's width. ``noble2`` is the pair
of the NOBLE paper (threshold current and slope of the f-I curve, arXiv 2506.04536), here from the same protocol.

A neuron whose trains bend in mid-course, as the VIP models' do, takes more to describe: ``features26`` adds a step just
above rheobase (15 pA), mean intervals to a fixed moment of every train, the latency at 100 pA and the trough at 50 pA.
All its intervals are taken to a fixed moment, not to the end of the step: the mean of a whole train jumps when its last
spike leaves the step, and nothing that is learned from it can be more exact than the jump. Left out in turn, the VIP
training models are predicted with half the error of mean intervals to 150 ms and a tenth of that of troughs
(``analyses/decoder_latent_choice.py``). PVALB models do not fire at 15 pA and have no such space.

A held-out model's latents come from its own responses to this protocol and from nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from noble_prob.errors import require
from noble_prob.features import measure
from noble_prob.latent import Latent, LatentSpace
from noble_prob.recording import Recording

STANDARD_CURRENTS_PA = (-110.0, -30.0, 25.0, 50.0, 100.0, 180.0)
"""Steps of the standard protocol (pA)."""

CLOSE_CURRENTS_PA = (-110.0, -30.0, 15.0, 25.0, 50.0, 100.0, 180.0)
"""The same with one just above rheobase (pA), for cells that fire there."""

HELD_OUT_MODELS = (2, 5, 12, 16, 21, 29, 32, 37, 40, 52)
"""Published models that no training, scaling, selection or prior may see (the paper's choice)."""


def _latent(name: str, unit: str, feature: str, current: float, when: str, log: bool = False) -> Latent:
    return Latent(name=name, unit=unit, feature=feature, current_pa=current, log=log, defined_when=when)


_TWO = "at least two spikes"


def _firing(tag: str, current: float) -> tuple[Latent, ...]:
    two = f"{_TWO} at {current:.0f} pA"
    return (
        _latent(f"log_latency_{tag}", "ln(ms)", "first_spike_latency_ms", current, f"fires at {current:.0f} pA", True),
        _latent(f"log_first_isi_{tag}", "ln(ms)", "first_isi_ms", current, two, True),
        _latent(f"log_mean_isi_{tag}", "ln(ms)", "mean_isi_ms", current, two, True),
    )


_PASSIVE = (
    _latent("resting_voltage", "mV", "resting_voltage_mv", -110, "always"),
    _latent("voltage_deflection", "mV", "voltage_deflection_mv", -110, "a hyperpolarising step"),
    _latent("sag", "mV", "sag_mv", -110, "a hyperpolarising step"),
    _latent("log_time_constant", "ln(ms)", "membrane_time_constant_ms", -110, "the onset decays exponentially", True),
)
_SPIKE = (
    _latent("ap1_peak", "mV", "ap1_peak_mv", 180, "fires at 180 pA"),
    _latent("ap1_trough", "mV", "ap1_trough_mv", 180, "fires at 180 pA"),
    _latent("ap1_width", "ms", "ap1_width_ms", 180, "fires at 180 pA"),
)

FEATURES10: tuple[Latent, ...] = (
    *_PASSIVE,
    *_firing("50pa", 50)[::2],
    *_firing("180pa", 180)[::2],
    *_SPIKE[:2],
)

FEATURES13: tuple[Latent, ...] = (*_PASSIVE, *_firing("50pa", 50), *_firing("180pa", 180), *_SPIKE)

FEATURES16: tuple[Latent, ...] = (
    *_PASSIVE,
    *_firing("25pa", 25),
    *_firing("50pa", 50),
    *_firing("180pa", 180),
    *_SPIKE,
)

FEATURES21: tuple[Latent, ...] = (
    *FEATURES16,
    _latent("log_mean_isi_to_100ms_180pa", "ln(ms)", "mean_isi_to_100ms_ms", 180, f"{_TWO} at 180 pA", True),
    _latent("log_mean_isi_to_200ms_180pa", "ln(ms)", "mean_isi_to_200ms_ms", 180, f"{_TWO} at 180 pA", True),
    _latent("log_mean_isi_100pa", "ln(ms)", "mean_isi_ms", 100, f"{_TWO} at 100 pA", True),
    _latent("voltage_deflection_m30pa", "mV", "voltage_deflection_mv", -30, "always"),
    _latent(
        "log_time_constant_m30pa", "ln(ms)", "membrane_time_constant_ms", -30, "the onset decays exponentially", True
    ),
)


def _mean_isi(until: int, current: int) -> Latent:
    name, feature = f"log_mean_isi_to_{until}ms_{current}pa", f"mean_isi_to_{until}ms_ms"
    return _latent(name, "ln(ms)", feature, current, f"{_TWO} at {current} pA", log=True)


FEATURES26: tuple[Latent, ...] = (
    *_PASSIVE,
    *FEATURES21[-2:],
    _firing("15pa", 15)[0],
    *_firing("25pa", 25)[:2],
    _mean_isi(300, 25),
    *_firing("50pa", 50)[:2],
    *(_mean_isi(until, 50) for until in (150, 300)),
    _firing("100pa", 100)[0],
    *(_mean_isi(until, 100) for until in (150, 300)),
    *_firing("180pa", 180)[:2],
    *(_mean_isi(until, 180) for until in (100, 200, 300)),
    *_SPIKE,
    _latent("ap1_trough_50pa", "mV", "ap1_trough_mv", 50, "fires at 50 pA"),
)

NOBLE2: tuple[Latent, ...] = (
    _latent("threshold_current", "pA", "fi_threshold_pa", 50, "fires at 50 and 180 pA, faster at 180 pA"),
    _latent("fi_slope", "Hz/nA", "fi_slope_hz_per_na", 180, "fires at 50 and 180 pA"),
)

SPACES = {
    "features26": FEATURES26,
    "features21": FEATURES21,
    "features16": FEATURES16,
    "features13": FEATURES13,
    "features10": FEATURES10,
    "noble2": NOBLE2,
}
"""Named latent spaces."""


def protocol_of(latents: Sequence[Latent]) -> tuple[float, ...]:
    """The steps (pA) that these latents are measured on, in increasing order."""
    return tuple(sorted({item.current_pa for item in latents}))


def latent_values(
    responses: Recording, latents: tuple[Latent, ...] = FEATURES13
) -> tuple[Float[Tensor, "*batch latent"], Bool[Tensor, "*batch"]]:
    """Latent features from responses to the standard protocol.

    Args:
        responses: Recording whose sweeps include the steps of :func:`protocol_of` these latents.
        latents: Which features.

    Returns:
        Values in their units, float64, and whether a neuron has all of them. Undefined values are NaN.

    Raises:
        UsageError: If a step of the protocol is missing.
    """
    protocol = protocol_of(latents)
    names = ("mean_isi_ms",) if latents == NOBLE2 else tuple(dict.fromkeys(item.feature for item in latents))
    features = measure(responses.select([_sweep_of(responses, current) for current in protocol]), names=names)
    position = {current: i for i, current in enumerate(protocol)}

    def column(name: str, current: float) -> Tensor:
        value, mask = features[name]
        i = position[current]
        return torch.where(mask[..., i], value[..., i].to(torch.float64), torch.nan)

    if latents == NOBLE2:
        values = _noble2(column("mean_isi_ms", 50.0), column("mean_isi_ms", 180.0))
    else:
        columns = [column(item.feature, item.current_pa) for item in latents]
        values = torch.stack([c.log() if item.log else c for c, item in zip(columns, latents, strict=True)], -1)
    return values, torch.isfinite(values).all(-1)


def fit_space(name: str, values: Float[Tensor, "model latent"]) -> LatentSpace:
    """A latent space centred and scaled on training models.

    Args:
        name: Key of :data:`SPACES`.
        values: Latents of *training* models only, shape ``(model, latent)``.
    """
    require(name in SPACES, "latent_space", f"one of {', '.join(SPACES)}", name, "choose a known latent space")
    return LatentSpace(name=name, latents=SPACES[name], mean=values.mean(0), sd=values.std(0))


def _sweep_of(responses: Recording, current_pa: float) -> int:
    amplitudes = responses.protocol.amplitudes_pa
    hit = torch.nonzero((amplitudes - current_pa).abs() < 0.5).flatten()
    require(
        len(hit) > 0,
        "responses",
        f"to contain a step of {current_pa:.0f} pA",
        [round(a, 1) for a in amplitudes.tolist()],
        "simulate the standard protocol first",
    )
    return int(hit[0])


def _noble2(isi_50: Tensor, isi_180: Tensor) -> Tensor:
    """Threshold current (pA) and slope (Hz/nA) of the line through the rates at 50 and 180 pA."""
    low, high = 1000 / isi_50, 1000 / isi_180
    slope = (high - low) / 0.13
    slope = torch.where(slope > 0, slope, torch.nan)
    return torch.stack([50 - 1000 * low / slope, slope], -1)
