"""What is passed in place of a recording, neurons, a prior or a decoder is told, and so are settings out of range."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import noble_prob as nb
from noble_prob.calibration import FeatureTable, calibrate_population
from noble_prob.ensemble import respond_features
from noble_prob.errors import UsageError
from noble_prob.inference.hierarchy import infer_population
from noble_prob.population.builtin import builtin_cell
from noble_prob.population.trace import Numerics
from noble_prob.priors import widened
from noble_prob.readers import write_csv, write_npz


@pytest.fixture(scope="module")
def toy():
    return nb.load_cell("toy")


@pytest.fixture(scope="module")
def answer(toy):
    return nb.respond(toy.decoder, toy.models.select(slice(0, 3)), [180.0])


TABLE = FeatureTable(names=("x",), units=("",), value=np.arange(6.0)[:, None], axis="neuron")
WRONG = {
    "draw a cell": (lambda c, r: nb.draw(c, 3, seed=0), "`prior` should be a Prior; found a Cell; pass cell.prior"),
    "respond of a cell": (lambda c, r: nb.respond(c, c.models, [50.0]), "`decoder` .* found a Cell; pass cell.decoder"),
    "respond to arrays": (
        lambda c, r: nb.respond(c.decoder, c.models.value.numpy(), [50.0]),
        "`neurons` should be Neurons; found a ndarray",
    ),
    "respond with a word": (
        lambda c, r: nb.respond(c.decoder, c.models, [50.0], trials=2, trial_model="x"),
        "`trial_model` should be a TrialModel; found a str",
    ),
    "respond on no device": (
        lambda c, r: nb.respond(c.decoder, c.models, [50.0], device="gpu"),
        "`device` should be cpu, cuda or cuda:N; found 'gpu'",
    ),
    "features on no device": (
        lambda c, r: respond_features(c.decoder, c.models, 50.0, names=["spike_count"], device="cuda:99"),
        "`device` should be a device of this machine",
    ),
    "measure a voltage": (lambda c, r: nb.measure(r.voltage_mv), "`recording` should be a Recording; found a Tensor"),
    "curve of a voltage": (lambda c, r: nb.fi_curve(r.voltage_mv), "`recording` should be a Recording"),
    "plausibility of points": (lambda c, r: nb.plausibility(c.prior, c.models.value), "`neurons` should be Neurons"),
    "plausibility by a cell": (lambda c, r: nb.plausibility(c.prior, c.models, decoder=c), "`decoder` should be"),
    "fit points": (lambda c, r: nb.fit_prior(c.models.value), "`neurons` should be Neurons; found a Tensor"),
    "load nothing": (lambda c, r: nb.load_cell(None), "`cell` should be a name or a folder; found a NoneType"),
    "pool a word": (lambda c, r: infer_population("x" * 9, prior=c.prior), r"`posteriors\[0\]` should be a Posterior"),
    "pool recordings": (lambda c, r: infer_population([r] * 9, prior=c.prior), "Posterior; found a Recording"),
    "pool one": (lambda c, r: infer_population(r, prior=c.prior), "`posteriors` should be a list of posteriors; found"),
    "pool by a cell": (lambda c, r: infer_population([], prior=c), "`prior` should be a Prior"),
    "simulate a cell": (
        lambda c, r: nb.simulate(c, [100.0]),
        "`models` should be a CellModel, several, or a HallOfFame; found a Cell; ",
    ),
    "simulate names": (lambda c, r: nb.simulate(["b0"], [100.0]), "`models` should be .*; found a str"),
    "simulate under a word": (lambda c, r: nb.simulate(builtin_cell(), "x"), "`amplitudes_pa` should be numbers"),
    "rows of a recording": (
        lambda c, r: FeatureTable.from_features(r, axis="neuron"),
        "`features` should be Features; found a Recording",
    ),
    "rows of neurons": (
        lambda c, r: FeatureTable.from_features(c.models, axis="neuron"),
        "`features` should be Features; found a Neurons",
    ),
    "write in the order of numpy": (
        lambda c, r: write_npz("x.npz", r),
        "`recording` should be a Recording; found a str; pass the recording first",
    ),
    "write a path as CSV": (lambda c, r: write_csv("x.csv", r), "`recording` should be a Recording; found a str"),
    "read nothing": (lambda c, r: nb.read(None), "`path` should be the name of a file .* found None"),
    "read bytes": (lambda c, r: nb.read(b"x.csv"), "`path` should be the name of a file .* found b'x.csv'"),
    "read an empty path": (lambda c, r: nb.read(""), "`path` should be the name of a file .* found ''"),
    "read numbers": (lambda c, r: nb.read([3]), "`path` should be the name of a file .* found 3"),
    "a potential in words": (
        lambda c, r: nb.read("x.csv", liquid_junction_potential_mv="a"),
        "`liquid_junction_potential_mv` should be a number of mV; found 'a'",
    ),
    "a potential that is true": (lambda c, r: nb.read("x.csv", liquid_junction_potential_mv=True), "found True"),
    "measure a number": (lambda c, r: nb.measure(r, names=3), "`names` should be a list of features; found 3"),
    "measure a word": (lambda c, r: nb.measure(r, names="sag_mv"), "`names` should be a list of features; found 'sag"),
    "measure for a word": (lambda c, r: nb.measure(r, window_ms="5"), "`window_ms` should be a positive .* found '5'"),
    "arrays of no axes": (lambda c, r: nb.from_arrays([0, 1], [0, 0], [0, 0], axes=None), "`axes` should be names"),
    "infer by a number": (
        lambda c, r: nb.infer(c.demo[0], decoder=c.decoder, prior=c.prior, method="npe", estimator=3),
        "`estimator` should be an Estimator; found a int",
    ),
    "infer more than memory": (
        lambda c, r: nb.infer(c.demo[0], decoder=c.decoder, prior=c.prior, draws=10**6, chains=10**7),
        "`draws` should be few enough for the memory .* found 10,000,000 chains of 1,000,000 draws",
    ),
    "respond with more than memory": (
        lambda c, r: nb.respond(c.decoder, c.models, [50.0], trials=10**9),
        "`neurons` should be few enough for the memory",
    ),
    "fit with a word": (lambda c, r: nb.fit_prior(c.models, eta="a"), "`eta` should be a finite number; found 'a'"),
    "fit with nothing": (lambda c, r: nb.fit_prior(c.models, df=None), "`df` should be a finite number; found None"),
    "fit one neuron often": (
        lambda c, r: nb.fit_prior(c.models.select([0, 0, 0, 0, 0, 1])),
        "`neurons` should be at least 5 different cells; found 2 among 6",
    ),
    "compartments of atoms": (lambda c, r: Numerics(cv_um=1e-9), "`cv_um` should be at least 0.1 µm"),
    "calibrate at a word": (
        lambda c, r: calibrate_population(TABLE, TABLE, alpha="x"),
        "`alpha` should be from 0.001 to below 1; found 'x'",
    ),
    "a row that is not there": (lambda c, r: TABLE.rows([99]), "`index` should be indices below 6"),
    "a row and a half": (lambda c, r: TABLE.rows([1.5]), "`index` should be indices below 6"),
    "a row by a word": (lambda c, r: TABLE.rows("a"), "`index` should be numbers"),
    "a short mask": (lambda c, r: TABLE.rows([True]), "`index` should be one True or False for each of 6 rows"),
    "a table of numbered columns": (lambda c, r: replace(TABLE, names=(1,)), "`names` should be words; found 1"),
    "widen a cell": (lambda c, r: widened(c, 2.0), "`prior` should be a Prior"),
}


@pytest.mark.parametrize("case", WRONG)
def test_another_kind_of_object_is_told(toy, answer, case):
    call, sentence = WRONG[case]
    with pytest.raises(UsageError, match=sentence):
        call(toy, answer)


@pytest.mark.parametrize("change", [{"chains": 1}, {"warmup": 0}, {"draws": 0}, {"draws": -5}, {"chains": 2.5}])
def test_pooling_is_of_chains_that_can_be_judged(toy, change):
    (name,) = change
    with pytest.raises(UsageError, match=f"`{name}` should be a whole number"):
        infer_population([], prior=toy.prior, **change)


@pytest.mark.parametrize(
    ("kind", "change", "match"),
    [
        ("flow", {"transforms": 0}, "`transforms` should be a whole number of layers, at least 1"),
        ("flow", {"bins": 0}, "`bins` should be a whole number"),
        ("flow", {"hidden": (0,)}, "`hidden` should be a whole number of units per layer"),
        ("flow", {"hidden": 32}, "`hidden` should be one width per hidden layer"),
        ("mixture", {"components": 2.5}, "`components` should be a whole number of Gaussians"),
        ("mixture", {"components": 0}, "found 0; ask for 1 or more"),
        ("mixture", {"components": 61}, "found 61; ask for fewer"),
    ],
)
def test_a_prior_is_fitted_with_settings_in_range(toy, kind, change, match):
    with pytest.raises(UsageError, match=match):
        nb.fit_prior(toy.models, kind, **change)


@pytest.mark.parametrize("kind", ["student", "gaussian", "empirical"])
def test_a_latent_that_is_the_same_in_all_neurons_is_named(toy, kind):
    value = toy.models.value.clone()
    value[:, 1] = 5.0
    with pytest.raises(UsageError, match=f"found one value of {toy.models.space.names[1]}; drop the latent"):
        nb.fit_prior(replace(toy.models, value=value), kind)


@pytest.mark.parametrize("factor", ["2", None, 0.5, float("nan"), float("inf")])
def test_a_prior_is_widened_by_a_number(toy, factor):
    with pytest.raises(UsageError, match="`factor` should be a number of at least one"):
        widened(toy.prior, factor)
    assert torch.allclose(widened(toy.prior, np.float32(2)).moments[1], 4 * toy.prior.moments[1])


@pytest.mark.parametrize(
    ("threshold", "match"),
    [
        (float("nan"), "finite voltage in mV; found nan"),
        ("-20", "finite"),
        (float("inf"), "finite"),
        (-0.02, "found -0.02, which looks like volts; multiply it by 1000"),
    ],
)
def test_a_threshold_is_a_voltage_in_mv(answer, threshold, match):
    for verb in (nb.measure, nb.fi_curve, lambda r, **more: nb.find_spikes(r.voltage_mv, r.time_ms, **more)):
        with pytest.raises(UsageError, match=f"`threshold_mv` should be .*{match}"):
            verb(answer, threshold_mv=threshold)
        verb(answer, threshold_mv=0)


@pytest.mark.parametrize("kind", [np.asarray, lambda x: np.asarray(x)[..., ::-1][..., ::-1], lambda x: x.tolist()])
def test_spikes_are_found_in_arrays_and_lists(answer, kind):
    wanted = nb.find_spikes(answer.voltage_mv, answer.time_ms)
    found = nb.find_spikes(kind(answer.voltage_mv), kind(answer.time_ms))
    assert int(wanted.count.sum()) > 0
    assert torch.equal(found.count, wanted.count)
    assert torch.allclose(found.peak_ms, wanted.peak_ms, atol=1e-3, equal_nan=True)


def test_spikes_need_a_time_per_sample(answer):
    with pytest.raises(UsageError, match="`time_ms` should be one time for each sample"):
        nb.find_spikes(answer.voltage_mv, answer.time_ms[1:])
    with pytest.raises(UsageError, match="`voltage_mv` should be numbers"):
        nb.find_spikes("trace", answer.time_ms)


def test_axes_have_one_of_three_names(answer):
    with pytest.raises(UsageError, match=r"`axes` should be among draw, neuron, trial; found \('foo',\)"):
        replace(answer, axes=["foo"])


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"onset_ms": "100"}, "onset_ms"),
        ({"duration_ms": -1.0}, "duration_ms"),
        ({"duration_ms": 0}, "duration_ms"),
        ({"amplitude_pa": float("nan")}, "amplitude_pa"),
        ({"holding_pa": None}, "holding_pa"),
    ],
)
def test_a_step_is_of_finite_numbers_and_lasts(change, name):
    nb.Step(onset_ms=100, duration_ms=np.float32(400.0), amplitude_pa=np.int64(-50))
    with pytest.raises(UsageError, match=f"^`{name}` should be"):
        nb.Step(**({"onset_ms": 100.0, "duration_ms": 400.0, "amplitude_pa": 50.0} | change))


def test_current_and_voltage_that_were_swapped_are_told():
    time = np.arange(0, 600, 0.1)
    current = np.array([[-50.0], [80.0]]) * ((time >= 100) & (time < 500))
    voltage = -70 + 0.15 * current + np.random.default_rng(0).normal(0, 0.2, current.shape)
    made = nb.from_arrays(time, current, voltage)
    assert made.steps[1].amplitude_pa == 80
    with pytest.raises(UsageError, match=r"`current_pa` should be the injected current .*; swap the two"):
        nb.from_arrays(time, voltage, current)
    noisy = current - 70 + np.random.default_rng(1).normal(0, 3, current.shape)  # held at -70 pA: no voltage
    nb.from_arrays(time, noisy, voltage)
    nb.from_arrays(time, current, -70 + 0.15 * current)


def test_rows_of_a_table_are_picked_by_position_or_mask():
    assert TABLE.rows([4, 0, -1]).value[:, 0].tolist() == [4, 0, 5]
    assert TABLE.rows(TABLE.value[:, 0] > 3).value[:, 0].tolist() == [4, 5]
    assert len(TABLE.rows([])) == len(TABLE.rows(TABLE.value[:, 0] > 9)) == 0
    assert TABLE.rows([0]).rows([0]).value.tolist() == [[0.0]]


@pytest.mark.parametrize("sweeps", [0, "0-1", [0.5], [True], 1.5])
def test_sweeps_are_named_by_whole_numbers(sweeps, toy, tmp_path):
    write_npz(toy.demo[0], tmp_path / "a.npz")
    with pytest.raises(UsageError, match="`sweeps` should be a list of whole numbers; found "):
        nb.read(tmp_path / "a.npz", sweeps=sweeps)
    for good in ([1], np.array([1]), torch.tensor([1]), range(1, 2)):
        assert nb.read(tmp_path / "a.npz", sweeps=good).n_sweeps == 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_no_precision_to_compute_in(answer, dtype):
    """Features of a trace in half precision are those of the same numbers in double."""
    half = replace(answer, voltage_mv=answer.voltage_mv.to(dtype))
    assert half.voltage_mv.dtype == torch.float64
    double = replace(answer, voltage_mv=answer.voltage_mv.to(dtype).double())
    assert torch.equal(nb.measure(half).value.nan_to_num(0), nb.measure(double).value.nan_to_num(0))


def test_a_neuron_without_a_finite_voltage_is_named(toy, answer):
    class Overflowing(type(toy.decoder)):
        def respond(self, latents, current_pa, times_ms=None):
            voltage = super().respond(latents, current_pa, times_ms=times_ms)
            return torch.where(latents[:, :1].abs() > 1e20, torch.nan, voltage)

    value = toy.models.value[:4].clone()
    value[2] *= 1e30
    far = nb.Neurons(space=toy.models.space, value=value, axis="neuron", labels=("a", "b", "c", "d"))
    with pytest.raises(UsageError, match=r"`neurons` should be latents for .* found none for neuron 'c'; look at"):
        nb.respond(Overflowing(), far, [50.0, 100.0])
    with pytest.raises(UsageError, match=r"found none for neuron number 2 \(from 0\)"):
        nb.respond(Overflowing(), replace(far, labels=()), [50.0, 100.0], trials=3)
