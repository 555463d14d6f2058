"""What a notebook prints of every result is one line, and says what it is of."""

import numpy as np
import pytest
import torch
from report_example import example

import noble_prob as nb
from noble_prob.calibration import FeatureTable, calibrate_repeats
from noble_prob.calibration.predictive import check_predictive
from noble_prob.noise import Design, Evidence
from noble_prob.noise.repeats import RepeatFit, SpikeRepeats
from noble_prob.population.builtin import builtin_hof


def evidence() -> Evidence:
    times = torch.tensor([[[5.0, 15.0, torch.inf], [torch.inf] * 3]])
    design = Design(
        current_pa=torch.tensor([[50.0, 20.0]]), end_ms=torch.full((1, 2), 400.0), summary_names=("sag_mv",)
    )
    return Evidence(design=design, times_ms=times, summary=torch.zeros(1, 2, 1))


def repeats() -> SpikeRepeats:
    return SpikeRepeats(
        times_ms=[[torch.ones(3)] * 4] * 2, end_ms=[400.0] * 2, cell=["a", "a"], current_pa=[50.0, 100.0]
    )


def fit() -> RepeatFit:
    return RepeatFit(repeats=repeats(), scales=torch.ones(7, 2, 3), cells=("a",), r_hat=1.02, divergences=1, seed=5)


def check():
    rng = np.random.default_rng(0)
    draws = rng.standard_normal((50, 2, 1))
    return check_predictive(draws[0], draws[1:], names=("x",), units=("mV",), sweeps=("+1 pA", "+2 pA"))


def verdict():
    tables = [
        FeatureTable(names=("x",), units=("mV",), value=rng.standard_normal((12, 1)), axis="trial")
        for rng in (np.random.default_rng(k) for k in range(2))
    ]
    return calibrate_repeats(*tables).features[0]


def spikes():
    cell = nb.load_cell("toy")
    answer = nb.respond(cell.decoder, cell.models.select([0, 1]), [180.0])
    return nb.find_spikes(answer.voltage_mv, answer.time_ms)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (evidence, "Evidence(sweeps 1 x 2, spikes 2; sag_mv)"),
        (repeats, "SpikeRepeats(trains 8, groups 2, cells 1)"),
        (fit, "RepeatFit(draws 7, groups 2, cells 1, seed 5; worst R-hat 1.020, divergences 1)"),
        (check, "PredictiveCheck(draws 49, sweeps 2, features 1, values judged 2; p of misfit "),
        (verdict, "FeatureVerdict(not judged: X has "),
        (builtin_hof, "HallOfFame('builtin', 12 models)"),
        (lambda: builtin_hof().models[0], "CellModel('b0', 21 parameters)"),
        (spikes, "Spikes(traces 2, spikes "),
        (example, "ReportData('cell <1> & co'; Trial to trial: issue; findings 3)"),
        (lambda: nb.load_cell("pvalb-689331391").decoder, "NobleDecoder(LatentSpace('features21', 21 latents), "),
        (lambda: nb.load_cell("pvalb-689331391").estimator, "Estimator(28 numbers of the program, "),
        (lambda: nb.TrialModel.usual(nb.load_cell("toy").decoder.space), "TrialModel(5 latents by "),
    ],
)
def test_what_is_printed_is_one_line_that_says_what_it_is(make, words):
    said = repr(make())
    assert said.startswith(words)
    assert len(said.splitlines()) == 1
    assert len(said) < 250
