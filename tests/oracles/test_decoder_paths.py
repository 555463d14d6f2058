"""Every path of the operator against the textbook in float64: full FFT, one layer after the other."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import nn

from noble_prob.decoder.checkpoint import load_decoder
from noble_prob.decoder.embedding import firing_channels
from noble_prob.decoder.operator import VoltageOperator
from noble_prob.decoder.spectral import local_basis

TOLERANCE = 1e-3  # relative L2, the promise; what is measured is four decades below it


def textbook(operator, channels, condition):
    """The operator in float64 through the whole FFT."""

    def product(conv, x):
        y = torch.einsum("oi,bit->bot", conv.weight[..., 0].double(), x)
        return y if conv.bias is None else y + conv.bias.double()[:, None]

    def two(mix, x):
        return product(mix.fcs[1], nn.functional.gelu(product(mix.fcs[0], x)))

    film = condition.double()
    for part in operator.film:
        film = (
            nn.functional.linear(film, part.weight.double(), part.bias.double())
            if hasattr(part, "weight")
            else part(film)
        )
    film = film.unflatten(-1, (len(operator.layers) + 1, 2, operator.width))[..., None]
    h = two(operator.lift, channels.double())
    for i, layer in enumerate(operator.layers):
        weight, n = layer.weight.to(torch.complex128), h.shape[-1]
        modes = min(weight.shape[-1], n // 2 + 1)
        spectrum = torch.zeros(len(h), operator.width, n // 2 + 1, dtype=torch.complex128)
        kept = torch.fft.rfft(h, norm="forward")[..., :modes]
        spectrum[..., :modes] = torch.einsum("bim,iom->bom", kept, weight[..., :modes])
        k = torch.fft.irfft(spectrum, n=n, norm="forward") + layer.spectral.bias.double() + product(layer.skip, h)
        h = h + two(layer.mix, nn.functional.gelu((1 + film[:, i, 0]) * k + film[:, i, 1]))
    h = (1 + film[:, -1, 0]) * h + film[:, -1, 1]
    return 20 * two(operator.project, h)[:, 0] - 70


def error(found, wanted):
    return float((found.double() - wanted).norm() / wanted.norm())


def random_operator(seed, **sizes):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        operator = VoltageOperator(n_channels=30, n_condition=7, **sizes)
        for p in operator.parameters():
            p.data.mul_(1.5)
    return operator.requires_grad_(False)


@pytest.mark.parametrize("path", ["fast", "products", "reference"])
@pytest.mark.parametrize(("n", "batch"), [(8192, 1), (8583, 3), (1001, 5), (257, 2), (96, 1)])
def test_random_weights(path, n, batch):
    operator = random_operator(n, width=8, layers=3, modes=256 if n > 300 else 64, hidden=4)
    g = torch.Generator().manual_seed(1)
    channels, condition = torch.randn(batch, 30, n, generator=g), torch.randn(batch, 7, generator=g)
    wanted = textbook(operator, channels, condition)
    assert error(operator(channels, condition, path=path), wanted) < TOLERANCE / 100
    perturbed = operator.layers[0].skip.weight
    perturbed.mul_(1.2)  # the comparison sees a weight that is off, and the snapshot notices that it changed
    assert error(operator(channels, condition, path=path), wanted) > TOLERANCE / 100


@pytest.mark.parametrize("n", [8192, 4095])
def test_trained_weights(n):
    decoder = load_decoder("pvalb-689331391")
    x = 0.5 * torch.randn(3, len(decoder.space), generator=torch.Generator().manual_seed(2))
    current = torch.tensor([-110.0, 120.0, 270.0])
    times = decoder.spike_map.mean_times(x, current)
    at = torch.arange(n, dtype=torch.float64) * 512 / n - decoder.window.onset_ms
    channels = firing_channels(times, current, at, duration_ms=400.0, happens=decoder.happening(x, current, times))
    condition = decoder.condition(x, current)
    wanted = textbook(decoder.operator, channels, condition)
    condition_with_gradient = condition.clone().requires_grad_()
    for path, asked in (("fast", condition), ("fast", condition_with_gradient), ("reference", condition)):
        assert error(decoder.operator(channels, asked, path=path).detach(), wanted) < TOLERANCE / 100


def test_gradients_of_the_paths_agree():
    operator = random_operator(3, width=8, layers=2, modes=64, hidden=4)
    g = torch.Generator().manual_seed(4)
    channels, condition = torch.randn(2, 30, 999, generator=g), torch.randn(2, 7, generator=g).requires_grad_()
    weight = torch.randn(2, 999, generator=g)
    grads = [
        torch.autograd.grad((operator(channels, condition, path=path) * weight).sum(), condition)[0]
        for path in ("fast", "reference")
    ]
    assert error(grads[0], grads[1].double()) < TOLERANCE


def test_large_batches_are_rendered_in_parts():
    decoder = load_decoder("pvalb-689331391")
    latents, current = decoder.space.mean.expand(5, -1), torch.linspace(-50, 200, 5)
    at = torch.arange(500) * 1.0
    with torch.no_grad():
        whole = decoder.respond(latents, current, time_ms=at)
        decoder.max_batch_bytes = 1
        parts = decoder.respond(latents, current, time_ms=at)
    assert parts.shape == whole.shape
    assert torch.allclose(parts, whole, atol=1e-3)


def test_a_few_columns_span_the_kept_modes_of_a_block():
    local, forward, _ = local_basis(8583, 129, torch.device("cpu"), torch.float64)
    x = torch.randn(8583, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    padded = nn.functional.pad(x, (0, -8583 % len(local)))
    found = (padded.view(-1, len(local)) @ local).flatten() @ forward
    wanted = torch.fft.rfft(x, norm="forward")[:129]
    assert error(found, torch.cat([wanted.real, wanted.imag])) < 1e-12
    assert local.shape[1] < 32


def test_kernels_that_can_not_run_are_given_up_with_one_line(caplog, monkeypatch):
    from noble_prob.decoder import availability

    monkeypatch.setattr(availability, "_given_up", [])
    monkeypatch.setattr(availability, "_missing", lambda: None)

    def broken():
        raise RuntimeError("no kernel image")

    with caplog.at_level(logging.WARNING):
        assert availability.attempt(lambda: 1) == 1
        assert availability.attempt(broken) is None
        assert availability.attempt(lambda: 1) is None
        assert not availability.kernels_run()
    assert [record.message.count("no kernel image") for record in caplog.records] == [1]
