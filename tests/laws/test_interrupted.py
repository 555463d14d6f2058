"""Ctrl-C in the middle of an inference leaves the process as it was: the next one gives what it would have given."""

import signal
import threading
from dataclasses import dataclass

import pyro
import pytest
import torch
from pyro.poutine.runtime import _DIM_ALLOCATOR, _PYRO_STACK

import noble_prob as nb
from noble_prob.decoder.toy import ToyDecoder
from noble_prob.inference import lockstep
from noble_prob.priors import seeded, undisturbed


def state():
    """What an interrupt may leave behind."""
    return (
        list(_PYRO_STACK),
        list(_DIM_ALLOCATOR._stack),
        pyro.settings.get(),
        torch.is_grad_enabled(),
        torch.get_num_threads(),
        torch.get_default_dtype(),
    )


def leave_a_mess():
    """The worst place for Ctrl-C: handlers are on the stack and nobody is there yet who would take them off."""
    _PYRO_STACK.insert(0, pyro.poutine.block())
    _DIM_ALLOCATOR.allocate("batch0", -1)
    pyro.settings.set(validate_poutine=not pyro.settings.get("validate_poutine"))
    torch.set_grad_enabled(False)
    torch.set_num_threads(torch.get_num_threads() + 1)
    torch.set_default_dtype(torch.float64)
    raise KeyboardInterrupt


@dataclass(frozen=True)
class Stopped(ToyDecoder):
    """A decoder in whose work the user loses patience."""

    def spike_times(self, latents, current_pa):
        leave_a_mess()


@pytest.mark.parametrize("method", ["importance", "nuts"])
def test_the_next_inference_is_as_if_nothing_had_been(decoder, prior, method):
    seen = nb.respond(decoder, nb.draw(prior, 1, seed=1), [-50.0, 100.0, 150.0])
    recording = nb.Recording(protocol=seen.protocol, voltage_mv=seen.voltage_mv[0])
    settings = {
        "prior": prior,
        "method": method,
        "seed": 1,
        "warmup": 10 if method == "nuts" else None,
        "draws": 10,
        "chains": 2,
    }
    before, first = state(), nb.infer(recording, decoder=decoder, **settings)
    with pytest.raises(KeyboardInterrupt):
        nb.infer(recording, decoder=Stopped(), **settings)
    assert state() == before
    assert torch.equal(nb.infer(recording, decoder=decoder, **settings).latents, first.latents)


def test_handlers_of_the_caller_stay():
    outer = pyro.poutine.trace()
    with outer:
        with pytest.raises(KeyboardInterrupt), undisturbed():
            leave_a_mess()
        assert list(_PYRO_STACK) == [outer]


@pytest.fixture
def interruptible():
    """Ctrl-C raises, also where a shell started the tests in the background and had them ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("groups", [1, 2])
def test_chains_in_lock_step_end_with_the_one_who_waits_for_them(groups):
    """The signal reaches the main thread alone; a group that went on would go on with the caller's random numbers."""

    def chain(potential, k):
        for step in range(200):
            if (k, step) == (1, 20):
                signal.raise_signal(signal.SIGINT)
            potential(torch.randn(3, dtype=torch.float64, requires_grad=True))

    def square(points):
        return 0.5 * points.square().sum(-1), points.clone()

    before, random = threading.active_count(), torch.get_rng_state()
    with seeded(0), pytest.raises(KeyboardInterrupt):
        lockstep.run([lambda p, k=k: chain(p, k) for k in range(4)], square, groups=groups)
    assert threading.active_count() == before
    assert torch.equal(torch.get_rng_state(), random)
