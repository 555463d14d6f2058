"""What a verdict over many latents or features allows for: their number, and directions that say nothing."""

from __future__ import annotations

import numpy as np
import pytest

from noble_prob.calibration.contrast import contrast, scale
from noble_prob.calibration.sbc import Sbc

N = 200


def ranks(bend, latents):
    """Even ranks of all latents but the first, whose are bent towards zero."""
    even = (np.arange(N) + 0.5) / N
    u = np.tile(even, (latents, 1))
    u[0] = even ** (1 + bend)
    names = tuple(f"x{k}" for k in range(latents))
    return Sbc(names=names, truth=np.zeros((N, latents)), draws=np.zeros((N, 10, latents)), u=u)


def smallest_bend(latents):
    """From which on the first latent leaves its band."""
    return next(bend for bend in np.arange(0, 2, 0.02) if not ranks(bend, latents).inside_band(0.99)["x0"])


def test_the_band_of_one_latent_among_many_is_wider():
    """Or twenty latents, each at a level of 1 %, would raise a false alarm in one of six right samplers."""
    alone, among_five, among_twenty = (smallest_bend(latents) for latents in (1, 5, 20))
    assert alone < among_five < among_twenty
    found = ranks(0.5 * (alone + among_twenty), 20)
    assert all(found.inside_band(0.99).values())
    assert not found.inside_band(0.8)["x0"]  # Bonferroni of a level of 20 % over twenty is 1 % for each
    far = ranks(1.5, 20).inside_band(0.99)
    assert not far.pop("x0")
    assert all(far.values())


def groups(tiny, seed=0):
    """Two features that are nearly one: fifteen rows against three hundred, apart in their difference alone."""
    rng = np.random.default_rng(seed)
    common, own = rng.standard_normal((2, 315))
    member = (np.arange(315) < 15).astype(float)
    value = np.stack([common, common + tiny * (own + 5 * member)], -1)
    return scale(value), member[None]


@pytest.mark.parametrize(("tiny", "share"), [(1e-4, 1e-3), (1e-2, 1e-2)])
def test_directions_along_which_nothing_varies_count_for_nothing(tiny, share):
    """A count and a rate differ by rounding: a difference of means there is none, though it is five of its SDs."""
    scaled, member = groups(tiny)
    variance = np.sort(scaled.axes.var(0))
    assert variance[0] < share
    assert variance[1] > 0.9
    assert contrast(scaled, member).joint_location[0] < 8  # chance: two squared t, mean 2


def test_directions_along_which_something_varies_count_in_full():
    scaled, member = groups(1.0)
    assert scaled.axes.var(0).min() > 0.5
    assert contrast(scaled, member).joint_location[0] > 50
