"""What a decoder is: (latent features, step current) -> spike times, summary features, voltage.

Spike timing and waveform separate, so a decoder answers at three prices:

``spike_times``
    the map from spike index to time, smooth in the latents and cheap: what inference differentiates;
``summary``
    sub-threshold and spike-shape features of the response, smooth and cheap;
``respond``
    the whole voltage trace, rendered by the neural operator *from* the predicted spike times.

Three implementations exist: the phase-modulated Fourier neural operator (:mod:`noble_prob.decoder.noble`), a
linear-Gaussian toy whose posterior is known in closed form (:mod:`noble_prob.decoder.toy`), and the paper's operator
(:mod:`noble_prob.decoder.paper`), whose times and summaries are measured on its voltage: too dear for inference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.errors import require
from noble_prob.latent import LatentSpace

TOLERANCE = 0.02
"""Share of the range of currents by which a step may leave it: amplifiers deliver 301 pA where 300 were asked for."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """The stimulus and grid a decoder was trained on.

    Attributes:
        dt_ms: Sampling interval (ms).
        n_samples: Samples of a response.
        onset_ms: Start of the step (ms from the first sample).
        duration_ms: Length of the step (ms).
        current_range_pa: Smallest and largest step of the training data (pA).
    """

    dt_ms: float
    n_samples: int
    onset_ms: float
    duration_ms: float
    current_range_pa: tuple[float, float]

    @property
    def time_ms(self) -> Float[Tensor, " time"]:
        """Sample times (ms), float64."""
        return torch.arange(self.n_samples, dtype=torch.float64) * self.dt_ms

    def admits(self, current_pa: float) -> bool:
        """Whether a step lies within the training range, give or take :data:`TOLERANCE` of its width.

        Args:
            current_pa: Height of the step (pA); not a number is never admitted.
        """
        low, high = self.current_range_pa
        slack = TOLERANCE * (high - low)
        return low - slack <= current_pa <= high + slack

    def require_current(self, current_pa: float, parameter: str = "current_pa", remedy: str = "") -> None:
        """Refuse a step on which the decoder was not trained.

        Args:
            current_pa: Height of the step (pA).
            parameter: What the caller calls it.
            remedy: What to do instead; to choose another current if not given.

        Raises:
            UsageError: If the step is beyond the range (see :meth:`admits`) or not a number.
        """
        low, high = self.current_range_pa
        require(
            self.admits(current_pa),
            parameter,
            f"within the decoder's range of {low:.0f} to {high:.0f} pA",
            f"{current_pa:g} pA",
            remedy or "choose a current in this range",
        )


@dataclass(frozen=True, kw_only=True)
class DecoderError:
    """How wrong the decoder is on neurons it has not seen, measured on validation models.

    Timing errors are smooth, not independent from spike to spike: the true k-th spike (ms after onset) of a sweep is

        t_k = exp(a) * s_1 + exp(b) * (s_k - s_1) + e_k

    with ``s`` the predicted times, ``a ~ N(0, latency_log_sd^2)`` and ``b ~ N(0, rate_log_sd^2)``, both correlated over
    the sweeps of a neuron as ``exp(-|I - I'| / current_length_pa)``, and a small ``e_k ~ N(0, residual_ms^2)``. Both
    SDs are those of brisk firing; close to threshold, where intervals are long, they grow by :meth:`slowness`.

    Attributes:
        latency_log_sd: SD of the log error of the first-spike latency.
        rate_log_sd: SD of the log error of the intervals.
        current_length_pa: Correlation length of both over step current (pA).
        residual_ms: SD of what is left, per spike (ms).
        summary_sd: SD of the error of each summary feature, in its unit, shape ``(feature,)``, at large.
        count_slack: Log-odds temperature of "the next spike falls after the step ends", in ms.
        slow_ms: Interval at which the errors of latency and rate have doubled (ms).
        summary_length_pa: Correlation length of a summary feature's error over step current (pA).
        summary_knots_pa: Currents at which the SD of the summary features was measured (pA), increasing; none where it
            is the same at all currents.
        summary_factor: SD at the knots in units of ``summary_sd``, shape ``(knot, feature)``.
        summary_lengths_pa: Correlation length of each summary feature (pA), where they were measured one by one.
        summary_shares: Share of the variance of each feature's error that similar currents have in common; the rest is
            every sweep's own, such as where samples fall on a spike. All of it where it was not measured.
    """

    latency_log_sd: float
    rate_log_sd: float
    current_length_pa: float
    residual_ms: float
    summary_sd: Float[Tensor, " feature"]
    count_slack: float = 1.0
    slow_ms: float = 1e6
    summary_length_pa: float = 150.0
    summary_knots_pa: tuple[float, ...] = ()
    summary_factor: Float[Tensor, "knot feature"] | None = None
    summary_lengths_pa: tuple[float, ...] = ()
    summary_shares: tuple[float, ...] = ()

    def summary_sd_at(self, current_pa: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch feature"]:
        """SD of the error of each summary feature at a step current, in its unit.

        Args:
            current_pa: Step current (pA).
        """
        sd = self.summary_sd.to(current_pa).expand(*current_pa.shape, -1)
        if self.summary_factor is None:
            return sd
        knots = torch.tensor(self.summary_knots_pa, dtype=current_pa.dtype, device=current_pa.device)
        return sd * interpolate(current_pa, knots, self.summary_factor.to(current_pa).log()).exp()

    def summary_correlation(
        self, current_pa: Float[Tensor, "*batch sweep"]
    ) -> Float[Tensor, "*batch feature sweep sweep"]:
        """Correlation of the errors of each summary feature between sweeps.

        Args:
            current_pa: Step currents (pA).
        """
        n, like = len(self.summary_sd), current_pa
        lengths = like.new_tensor(self.summary_lengths_pa or (self.summary_length_pa,) * n)[:, None, None]
        shares = like.new_tensor(self.summary_shares or (1.0,) * n)[:, None, None]
        gap = (current_pa[..., :, None] - current_pa[..., None, :]).abs()
        own = (1 - shares) * torch.ones_like(gap[..., 0]).diag_embed()[..., None, :, :]
        return shares * torch.exp(-gap[..., None, :, :] / lengths) + own

    def slowness(self, interval_ms: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Factor on the SD of a latency or rate whose predicted interval is this long: 1 when brisk, at most 31.

        Args:
            interval_ms: Predicted latency or interval (ms).
        """
        fourth = (interval_ms.clamp(max=10 * self.slow_ms) / self.slow_ms) ** 4
        return 1 + fourth / (1 + fourth / 30)


def interpolate(
    x: Float[Tensor, "*batch"], knots: Float[Tensor, " knot"], values: Float[Tensor, "knot feature"]
) -> Float[Tensor, "*batch feature"]:
    """Straight lines between knots, constant beyond them.

    Args:
        x: Where.
        knots: Increasing.
        values: At the knots.
    """
    right = torch.searchsorted(knots, x.contiguous()).clamp(1, len(knots) - 1)
    share = ((x - knots[right - 1]) / (knots[right] - knots[right - 1])).clamp(0, 1)
    return values[right - 1] + share[..., None] * (values[right] - values[right - 1])


def require_decoder(decoder: object) -> None:
    """Refuse what is no decoder: a whole cell is what people try.

    Raises:
        UsageError: If it can not respond.
    """
    require(hasattr(decoder, "respond"), "decoder", "a decoder", f"a {type(decoder).__name__}", "pass cell.decoder")


def identity_of(decoder: object) -> dict[str, str]:
    """What a result remembers of its decoder: its kind, and of which cell it is, if it is one's.

    Args:
        decoder: Its ``identity``, which :func:`noble_prob.load_cell` sets, is ``cell`` (a name), ``decoder_sha256`` (of
            the weights) and, of a cell of one's own, ``cell_folder``.
    """
    return {"decoder": type(decoder).__name__, **getattr(decoder, "identity", {})}


@runtime_checkable
class Decoder(Protocol):
    """Anything that turns latent features and a step current into a response.

    Latents are in their units (not standardised) with any batch shape; ``current_pa`` broadcasts against it.
    """

    space: LatentSpace
    window: Window
    summary_names: tuple[str, ...]
    error: DecoderError

    def spike_times(
        self, latents: Float[Tensor, "*batch latent"], current_pa: Float[Tensor, "*batch"]
    ) -> Float[Tensor, "*batch spike"]:
        """Times of the first, second, ... spike (ms after step onset), strictly increasing, a fixed number of columns.

        Times continue past the end of the step as if it went on: those later than ``window.duration_ms`` do not happen.
        A silent response has its first time beyond the end.
        """
        ...

    def summary(
        self, latents: Float[Tensor, "*batch latent"], current_pa: Float[Tensor, "*batch"]
    ) -> Float[Tensor, "*batch feature"]:
        """Features named in ``summary_names`` (units of :mod:`noble_prob.features`), smooth in both arguments."""
        ...

    def respond(
        self, latents: Float[Tensor, "*batch latent"], current_pa: Float[Tensor, "*batch"]
    ) -> Float[Tensor, "*batch time"]:
        """Voltage (mV) on ``window.time_ms``."""
        ...

    def support(self, latents: Float[Tensor, "*batch latent"]) -> Float[Tensor, "*batch"]:
        """Distance from the training population: 1 at the edge of its central 99 %, larger outside."""
        ...
