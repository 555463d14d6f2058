"""One spike map that says what several say on average: the accuracy of an ensemble at the price of one network.

An ensemble's mean is more accurate than its members, and it is the mean alone that samplers and posteriors ask for,
thousands of times a second. So a network of a member's size, the *student*, is taught the mean. Its teachers answer for
any neuron at any current: there is no end of examples, nothing to overfit, and the student says the same beyond the
training models, where data would leave it free. Examples are training models, places between two of them, and places
around those, out to where the decoder's support ends.

Sources of the method: Bucila, Caruana and Niculescu-Mizil 2006, "Model compression", KDD; Hinton, Vinyals and Dean
2015, "Distilling the knowledge in a neural network", arXiv 1503.02531.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor, nn

from noble_prob.decoder.architecture import new_spike_map
from noble_prob.decoder.noble import NobleDecoder
from noble_prob.decoder.spike_map import USUAL_INTERVAL, USUAL_LATENCY, SpikeMap, log_steps
from noble_prob.training.losses import spike_map_loss

HORIZON = 1.25
"""Spikes are compared until this many durations of the step: the next one that does not happen counts too."""
SHAPE_WEIGHT = 0.3
"""Weight of the error of all log intervals, also of those that no step is long enough to see."""
EXACT, SPREAD = 0.2, (0.02, 0.5)
"""Share of examples that are models themselves; SD of the others about a line between two, in SDs of the population,
from log-uniform."""
NEAR_SHARE, NEAR_PA = 0.35, (-10.0, 60.0)
"""Share of examples with currents around the usual rheobase (pA)."""
CHECKED = 8192


class Teacher(Protocol):
    """What knows spike times of any neuron: a spike map, or one that is held to the latents."""

    def mean_times(
        self, x: Float[Tensor, "batch latent"], current_pa: Float[Tensor, " batch"]
    ) -> Float[Tensor, "batch spike"]:
        """Spike times (ms after onset) of standardised latents at step currents (pA)."""


class StudentTask:
    """Teaches a spike map the mean of others.

    Args:
        decoder: Its spike map is the student.
        teachers: The spike map whose mean it is taught, maybe held to the latents (:mod:`noble_prob.training.held`).
        x: Standardised latents of neurons to begin from, on the decoder's device, shape ``(neuron, latent)``.
    """

    def __init__(self, decoder: NobleDecoder, teachers: Teacher, x: Float[Tensor, "neuron latent"]):
        self.module: nn.Module = decoder.spike_map
        self.student, self.teachers, self.window, self.x = decoder.spike_map, teachers, decoder.window, x
        wide = torch.cov(x.T.double()) + 1e-6 * torch.eye(x.shape[1], dtype=torch.float64, device=x.device)
        self.root = torch.linalg.cholesky(wide).to(x)
        self.check = self.draw(CHECKED, torch.Generator(x.device).manual_seed(0))

    def draw(self, batch: int, generator: torch.Generator) -> Float[Tensor, "batch latent_and_current"]:
        """Examples: standardised latents, and a current (pA) in the last column."""

        def uniform(*shape: int) -> Tensor:
            return torch.rand(*shape, generator=generator, device=self.x.device)

        pairs = torch.randint(len(self.x), (2, batch), generator=generator, device=self.x.device)
        one, other = self.x[pairs]
        share, spread, exact = uniform(3, batch, 1)
        sd = SPREAD[0] * (SPREAD[1] / SPREAD[0]) ** spread
        noise = torch.randn(one.shape, generator=generator, device=self.x.device) @ self.root.T
        x = torch.where(exact < EXACT, one, share * one + (1 - share) * other + sd * noise)
        return torch.cat([x, self._current(batch, generator)], 1)

    def _current(self, batch: int, generator: torch.Generator) -> Float[Tensor, "batch 1"]:
        """Currents over the whole range, more of them where neurons begin to fire."""
        (low, high), (a, b) = self.window.current_range_pa, NEAR_PA
        u, near = torch.rand(2, batch, 1, generator=generator, device=self.x.device)
        return torch.where(near < NEAR_SHARE, a + (b - a) * u, low + (high - low) * u)

    def _answers(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs of the student, spike times of its teachers."""
        x, current = rows[:, :-1], rows[:, -1]
        with torch.no_grad():
            taught = self.teachers.mean_times(x, current)
        return self.student.mean_outputs(x, current), taught

    def loss(self, rows: Tensor) -> Tensor:
        """Timing loss with the teachers' spikes as the truth, and what is left of the shape of the train."""
        own, truth = self._answers(rows)
        duration = self.window.duration_ms
        horizon = HORIZON * duration
        timing = spike_map_loss(self.student.times(own), truth, (truth < horizon).sum(-1), duration_ms=horizon)
        matters = (duration / truth[:, :1]).clamp(max=1.0)
        shape = matters * (self.student.logarithms(own) - _logarithms(truth)).abs()
        return (timing + SHAPE_WEIGHT * shape.mean(-1)).mean()

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Median and 99th percentile of the differences between their spike times, relative difference of counts."""
        outputs, taught = self._answers(self.check)
        own = self.student.times(outputs)
        duration = self.window.duration_ms
        apart = (own - taught).abs()[taught < duration].sort().values
        n, m = (taught < duration).sum(-1), (own < duration).sum(-1)
        median, high = (float(apart[int(q * (len(apart) - 1))]) if len(apart) else torch.nan for q in (0.5, 0.99))
        return {
            "student_time_error_ms": median,
            "student_time_error_ms_p99": high,
            "student_count_error": float(((m - n).abs() / n.clamp(min=1))[n > 0].float().mean()),
        }


def _logarithms(times_ms: Float[Tensor, "batch spike"]) -> Float[Tensor, "batch spike"]:
    """Log latency and log intervals, less what is usual, as :meth:`SpikeMap.logarithms`."""
    steps = log_steps(times_ms)
    return torch.cat([steps[:, :1] - USUAL_LATENCY, steps[:, 1:] - USUAL_INTERVAL], -1)


def spike_map_for(decoder: NobleDecoder, *, width: int, members: int, seed: int) -> SpikeMap:
    """A spike map with random weights that fits into a decoder, on its device.

    Args:
        decoder: Whose latent space and other sizes it has.
        width: Units per hidden layer.
        members: Networks in it.
        seed: Of the weights.
    """
    sizes = replace(decoder.architecture, map_width=width, map_members=members)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = new_spike_map(sizes, n_latents=len(decoder.space))
    return made.to(decoder.support_precision.device)
