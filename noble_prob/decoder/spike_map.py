r"""The phase network: from latent features and a step current to the times of all spikes.

A neuron's phase :math:`\phi(t)` counts its spikes continuously: 0 at step onset, :math:`k` at the k-th spike. The
network
predicts its inverse, the *spike map* :math:`t(k)`:
a latency and then intervals

.. math:: t(1) = \exp(g_0), \qquad t(k+1) - t(k) = \exp\Big(g_1 + \sum_m g_{m+1} \, b_m(k-1)\Big),

with :math:`g` the outputs of a small network of (standardised latents, current) and fixed functions :math:`b_m` of
spike index: decays :math:`e^{-k/\kappa}`, and damped rhythms :math:`e^{-k/\kappa} \cos(2 \pi k / p)` and sines, for
cells that alternate short and long intervals or begin with a burst. Times increase by construction, spike-frequency
adaptation is a decay over spike index (as it is in cells), and nothing refers to the length of the step: spikes later
than its end simply do not happen, a silent response has :math:`t(1)` beyond the end. The phase at any time is the
piecewise linear inverse.

Several networks can be averaged in log time; what ships is one that was taught such a mean
(:mod:`noble_prob.training.student`).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

USUAL_LATENCY, USUAL_INTERVAL = 2.5, 3.0
"""Logarithms (ms) that outputs of zero stand for."""
INDEX_CONSTANTS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Decay constants of adaptation, in spikes."""
RHYTHMS = ((2, 2.0), (2, 6.0), (2, 20.0), (3, 3.0), (3, 10.0), (5, 5.0), (8, 8.0))
"""Periods and decay constants of damped rhythms, in spikes."""


def interval_functions(n: int, *, rhythms: bool) -> Float[Tensor, "function interval"]:
    """Functions of spike index that log intervals are sums of: a constant, decays and damped rhythms.

    Args:
        n: Number of intervals.
        rhythms: Whether rhythms are among them; seven decays are, whatever it says.
    """
    k = torch.arange(n, dtype=torch.float32)
    rows = [torch.ones(n)] + [torch.exp(-k / constant) for constant in INDEX_CONSTANTS]
    for period, constant in RHYTHMS if rhythms else ():
        turn = 2 * torch.pi * k / period
        waves = (turn.cos(), turn.sin()) if period > 2 else (turn.cos(),)
        rows += [torch.exp(-k / constant) * wave for wave in waves]
    return torch.stack(rows)


