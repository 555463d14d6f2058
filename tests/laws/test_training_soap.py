"""SOAP treats members apart, keeps an orthonormal eigenbasis, learns ill-conditioned problems, and is resumed."""

import pytest
import torch
from training_example import SCHEDULES, example_data, example_decoder, one_thread  # noqa: F401

from noble_prob.errors import UsageError
from noble_prob.training.loop import fit
from noble_prob.training.schedule import Schedule
from noble_prob.training.soap import TURN_EVERY, Soap
from noble_prob.training.tasks import SpikeMapTask

SETTINGS = {**vars(SCHEDULES["spike_map"]), "optimiser": "soap"}


def descend(loss, params, optimiser, steps, rate):
    for k in range(steps):
        optimiser.zero_grad()
        value = loss(params)
        value.backward()
        for group in optimiser.param_groups:
            group["lr"] = rate * (1 - k / steps)
        optimiser.step()
        if isinstance(optimiser, Soap):
            optimiser.turn(k + 1)
    return float(loss(params).detach())


def leaves(*shapes, seed=0):
    g = torch.Generator().manual_seed(seed)
    return [torch.randn(*shape, generator=g, dtype=torch.float64).requires_grad_() for shape in shapes]


def test_members_are_as_many_matrices():
    (both,) = leaves((2, 4, 4))  # square: a gradient of full rank leaves no direction whose eigenvector is arbitrary
    alone = [both[i].detach().clone().requires_grad_() for i in range(2)]
    wanted = torch.randn(2, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    descend(lambda p: (p[0] - wanted).pow(4).sum(), [both], Soap([both]), 2 * TURN_EVERY + 3, 0.05)
    for i, p in enumerate(alone):
        descend(lambda q, i=i: (q[0] - wanted[i]).pow(4).sum(), [p], Soap([p]), 2 * TURN_EVERY + 3, 0.05)
        torch.testing.assert_close(both[i], p)


def test_the_basis_is_orthonormal_and_that_of_the_gradients():
    (p,) = leaves((6, 4))
    optimiser = Soap([p])
    stretch = torch.diag(torch.tensor([10.0, 3.0, 1.0, 0.3, 0.1, 0.03], dtype=torch.float64))
    turn = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64))[0]
    g = torch.Generator().manual_seed(2)
    for k in range(40 * TURN_EVERY):
        p.grad = turn @ stretch @ torch.randn(6, 4, generator=g, dtype=torch.float64)
        optimiser.step()
        optimiser.turn(k + 1)
    basis = optimiser.state[p]["basis_left"]
    torch.testing.assert_close(basis.mT @ basis, torch.eye(6, dtype=torch.float64))
    assert float((basis.mT @ turn).abs().amax(0).min()) > 0.95  # every direction is found, in some order


def test_turned_quadratics_are_solved_where_adam_creeps():
    g = torch.Generator().manual_seed(5)
    a, b = (torch.linalg.qr(torch.randn(8, 8, generator=g, dtype=torch.float64))[0] for _ in range(2))
    scale = torch.logspace(0, -2, 8, dtype=torch.float64)

    def loss(params):
        return (scale[:, None] * (a @ (params[0] - 1) @ b) * scale).square().sum()

    (p,), (q,) = leaves((8, 8)), leaves((8, 8))
    ours = descend(loss, [p], Soap([p]), 300, 0.05)
    adam = descend(loss, [q], torch.optim.AdamW([q], weight_decay=0.0), 300, 0.05)
    assert ours < 0.1 * adam


def train(folder, task=None, steps=60):
    data = example_data()
    decoder = example_decoder(data)
    job = SpikeMapTask(data, decoder)
    if task:
        task(job)
    rows = fit(job, Schedule(**{**SETTINGS, "steps": steps}), folder, progress=False)
    return [p.detach().clone() for p in decoder.spike_map.parameters()], rows


def test_a_stopped_run_is_continued_to_the_same_bits(tmp_path):
    whole, rows = train(None)
    assert rows[-1]["spike_time_error_ms"] < rows[0]["spike_time_error_ms"]

    def dying(job):
        left, draw = iter(range(37)), job.draw
        job.draw = lambda *given: (next(left), draw(*given))[1]

    with pytest.raises(StopIteration):
        train(tmp_path, dying)
    again, _ = train(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(whole, again, strict=True))


def test_complex_weights_are_refused():
    with pytest.raises(UsageError, match="should be adamw for a network with complex weights"):
        Soap([torch.zeros(2, 2, dtype=torch.complex64)])
