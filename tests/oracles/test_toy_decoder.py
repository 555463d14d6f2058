"""The toy decoder is what it says: linear, renderable, measurable, with the posterior it claims."""

import torch
from torch.distributions import MultivariateNormal

from noble_prob.decoder.base import Decoder
from noble_prob.decoder.toy import ToyDecoder, exact_posterior
from noble_prob.ensemble import respond
from noble_prob.features.measure import measure
from noble_prob.features.spikes import find_spikes
from noble_prob.latent import Neurons

CURRENTS = [-110.0, 50.0, 180.0, 280.0]


def _neurons(decoder, n, seed=0):
    x = torch.randn(n, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return Neurons(space=decoder.space, value=decoder.space.unstandardise(x), axis="neuron")


def test_it_is_a_decoder():
    assert isinstance(ToyDecoder(), Decoder)


def test_measuring_its_voltages_gives_back_its_features():
    decoder = ToyDecoder()
    neurons = _neurons(decoder, 20)
    recording = respond(decoder, neurons, CURRENTS)
    current = recording.protocol.amplitudes_pa
    measured = measure(recording, names=list(decoder.summary_names))
    error = (measured.value - decoder.summary(neurons.value[:, None], current)).abs()
    defined = measured.mask & (current < 200)[:, None]  # above, fast trains overlap their own membrane's charging
    assert float(error[..., :2][defined[..., :2]].max()) < 1e-3
    assert float(error[..., 2][defined[..., 2]].max()) < 0.3
    spikes = find_spikes(recording.voltage_mv, recording.time_ms, start_ms=12.0, stop_ms=412.0)
    times = decoder.spike_times(neurons.value[:, None], current)
    assert torch.equal(spikes.count, (times < 400).sum(-1))
    gap = (spikes.peak_ms - 12.0 - times[..., : spikes.peak_ms.shape[-1]]).abs()
    assert float(gap[torch.isfinite(gap)].max()) < 0.1


def test_exact_posterior_equals_a_grid():
    """Two latents free, three pinned by a tight prior: quadrature on a grid gives the same moments."""
    decoder = ToyDecoder()
    current = torch.tensor([-110.0, 180.0], dtype=torch.float64)
    offset, matrix = decoder.linear(current)
    prior = torch.diag(torch.tensor([1.0, 1e-8, 1.0, 1e-8, 1e-8], dtype=torch.float64))
    truth = torch.tensor([0.7, 0.0, -0.4, 0.0, 0.0], dtype=torch.float64)
    observed = offset + matrix @ truth
    observed[0, :2] = torch.nan
    noise = torch.diag(torch.tensor([0.1, 0.1, 1.0, 1.0, 3.0] * 2, dtype=torch.float64) ** 2)
    zero = torch.zeros(5).double()
    mean, cov = exact_posterior(decoder, current, observed, noise, prior_mean=zero, prior_covariance=prior)
    axis = torch.linspace(-4, 4, 401, dtype=torch.float64)
    grid = torch.zeros(401, 401, 5, dtype=torch.float64)
    grid[..., 0], grid[..., 2] = axis[:, None], axis[None]
    keep = torch.isfinite(observed).flatten()
    expected = (offset + (matrix @ grid[..., None, :, None]).squeeze(-1)).flatten(-2)[..., keep]
    logp = MultivariateNormal(observed.flatten()[keep], noise[keep][:, keep]).log_prob(expected)
    weight = torch.softmax((logp - 0.5 * (grid**2).sum(-1)).flatten(), 0).reshape(401, 401)
    for k, marginal in ((0, weight.sum(1)), (2, weight.sum(0))):
        centre = float((marginal * axis).sum())
        assert abs(centre - float(mean[k])) < 1e-3
        assert abs(float((marginal * (axis - centre) ** 2).sum()) ** 0.5 - float(cov[k, k]) ** 0.5) < 1e-3
