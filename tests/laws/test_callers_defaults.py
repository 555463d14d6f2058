"""What the caller has set in torch (default type, default device, no gradients) changes no number."""

from contextlib import contextmanager

import pytest
import torch

import noble_prob as nb


@contextmanager
def default_type(dtype):
    """Another default type for a while."""
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def numbers(name):
    """Neurons and responses of a cell that is loaded on the way; of the toy, a posterior and a fitted flow too."""
    cell = nb.load_cell(name)
    neurons = nb.draw(cell.prior, 2, seed=1)
    seen = nb.respond(cell.decoder, neurons, [-50.0, 100.0, 150.0])
    repeats = nb.respond(cell.decoder, neurons, [-50.0, 150.0], trials=2, seed=1)
    found = [neurons.value, seen.voltage_mv, repeats.voltage_mv]
    if name != "toy":
        return found
    recording = nb.Recording(protocol=seen.protocol, voltage_mv=seen.voltage_mv[0])
    posterior = nb.infer(recording, decoder=cell.decoder, prior=cell.prior, method="importance", seed=1, draws=10)
    fitted = nb.fit_prior(cell.models, "flow", seed=1, hidden=(4,), transforms=1).sample(3, seed=1)
    return [*found, posterior.latents, fitted.value]


@pytest.mark.parametrize("name", ["toy", "pvalb-689331391"])
def test_a_default_of_double_precision_changes_no_number(name):
    plain = numbers(name)
    with default_type(torch.float64):
        double = numbers(name)
        assert torch.get_default_dtype() == torch.float64
    assert [x.dtype for x in double] == [x.dtype for x in plain]
    assert double[1].dtype == torch.float32
    assert all(torch.equal(a, b) for a, b in zip(plain, double, strict=True))


@pytest.mark.parametrize("name", ["toy", "pvalb-689331391"])
def test_a_cell_is_loaded_on_the_processor_whatever_the_default_device(name):
    plain = nb.load_cell(name)
    with torch.device("meta"):
        cell = nb.load_cell(name)
    assert torch.equal(cell.models.value, plain.models.value)
    assert cell.demo[0].voltage_mv.equal(plain.demo[0].voltage_mv)


@pytest.mark.parametrize("kind", ["student", "mixture", "flow"])
def test_a_prior_is_fitted_where_gradients_are_switched_off(kind):
    cell = nb.load_cell("toy")
    plain = nb.fit_prior(cell.models, kind, seed=1)
    with torch.no_grad():
        other = nb.fit_prior(cell.models, kind, seed=1)
        assert not torch.is_grad_enabled()
    assert all(torch.equal(plain.tensors[name], other.tensors[name]) for name in plain.tensors)
