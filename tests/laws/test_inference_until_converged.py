"""Chains go on until the numbers that are reported agree, not others that resemble them."""

import torch

from noble_prob import infer, load_cell
from noble_prob.inference import draw


def test_what_stops_the_chains_is_what_the_posterior_reports(monkeypatch):
    """R-hat also compares distances from the median: the logarithm of a scale, or other roundings, have another one."""
    cell, seen = load_cell("toy"), []

    def settled(draws):
        seen.append(draws)
        return len(seen) == 3

    monkeypatch.setattr(draw, "settled", settled)
    recording = cell.demo[0].select([0, 2])
    posterior = infer(recording, decoder=cell.decoder, prior=cell.prior, method="nuts", seed=1)
    reported = torch.cat([posterior.latents, *(v[..., None] for v in posterior.scales.values())], -1)
    assert torch.equal(seen[-1], reported)
    assert [x.shape[1] - seen[0].shape[1] for x in seen] == [0, draw.MORE, 2 * draw.MORE]