def current_features(current_pa: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch 4"]:
    """Numbers of order one that describe a step current (pA): linear, quadratic, logarithmic and saturating."""
    i = current_pa
    return torch.stack(
        [i / 100, (i / 100).square() / 3, torch.log1p((i / 20).clamp(min=0)), torch.exp(-i.clamp(min=-20) / 30)], -1
    )


def mlp(n_in: int, width: int, depth: int, n_out: int) -> nn.Sequential:
    """A plain multilayer perceptron with SiLU units."""
    sizes = [n_in] + [width] * depth
    layers: list[nn.Module] = []
    for a, b in pairwise(sizes):
        layers += [nn.Linear(a, b), nn.SiLU()]
    return nn.Sequential(*layers, nn.Linear(width, n_out))


BLOCK = 512
"""Rows of a member that a processor takes through all layers at once: their activations stay in its cache, and the
allocator reuses their memory (twice the speed of one pass over 9,000 rows)."""


class MemberMLP(nn.Module):
    """Several multilayer perceptrons of one shape, evaluated as one batched matrix product per layer."""

    def __init__(self, *, members: int, n_in: int, width: int, depth: int, n_out: int):
        super().__init__()
        sizes = [n_in] + [width] * depth + [n_out]
        pairs = list(pairwise(sizes))
        self.weights = nn.ParameterList(torch.empty(members, a, b).uniform_(-1, 1) * a**-0.5 for a, b in pairs)
        self.biases = nn.ParameterList(torch.empty(members, 1, b).uniform_(-1, 1) * a**-0.5 for a, b in pairs)

    def forward(self, h: Float[Tensor, "member batch n_in"]) -> Float[Tensor, "member batch n_out"]:
        """Each member on its own batch; a large one in blocks on a processor."""
        if h.device.type != "cpu" or h.shape[1] <= BLOCK:
            return self._layers(h)
        return torch.cat([self._layers(part) for part in h.split(BLOCK, 1)], 1)

    def _layers(self, h: Tensor) -> Tensor:
        last = len(self.weights) - 1
        for i, (w, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            h = torch.baddbmm(b, h, w)
            h = h if i == last else nn.functional.silu(h)
        return h


class SpikeMap(nn.Module):
    """An ensemble of spike-map networks.

    Args:
        n_latents: Dimension of the latent space.
        n_spikes: Number of spike times to give.
        width: Units per hidden layer.
        depth: Hidden layers.
        members: Networks in the ensemble.
        rhythms: Whether intervals may alternate (see :func:`interval_functions`).
    """

    basis: Tensor

    def __init__(
        self,
        *,
        n_latents: int,
        n_spikes: int = 64,
        width: int = 256,
        depth: int = 3,
        members: int = 1,
        rhythms: bool = True,
    ):
        super().__init__()
        self.register_buffer("basis", interval_functions(n_spikes - 1, rhythms=rhythms), persistent=False)
        self.members = members
        n_out = 1 + len(self.basis)
        self.net = MemberMLP(members=members, n_in=n_latents + 4, width=width, depth=depth, n_out=n_out)

    def forward(
        self, x: Float[Tensor, "*batch latent"], current_pa: Float[Tensor, "*batch"]
    ) -> Float[Tensor, "member *batch spike"]:
        """Spike times (ms after onset) of every member.

        Args:
            x: Standardised latents, shape ``(*batch, latent)``.
            current_pa: Step current (pA), shape ``(*batch,)``.
        """
        return self.times(self._outputs(x, current_pa))

    def mean_times(
        self, x: Float[Tensor, "*batch latent"], current_pa: Float[Tensor, "*batch"]
    ) -> Float[Tensor, "*batch spike"]:
        """Ensemble mean of the spike times in log latency and log interval (ms after onset)."""
        return self.times(self.mean_outputs(x, current_pa))

    def mean_outputs(
        self, x: Float[Tensor, "*batch latent"], current_pa: Float[Tensor, "*batch"]
    ) -> Float[Tensor, "*batch out"]:
        """Ensemble mean of the networks' outputs, what :meth:`times` makes spike times of."""
        outputs = self._outputs(x, current_pa)
        return outputs[0] if self.members == 1 else outputs.mean(0)

    def _outputs(self, x: Tensor, current_pa: Tensor) -> Float[Tensor, "member *batch out"]:
        inputs = torch.cat([x, current_features(current_pa)], -1)
        flat = inputs.reshape(1, -1, inputs.shape[-1]).expand(self.members, -1, -1)
        return self.net(flat).unflatten(1, inputs.shape[:-1] or (1,)).reshape(self.members, *inputs.shape[:-1], -1)

    def times(self, g: Float[Tensor, "*batch out"]) -> Float[Tensor, "*batch spike"]:
        """Spike times (ms after onset) from the networks' outputs."""
        log = self.logarithms(g)
        latency = (log[..., :1] + USUAL_LATENCY).clamp(-4.0, 12.0).exp()
        interval = (USUAL_INTERVAL + log[..., 1:]).clamp(-1.0, 9.0).exp()
        return torch.cat([latency, latency + interval.cumsum(-1)], -1)

    def logarithms(self, g: Float[Tensor, "*batch out"]) -> Float[Tensor, "*batch spike"]:
        """Log latency and log intervals, less what is usual, linear in the networks' outputs."""
        return torch.cat([g[..., :1], g[..., 1:] @ self.basis.to(g)], -1)


def log_steps(times_ms: Float[Tensor, "batch spike"]) -> Float[Tensor, "batch spike"]:
    """Log latency and log intervals of spike times (ms after onset)."""
    return torch.diff(times_ms, dim=-1, prepend=torch.zeros_like(times_ms[:, :1])).clamp(min=1e-3).log()


def phase_at(
    times_ms: Float[Tensor, "*batch spike"], at_ms: Float[Tensor, " time"]
) -> tuple[Float[Tensor, "*batch time"], Float[Tensor, "*batch time"], Float[Tensor, "*batch time"]]:
    """Phase, time since the last spike and time to the next one.

    Args:
        times_ms: Increasing spike times (ms after onset); spikes that do not happen may be +inf.
        at_ms: Where to evaluate (ms after onset).

    Returns:
        ``(phase, since, until)``, each ``(*batch, time)``: phase in spikes; ``since`` is +inf before the first spike,
        ``until`` is +inf after the last.
    """
    batch = times_ms.shape[:-1]
    t = times_ms.reshape(-1, times_ms.shape[-1])
    at = at_ms.to(t).expand(len(t), -1).contiguous()
    k = torch.searchsorted(t.detach().contiguous(), at, right=True)
    inf = torch.full_like(t[:, :1], torch.inf)
    padded = torch.cat([-inf, t, inf], 1)
    last, nxt = padded.gather(1, k), padded.gather(1, k + 1)
    start = torch.where(k == 0, 0.0, last)
    fraction = torch.where(torch.isfinite(nxt), (at - start) / (nxt - start), torch.zeros_like(at)).clamp(0, 1)
    shape = (*batch, at.shape[1])
    return (k + fraction).reshape(shape), (at - last).reshape(shape), (nxt - at).reshape(shape)
