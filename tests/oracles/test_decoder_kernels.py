"""The Triton kernels against float64, in Triton's interpreter everywhere and on the device where there is one."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from noble_prob.bench.decoders import relative_error
from noble_prob.bench.exact import exact_voltage
from noble_prob.bench.timing import neurons_and_currents
from noble_prob.decoder.checkpoint import load_decoder

ROOT = Path(__file__).resolve().parents[2]
CELL = "pvalb-689331391"
needs_triton = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")

# The interpreter takes its time for every operation of every program: two traces of two tiles, the second of
# which is not full, with channels, modes and ranks that have to be padded, are all that the kernels tell apart.
SETTING = """
import torch
from test_decoder_paths import error, random_operator, textbook
from noble_prob.decoder.embedding import firing_channels
g = torch.Generator().manual_seed(7)
times = torch.rand(2, 6, generator=g).cumsum(-1) * 40
happens = torch.where(times < 100, times, torch.inf)
current, condition = torch.tensor([-50.0, 200.0]), torch.randn(2, 7, generator=g)
at = torch.arange(201) * 0.75 - 15
channels = firing_channels(times, current, at, duration_ms=100.0, happens=happens)
"""

FORWARD = """
from noble_prob.decoder.fused_decoders import FusedOperator
operator = random_operator(6, width=24, layers=2, modes=16, hidden=12)
wanted = textbook(operator, channels, condition)
for dtype, tolerance in ((torch.float32, 1e-6), (torch.float16, 1e-3)):
    fused = FusedOperator(operator, at, duration_ms=100.0, dtype=dtype, precision="tf32x3")
    found = error(fused(times, happens, current, condition), wanted)
    assert found < tolerance, (dtype, found)
for gelu, per in (("half", 1), ("polynomial", 3)):
    fused = FusedOperator(operator, at, duration_ms=100.0, gelu=gelu, per=per)
    found = error(fused(times, happens, current, condition), wanted)
    assert found < 1e-3, (gelu, found)
operator.layers[1].skip.weight.mul_(1.2)
assert error(FusedOperator(operator, at, duration_ms=100.0)(times, happens, current, condition), wanted) > 1e-3
"""

PAPER = """
from noble_prob.bench.exact import exact_fno
from noble_prob.decoder.base import Window
from noble_prob.decoder.checkpoint import load_decoder
from noble_prob.decoder.paper import PaperArchitecture, PaperDecoder
from noble_prob.latent import LatentSpace
torch.manual_seed(3)
full = load_decoder("pvalb-689331391")
space = LatentSpace(name="two", latents=full.space.latents[:2], mean=full.space.mean[:2], sd=full.space.sd[:2])
decoder = PaperDecoder(space=space, window=full.window, summary_names=(),
                       architecture=PaperArchitecture(layers=2, modes=16)).requires_grad_(False)
for p in decoder.operator.parameters():
    p.mul_(1.5)
decoder.low.copy_(space.mean - space.sd)
decoder.high.copy_(space.mean + space.sd)
latents, current = (space.mean + 0.5 * torch.randn(2, 2, generator=g) * space.sd).float(), torch.tensor([-40.0, 170.0])
grid = torch.arange(201) * 512 / 201
wanted = 20 * exact_fno(decoder.operator, decoder.channels(latents, current, grid)) - 70
for dtype, tolerance in ((torch.float32, 1e-6), (torch.float16, 1e-3)):
    decoder.kernel_options = {"dtype": dtype, "precision": "tf32x3"}
    found = error(decoder._by_kernels(latents, current, grid), wanted)
    assert found < tolerance, (dtype, found)
decoder.kernel_options = {}
found = error(decoder._by_kernels(latents, current, grid), wanted)
assert found < 1e-3, found
"""

BACKWARD = """
from noble_prob.decoder.differentiable import voltage
operator = random_operator(8, width=16, layers=2, modes=16, hidden=16).requires_grad_(True)
inputs = channels[..., :199].clone().requires_grad_(), condition.clone().requires_grad_()
weight = torch.randn(2, 199, generator=g)
def by_kernels(channels, condition):
    film = operator.film(condition).unflatten(-1, (3, 2, 16))
    return voltage(operator, channels, 1 + film[:, :, 0], film[:, :, 1])
