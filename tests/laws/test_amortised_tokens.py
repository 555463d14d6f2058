"""What a network is told about sweeps: the numbers of the page, and the same ones as when it was trained."""

from __future__ import annotations

import math

import pytest
import torch
from amortised_example import QUIET, quiet_toy, toy_estimator, toy_prior, toy_problems

from noble_prob.amortised import Estimator, estimator
from noble_prob.amortised.known import known_recording
from noble_prob.amortised.tokens import size, tokens
from noble_prob.calibration.sbc import sbc
from noble_prob.cells import load_cell
from noble_prob.errors import UsageError
from noble_prob.inference import infer_evidence
from noble_prob.inference.belongs import stranger
from noble_prob.inference.task import Task
from noble_prob.noise import Design, Evidence

CENTRE, SCALE = torch.tensor([-70.0, -10.0]).double(), torch.tensor([2.0, 4.0]).double()


def evidence():
    """Four spikes, one, none in a shortened step, and a sweep that only pads."""
    times = torch.full((4, 5), torch.inf).double()
    times[0, :4], times[1, 0] = torch.tensor([10.0, 14.0, 20.0, 30.0]).double(), 12.0
    summary = torch.tensor([[-68.0, torch.nan], [-70.0, -2.0], [70.0, -12.0], [torch.nan, torch.nan]]).double()
    design = Design(
        current_pa=torch.tensor([100.0, 50.0, -100.0, 0.0]).double(),
        summary_names=("a", "b"),
        end_ms=torch.tensor([400.0, 400.0, 200.0, 1e-9]).double(),
    )
    return Evidence(design=design, times_ms=times, summary=summary)


def expected(current_pa, end_ms, count, values, summary):
    """One row: seven logarithms less three where there is a value (None is a zero), then what there is."""
    about = [
        current_pa / 100,
        (current_pa / 100) ** 2 / 3,
        math.log1p(max(current_pa, 0) / 20),
        math.exp(-max(current_pa, -20) / 30),
        math.log(end_ms / 400),
        count / 20,
        math.log1p(count),
    ]
    logs = [0.0 if v is None else math.log(v) - 3 for v in values]
    return [
        *about,
        *logs,
        *[float(v is not None) for v in values],
        *[x or 0.0 for x in summary],
        *[float(x is not None) for x in summary],
    ]


def test_a_row_holds_what_the_page_says():
    """Latency, first, second, middle, last and mean interval, and the time left after the last spike."""
    rows, real = tokens(evidence(), CENTRE, SCALE)
    assert real.tolist() == [True, True, True, False]
    assert rows.shape == (4, size(2))
    known = [
        expected(100.0, 400.0, 4, (10, 4, 6, 6, 10, 20 / 3, 370), (1.0, None)),
        expected(50.0, 400.0, 1, (12, None, None, None, None, None, 388), (0.0, 2.0)),
        expected(-100.0, 200.0, 0, (None, None, None, None, None, None, 200), (10.0, -0.5)),  # 70 spreads off: ten
    ]
    for row, values in zip(rows, known, strict=False):
        assert row.tolist() == pytest.approx(values, abs=1e-6)


@pytest.mark.parametrize("name", ["pvalb-689331391", "vip-650077366"])
def test_the_known_recording_asks_for_every_number_of_a_row(name):
    """A number that is the same in all its sweeps would not be missed."""
    e = load_cell(name).estimator
    given = known_recording(e.summary_names, e.tensors["feature_centre"], e.tensors["feature_scale"])
    rows, real = tokens(given, e.tensors["feature_centre"], e.tensors["feature_scale"])
    assert real.tolist() == [True] * 6 + [False]
    told = rows[real]
    alike = [k for k in range(told.shape[-1]) if float(told[:, k].max() - told[:, k].min()) == 0]
    assert alike == [20]  # the time left exists in every sweep
    assert float(told.max()) == 10.0  # a feature further off than rows tell
    inside = torch.isfinite(given.times_ms)
    assert bool((given.times_ms <= given.design.end_ms[:, None])[inside].all())


@pytest.mark.parametrize("name", ["pvalb-689331391", "vip-650077366"])
def test_shipped_estimators_are_told_what_they_were_trained_with(name):
    """Their weights are fixed: other densities mean that rows of sweeps, or the network around them, have changed."""
    estimator = load_cell(name).estimator
    assert len(estimator.answers) == 3
    assert estimator.asked() == pytest.approx(estimator.answers, abs=1e-3)


@pytest.fixture(scope="module")
def toy():
    decoder = quiet_toy()
    prior = toy_prior(decoder)
    return decoder, prior, toy_estimator(decoder, prior, noise=QUIET, steps=150)


def test_an_estimator_that_is_told_something_else_is_left_aside(toy, tmp_path, monkeypatch):
    """Half the count, or a time left that forgets the last spike: its densities would be wrong without a word."""
    decoder, prior, trained = toy
    trained.save(tmp_path)
    known = Estimator.load(tmp_path)
    assert len(known.answers) == 3
    assert known.answers == pytest.approx(known.asked(), abs=1e-3)
    assert stranger(known, decoder, prior, noise=QUIET) == ""
    (problem,) = toy_problems(decoder, prior, 1, noise=QUIET)
    column = {"count": 5, "time left": 13}
    for k in column.values():

        def other(evidence, centre, scale, k=k):
            rows, real = tokens(evidence, centre, scale)
            rows[..., k] = 0.5 * rows[..., k]
            return rows, real

        with monkeypatch.context() as patch:
            patch.setattr(estimator, "tokens", other)
            assert stranger(known, decoder, prior, noise=QUIET) == "another description of sweeps"
            found = infer_evidence(
                [problem],
                decoder=decoder,
                prior=prior,
                method="npe",
                estimator=known,
                seed=1,
                robust=False,
                noise=QUIET,
                draws=50,
            )[0]
            assert found.method == "importance"
            assert "another description of sweeps" in found.notes[0].sentence
            with pytest.raises(UsageError, match=r"another description of sweeps.*train-npe"):
                sbc(Task(decoder=decoder, prior=prior, method="npe", estimator=known, noise=QUIET), problem.design, 20)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_the_answers_do_not_depend_on_where_the_network_is(toy):
    trained = toy[2]
    here = trained.asked()
    trained.network.to("cuda")
    assert trained.asked() == pytest.approx(here, abs=1e-3)
