"""Does an amortised posterior belong to this decoder, prior, noise and program?

Decoder and prior are known by a hash of their numbers (:func:`noble_prob.amortised.fingerprint`). The program is code,
which has no numbers; so it is asked: log densities of one fixed recording at a few fixed points, under the noise that
the estimator was trained for, are kept with the estimator and computed again before it is used. Whatever changes the
density changes them: another site, another covariance, another meaning of a scale. The estimator is asked, too: for
its own log densities of a recording that is always the same, which change with the numbers by which a network is told
about sweeps. All are compared to a few digits, since a graphics card rounds otherwise than a processor, and one
processor otherwise than another.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from noble_prob.amortised import Estimator, fingerprint
from noble_prob.decoder.base import Decoder
from noble_prob.findings.base import Finding
from noble_prob.inference.density import LogDensity
from noble_prob.noise import Design, Evidence, NoisePrior, mask_undefined
from noble_prob.noise.scales import usual_sd
from noble_prob.priors import Prior
from noble_prob.program import program

POINTS, SHARES = 3, (0.05, 0.45, 0.9)
"""Points at which the program is asked; its steps, as shares of the range of currents."""
TOLERANCE = 1e-4
"""Agreement asked, relative."""
SUPPORT = "Support of the decoder"
"""Title of NP107."""


@torch.no_grad()
def probe(decoder: Decoder, prior: Prior, *, noise: NoisePrior, robust: bool) -> tuple[float, ...]:
    """Log densities of a fixed recording at fixed points.

    Args:
        decoder: Of the cell.
        prior: Of its neurons, where the decoder is.
        noise: Priors of the noise scales.
        robust: Student-t features.
    """
    mean = prior.moments[0]
    evidence = _recording(decoder, prior.space.unstandardise(mean))
    density = LogDensity(partial(program, decoder, prior, evidence.design, evidence, noise=noise, robust=robust))
    middle = {"z": mean} | {s.name: mean.new_tensor(getattr(noise, s.name).median) for s in density.sites[1:]}
    centre = density.pack(middle)
    wave = torch.arange(POINTS * density.size, dtype=mean.dtype, device=mean.device).reshape(POINTS, -1)
    return tuple(density(centre + 0.05 * torch.sin(wave)).tolist())


def _recording(decoder: Decoder, latents: Tensor) -> Evidence:
    """The decoder's own answer to three steps, off by one per cent and one usual SD, back and forth."""
    low, high = decoder.window.current_range_pa
    current = latents.new_tensor([low + share * (high - low) for share in SHARES])
    end = torch.full_like(current, decoder.window.duration_ms)
    names = decoder.summary_names
    design = Design(current_pa=current, end_ms=end, summary_names=names)
    times = decoder.spike_times(latents.expand(len(current), -1), current).to(latents)
    away = torch.cos(torch.arange(times.numel(), dtype=times.dtype, device=times.device)).reshape(times.shape)
    step = torch.diff(times, dim=-1, prepend=torch.zeros_like(times[:, :1])) * (1 + 0.01 * away)
    times = step.cumsum(-1)
    times = torch.where(times < end[:, None], times, torch.inf)
    summary = decoder.summary(latents.expand(len(current), -1), current).to(latents)
    usual = latents.new_tensor([usual_sd(name) for name in names])
    turn = torch.cos(torch.arange(summary.numel(), dtype=summary.dtype, device=summary.device)).reshape(summary.shape)
    return Evidence(design=design, times_ms=times, summary=mask_undefined(summary + turn * usual, times, design))


def stranger(estimator: Estimator, decoder: Decoder, prior: Prior, *, noise: NoisePrior) -> str:
    """What an estimator belongs to instead; empty if it may be used.

    Noise other than usual is the caller's wish: importance weights make up for it. The usual noise must be the one that
    the estimator was trained for.

    Args:
        estimator: The amortised posterior.
        decoder: With which it is to be used.
        prior: Likewise.
        noise: Likewise.
    """
    if estimator.belongs_to != fingerprint(decoder, prior):
        return "another decoder or prior"
    if noise == NoisePrior() and estimator.noise != noise:
        return "another version of the program"
    now = probe(decoder, prior, noise=estimator.noise, robust=bool(estimator.facts["robust"]))
    if not _same(now, estimator.probe):
        return "another version of the program"
    if not _same(estimator.asked(), estimator.answers):
        return "another description of sweeps"
    return ""


def _same(a: Sequence[float], b: Sequence[float]) -> bool:
    return len(a) == len(b) and all(abs(x - y) <= TOLERANCE * (100 + abs(y)) for x, y in zip(a, b, strict=True))


def prior_of_another_cell(decoder: Decoder, prior: Prior) -> Finding | None:
    """An issue where most neurons that the prior was fitted to are none that the decoder was trained on.

    Cells may share the names of their latents; populations are told apart by where they lie.

    Args:
        decoder: Of the cell.
        prior: Of the neurons, on any device.
    """
    points = prior.space.unstandardise(prior.points).to(prior.points)
    outside = int((decoder.support(points).cpu() > 1.0).sum())
    if 2 * outside <= len(points):
        return None
    return Finding(
        code="NP107",
        title=SUPPORT,
        severity="issue",
        sentence=f"{outside} of the {len(points)} neurons that the prior was fitted to lie outside the decoder's "
        "training data: it is the prior of another cell, and the decoder does not know such neurons.",
        remedy="Pass decoder and prior of one cell, as load_cell gives them.",
        evidence={"outside": outside, "neurons": len(points)},
    )