wanted = torch.autograd.grad((operator(*inputs, path="reference") * weight).sum(), [*inputs, *operator.parameters()])
found = torch.autograd.grad((by_kernels(*inputs) * weight).sum(), [*inputs, *operator.parameters()])
for a, b in zip(found, wanted, strict=True):
    assert float((a - b).norm() / b.norm()) < 1e-4
operator.requires_grad_(False)  # other kernels take the modes then
frozen = torch.autograd.grad((by_kernels(*inputs) * weight).sum(), inputs)
for a, b in zip(frozen, wanted[:2], strict=True):
    assert float((a - b).norm() / b.norm()) < 1e-4
operator.layers[0].spectral.weight.tensor.mul_(2.0)  # matrices that were kept are made anew
changed = torch.autograd.grad((operator(*inputs, path="reference") * weight).sum(), inputs)
found = torch.autograd.grad((by_kernels(*inputs) * weight).sum(), inputs)
assert float((found[1] - changed[1]).norm() / changed[1].norm()) < 1e-4
"""

EMBEDDING = """
from noble_prob.decoder.channels import _Channels
stamps = [times.clone().requires_grad_(), happens.clone().requires_grad_(), current.clone().requires_grad_()]
exact = [x.detach().double().requires_grad_() for x in stamps]
by_kernel = _Channels.apply(*stamps, at, 100.0)
by_torch = firing_channels(exact[0], exact[2], at.double(), duration_ms=100.0, happens=exact[1])
assert error(by_kernel.detach(), by_torch.detach()) < 1e-6
weight = torch.randn(by_torch.shape, generator=g, dtype=torch.float64)
wanted = torch.autograd.grad((by_torch * weight).sum(), exact)
found = torch.autograd.grad((by_kernel * weight.float()).sum(), stamps)
for a, b in zip(found, wanted, strict=True):
    assert float((a - b).norm() / b.norm()) < 1e-4, (a, b)
"""


@needs_triton
def test_kernels_in_the_interpreter():
    versions = [tuple(int(x) for x in version(name).split(".")[:2]) for name in ("triton", "numpy")]
    if versions[0] < (3, 8) and versions[1] >= (2, 5):
        pytest.skip("the interpreter of triton 3.6 does not run with numpy 2.5")
    env = {
        **os.environ,
        "TRITON_INTERPRET": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]),
    }
    program = SETTING + EMBEDDING + FORWARD + PAPER + BACKWARD
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=env, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]


@needs_cuda
@pytest.mark.parametrize("n", [1, 3, 65])
@pytest.mark.parametrize("options", [{}, {"dtype": torch.float32}, {"dtype": torch.float32, "precision": "tf32x3"}])
def test_trained_weights_on_the_device(n, options):
    decoder = load_decoder(CELL, device="cuda")
    decoder.kernel_options = options
    probe = neurons_and_currents(decoder, n)
    assert relative_error(decoder, probe, exact_voltage(CELL, *probe)) < 1e-3


@needs_cuda
def test_a_graph_gives_the_gradient_of_the_call_it_belongs_to():
    decoder = load_decoder(CELL, device="cuda")
    latents, current = (v.cuda() for v in neurons_and_currents(decoder, 4))

    def answers(graphs):
        decoder.graphs = graphs
        one, two = latents.clone().requires_grad_(), (latents + 0.1).requires_grad_()
        first, second = decoder.respond(one, current), decoder.respond(two, current)
        twice = [torch.autograd.grad(first.sum(), one, retain_graph=True)[0] for _ in range(2)]
        return (*twice, torch.autograd.grad(second.sum(), two)[0])

    for a, b in zip(answers(True), answers(False), strict=True):
        assert float((a - b).norm() / b.norm()) < 1e-3


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_graphs_are_those_of_the_device_of_the_decoder():
    """Streams and graphs once were those of the first device, wherever the weights were."""
    decoders = {place: load_decoder(CELL, device=place) for place in ("cuda:1", "cuda:0")}
    latents, current = neurons_and_currents(decoders["cuda:0"], 4)
    for shift in (0.0, 0.05):
        there, here = (d.respond((latents + shift).to(k), current.to(k)).cpu() for k, d in decoders.items())
        torch.testing.assert_close(there, here, rtol=1e-4, atol=1e-3)
