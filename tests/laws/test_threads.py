"""Pyro and torch keep one state for all threads: threads that infer or draw take turns, each as if it were alone."""

import threading

import pytest
import torch

import noble_prob as nb


def together(*works):
    """What each function gives in a thread of its own; an exception is its result."""
    results = {}

    def body(k, work):
        try:
            results[k] = work()
        except Exception as error:
            results[k] = error

    threads = [threading.Thread(target=body, args=pair) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return [results.get(k) for k in range(len(works))]


@pytest.mark.parametrize("method", ["importance", "nuts"])
def test_two_threads_give_the_draws_of_one(decoder, prior, method):
    seen = nb.respond(decoder, nb.draw(prior, 1, seed=1), [-50.0, 100.0, 150.0])
    recording = nb.Recording(protocol=seen.protocol, voltage_mv=seen.voltage_mv[0])

    def latents(seed):
        lengths = {"warmup": 10 if method == "nuts" else None, "draws": 10, "chains": 2}
        settings = {"decoder": decoder, "prior": prior, **lengths, "fall_back": False}
        return nb.infer(recording, method=method, seed=seed, **settings).latents

    def drawn():
        return torch.stack([nb.draw(prior, 5, seed=k).value for k in range(200)])

    serial = latents(1), latents(2), drawn()
    found = together(lambda: latents(1), lambda: latents(2), drawn)
    for ours, alone in zip(found, serial, strict=True):
        assert isinstance(ours, torch.Tensor), repr(ours)
        assert torch.equal(ours, alone)
