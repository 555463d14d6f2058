"""A penalty on curvature over neurons, so that a network says of a new neuron what its neighbours suggest.

A population is made of pairs among some fifty published models: a thin web in many dimensions. Beside the web there are
no data, and a network is free to turn there as it likes: it predicts new members of the web several times better than a
new published model. Yet log intervals, film and features are nearly linear in the latents over the whole population. So
we ask a network, at the same current, about two neurons of the batch and about the one half-way between them, which
need not exist, and charge for the difference of the last answer and the mean of the first two: a second difference over
the distance between neurons, for which no truth is needed.

Related: mixup (Zhang et al. 2018, arXiv 1710.09412), which mixes targets too.
"""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor


def bend(
    answer: Callable[[Float[Tensor, "batch latent"]], Tensor],
    x: Float[Tensor, "batch latent"],
    here: Tensor | None = None,
) -> Float[Tensor, "*answer"]:
    """Second difference of an answer over pairs of neurons.

    Args:
        answer: What a network says of neurons, each at a current of its own; the batch is all of ``x``, three times.
        x: Standardised latents; each is paired with the row before it.
        here: ``answer(x)``, where it is known.

    Returns:
        Answer half-way minus mean of the answers, shape of an answer.
    """
    other = x.roll(1, 0)
    return answer(0.5 * (x + other)) - 0.5 * ((answer(x) if here is None else here) + answer(other))
