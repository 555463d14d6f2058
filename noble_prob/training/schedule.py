"""How long and how fast a network is trained."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from noble_prob.errors import require

FREE = ("save_every", "log_every")
"""Settings that change no weight, so that a run may be continued under other values."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Length, speed and rhythm of one training run.

    Attributes:
        steps: Optimiser steps.
        batch: Traces per step, over all processes.
        peak_lr: Highest learning rate; linear warm-up, then cosine to zero.
        warmup: Share of the steps spent warming up.
        optimiser: ``adamw``, or ``soap`` (see :mod:`noble_prob.training.soap`), for small networks with real weights.
        weight_decay: Decoupled; 0 makes AdamW Adam.
        straight: Weight of the penalty on curvature over neurons (see :mod:`noble_prob.training.bend`); the offset
            network has none.
        straight_left: Share of that weight that is left at the end; it falls with the learning rate: first the shape,
            then the details.
        clip: Largest norm of the gradient.
        ema: Decay of the running average of the weights that is kept as the result; 0 keeps the last weights.
        seed: Of initialisation and data order.
        save_every: Steps between resumable states.
        validate_every: Steps between validations.
        log_every: Steps between logged losses.
        patience: Validations without improvement after which training stops early; the best weights are then the
            result. 0 never stops, and the last weights are the result.
    """

    steps: int = 4000
    batch: int = 512
    peak_lr: float = 2e-3
    warmup: float = 0.1
    optimiser: Literal["adamw", "soap"] = "adamw"
    weight_decay: float = 1e-4
    straight: float = 0.0
    straight_left: float = 1.0
    clip: float = 1.0
    ema: float = 0.0
    seed: int = 0
    save_every: int = 1000
    validate_every: int = 1000
    log_every: int = 50
    patience: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "save_every", "validate_every", "log_every", "peak_lr", "clip"):
            require(getattr(self, name) > 0, name, "positive", getattr(self, name), "give a number above 0")
        for name, usual in (("straight", "1"), ("weight_decay", "1e-4"), ("patience", "10")):
            require(getattr(self, name) >= 0, name, "at least 0", getattr(self, name), f"use {usual}, or 0 for none")
        for name in ("peak_lr", "straight", "weight_decay"):
            require(math.isfinite(getattr(self, name)), name, "finite", getattr(self, name), "give a number")
        require(0 <= self.seed < 2**63, "seed", "at least 0 and below 2^63", self.seed, "choose another one")
        require(
            0 <= self.straight_left <= 1, "straight_left", "a share from 0 to 1", self.straight_left, "use 1 or 0.03"
        )
        require(0 <= self.ema < 1, "ema", "at least 0 and below 1", self.ema, "use 0.999, or 0 for none")
        require(0 <= self.warmup <= 1, "warmup", "a share from 0 to 1", self.warmup, "use 0.1")

    def lr(self, step: int) -> float:
        """Learning rate of a step."""
        rise = max(1, round(self.warmup * self.steps))
        if step < rise:
            return self.peak_lr * (step + 1) / rise
        return self.peak_lr * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, self.steps - rise)))

    def penalty(self, step: int) -> float:
        """Weight of the penalty on curvature at a step."""
        rising = step < round(self.warmup * self.steps)
        high = 1.0 if rising else self.lr(step) / self.peak_lr
        return self.straight * (self.straight_left + (1 - self.straight_left) * high)

    def settings(self) -> dict[str, Any]:
        """Everything that the trained weights depend on."""
        return {name: value for name, value in asdict(self).items() if name not in FREE}
