"""Chains in lock step: each gets its own answers, draws depend on the seed alone, a failure ends all of them."""

import threading
import time

import pytest
import torch

from noble_prob.inference import lockstep
from noble_prob.priors import seeded


def square(points):
    """Values and slopes of half the squared length."""
    return 0.5 * points.square().sum(-1), points.clone()


def walker(length, start):
    """A chain that draws random numbers between its questions: its points, and the answers it got."""

    def chain(potential):
        path, x = [], torch.full((3,), float(start), dtype=torch.float64)
        for _ in range(length):
            x = (x + torch.randn(3, dtype=torch.float64)).detach().requires_grad_()
            value = potential(x)
            (slope,) = torch.autograd.grad(value, x)
            path.append(torch.cat([x.detach(), slope, value.detach()[None]]))
        return torch.stack(path)

    return chain


@pytest.mark.parametrize("groups", [1, 2, 3])
def test_every_chain_gets_the_answer_to_its_own_question(groups):
    lengths = (5, 1, 9, 4, 7)
    with seeded(1):
        paths, evaluations = lockstep.run([walker(n, 10 * k) for k, n in enumerate(lengths)], square, groups=groups)
    assert [len(path) for path in paths] == list(lengths)
    assert evaluations == max(lengths)
    for path in paths:
        torch.testing.assert_close(path[:, 3:6], path[:, :3])
        torch.testing.assert_close(path[:, 6], 0.5 * path[:, :3].square().sum(-1))


def test_draws_depend_on_the_seed_and_not_on_which_group_is_faster():
    """One group is held up, then the other; both times the random numbers are those of an undisturbed run."""

    def run(slow, seed=3):
        def evaluate(points):
            time.sleep(0.01 if float(points[0, 0]) > 50 and slow == "second" else 0.0)
            time.sleep(0.01 if float(points[0, 0]) < 50 and slow == "first" else 0.0)
            return square(points)

        with seeded(seed):
            return torch.stack(lockstep.run([walker(12, 100 * (k > 1)) for k in range(4)], evaluate, groups=2)[0])

    plain = run("")
    assert torch.equal(run("first"), plain)
    assert torch.equal(run("second"), plain)
    assert not torch.equal(run("", seed=4), plain)
    moves = plain[:, :, :3].diff(dim=1).flatten(1)  # 33 a chain: independent ones correlate by 0.7 once in 100,000
    assert float((torch.corrcoef(moves) - torch.eye(4, dtype=torch.float64)).abs().max()) < 0.7


def test_groups_are_evaluated_side_by_side():
    """Each evaluation waits for one of the other group: if they came one after the other, it would wait in vain."""
    meeting = threading.Barrier(2, timeout=20)

    def evaluate(points):
        meeting.wait()
        return square(points)

    with seeded(0):
        _, evaluations = lockstep.run([walker(6, k) for k in range(4)], evaluate, groups=2)
    assert evaluations == 6


@pytest.mark.parametrize("groups", [1, 2])
def test_a_failure_is_raised_and_no_thread_stays(groups):
    def broken(potential):
        potential(torch.zeros(3, dtype=torch.float64, requires_grad=True))
        raise ArithmeticError("a chain")

    def wall(points):
        raise FloatingPointError("the density")

    before = threading.active_count()
    with seeded(0), pytest.raises(ArithmeticError, match="a chain"):
        lockstep.run([walker(50, 0), walker(50, 1), walker(50, 2), broken], square, groups=groups)
    with seeded(0), pytest.raises(FloatingPointError, match="the density"):
        lockstep.run([walker(50, k) for k in range(4)], wall, groups=groups)
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before
