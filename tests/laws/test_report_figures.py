"""What figures show: shared axes and bins, no more points than said, labels with units, bars at a single current."""

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_hex
from report_example import example

from noble_prob.report import FeaturePanel, FiPanel, LatentRow, Overlay, PairPlot, Raster
from noble_prob.report.figures import features, latents, pairs, traces
from noble_prob.report.svg import ENSEMBLE, EXPERIMENT, MUTED, PRIOR, TRUTH, drawing

NAMES, UNITS = ("membrane_time_constant_m30pa_ms", "sag_mv"), ("ms", "mV")


@pytest.fixture
def drawn(monkeypatch):
    """Figures as they were drawn, in order."""
    figures = []

    @contextmanager
    def kept(*size, salt):
        with drawing(*size, salt=salt) as figure:
            yield figure
            figures.append(figure)

    for module in (features, latents, pairs, traces):
        monkeypatch.setattr(module, "drawing", kept)
    return figures


@pytest.fixture
def corner(drawn):
    """Axes of a pair plot of a posterior much narrower than its prior; those below the diagonal included."""
    rng = np.random.default_rng(1)
    panel = PairPlot(
        names=NAMES,
        units=UNITS,
        posterior=rng.normal(1, 0.1, (299, 2)),
        truth=[1.0, np.nan],
        prior=rng.standard_normal((400, 2)),
        population=rng.uniform(-5, 5, (40, 2)),
    )
    pairs.draw_pairs(panel, "pairs")
    return np.array(drawn[0].axes).reshape(2, 2)


def test_a_column_shares_its_axis_and_its_bins(corner):
    assert corner[0, 0].get_xlim() == corner[1, 0].get_xlim()
    assert corner[1, 0].get_ylim() == corner[1, 1].get_xlim()
    prior, population, posterior = corner[0, 0].patches
    assert np.array_equal(prior.get_data().edges, posterior.get_data().edges)
    assert set(population.get_data().edges) <= set(prior.get_data().edges)
    assert corner[0, 0].get_xlim()[1] > 4.5  # all of the population


def test_the_population_is_an_outline_on_the_diagonal(corner):
    prior, population, posterior = corner[0, 0].patches
    assert [p.get_fill() for p in (prior, population, posterior)] == [True, False, True]
    assert [to_hex(p.get_facecolor()) for p in (prior, posterior)] == [PRIOR, ENSEMBLE]
    assert to_hex(population.get_edgecolor()) == MUTED
    assert population.get_data().values.max() == 1


def test_the_truth_is_open(corner):
    (marker,) = corner[1, 0].lines
    assert marker.get_markerfacecolor() == "none"
    assert marker.get_markeredgecolor() == TRUTH


@pytest.mark.parametrize(("n", "left"), [(100, 100), (150, 150), (151, 76), (299, 150), (301, 101), (0, 0)])
def test_never_more_points_than_said(n, left):
    assert len(pairs.thinned(np.zeros((n, 2)), 150)) == left


def test_long_names_break_into_lines(corner):
    lines = corner[1, 0].get_xlabel().splitlines()
    assert " ".join(lines) == "membrane time constant m30pa (ms)"
    assert max(map(len, lines)) <= 14


def test_a_logarithmic_axis_has_plain_numbers(drawn):
    rng = np.random.default_rng(1)
    panel = PairPlot(
        names=("interval", "sag"),
        units=("ms", "mV"),
        posterior=rng.normal([20, 1], [1, 0.1], (299, 2)),
        population=np.exp(rng.normal([3, 0], [0.2, 1], (40, 2))),
        log=(True, False),
    )
    pairs.draw_pairs(panel, "pairs")
    corner = np.array(drawn[0].axes).reshape(2, 2)
    assert [axes.get_xscale() for axes in (corner[0, 0], corner[1, 0], corner[1, 1])] == ["log", "log", "linear"]
    assert corner[1, 0].get_yscale() == "linear"
    ticks = [label.get_text() for label in corner[1, 0].get_xticklabels()]
    assert ticks
    assert all(text.isdigit() for text in ticks)
    edges = corner[0, 0].patches[-1].get_data().edges
    assert np.allclose(np.diff(np.log(edges)), np.log(edges[1] / edges[0]))
    low, high = corner[0, 0].get_xlim()
    assert 0 < low < panel.population[:, 0].min()
    assert high > panel.population[:, 0].max()


def test_axes_hold_the_draws_but_not_the_farthest(corner):
    heavy = np.concatenate([np.linspace(-1, 1, 399), [1e6]])
    low, high = pairs.span(PairPlot(names="a", units=[""], posterior=heavy[:, None], truth=[3.0]), 0)
    assert -1.5 < low < -0.9
    assert 3 < high < 4
    few = PairPlot(names="a", units=[""], posterior=heavy[:, None], population=[[0.0], [7.0]])
    assert 7 < pairs.span(few, 0)[1] < 8


def fi(currents):
    n = len(currents)
    return FiPanel(
        title="sag",
        current_pa=currents,
        median=[2.0] * n,
        observed=[[c, 2.2] for c in currents],
        bands={0.5: ([1.5] * n, [2.5] * n), 0.89: ([1.0] * n, [3.0] * n)},
        ylabel="sag (mV)",
    )


@pytest.mark.parametrize("currents", [[-110.0], [-110.0] * 6])
def test_a_single_current_gets_bars_as_long_as_its_intervals(drawn, currents):
    features.draw_fi(fi(currents), "fi")
    (axes,) = drawn[0].axes
    bars = [c.get_segments() for c in axes.collections]
    assert [[bar[:, 1].tolist() for bar in b] for b in bars] == [[[1.0, 3.0]], [[1.5, 2.5]]]
    assert axes.get_xticks().tolist() == [-110]


def test_repeats_of_a_current_are_one_place_of_the_band(drawn):
    features.draw_fi(fi([0.0, 100.0, 100.0]), "fi")
    (axes,) = drawn[0].axes
    assert axes.lines[0].get_xdata().tolist() == [0, 100]
    assert len(axes.lines[1].get_xdata()) == 3


def test_nothing_is_drawn_between_distant_currents(drawn):
    features.draw_fi(fi([-110.0, 25.0, 50.0]), "fi")
    (axes,) = drawn[0].axes
    assert {type(c).__name__ for c in axes.collections} == {"LineCollection"}
    assert axes.lines[0].get_linestyle() == "None"
    features.draw_fi(fi([20.0, 50.0, 75.0]), "fi")
    assert not any(type(c).__name__ == "LineCollection" for c in drawn[1].axes[0].collections)


def test_a_curve_has_its_result_in_words():
    svg = features.draw_fi(replace(fi([-110.0, -50.0]), observed=[[-110, 2.0], [-50, 9.0]], n_members=400), "fi")
    assert "median of 400 ensemble members 2.00 at −110 to 2.00 at −50; 1 of 2 recorded points in the 89 % band" in svg


def test_a_logarithmic_curve_holds_all_its_values(drawn):
    wide = FiPanel(
        title="",
        current_pa=[0.0, 20.0],
        median=[200.0, 3.0],
        bands={0.89: ([100.0, 2.0], [300.0, 4.0])},
        observed=[[0, 250]],
        log=True,
    )
    features.draw_fi(wide, "fi")
    (axes,) = drawn[0].axes
    assert axes.get_yscale() == "log"
    low, high = axes.get_ylim()
    assert 1 < low < 2
    assert 300 < high < 600


def test_a_constant_count_does_not_fill_its_panel(drawn):
    features.draw_feature(FeaturePanel(name="spike_count", unit="", observed=[24.0] * 9, ensemble=[24.0] * 50), "x")
    (axes,) = drawn[0].axes
    assert axes.get_xlim() == (21.5, 26.5)
    assert all(tick == round(tick) for tick in axes.get_xticks())


def test_neurons_that_were_drawn_are_not_black(drawn):
    groups = {"neuron 1": [[1.0]], "neuron 2": [[2.0]]}
    for recorded in (True, False):
        traces.draw_raster(Raster(title="", groups=groups, window_ms=(0, 9), recorded=recorded, total=20), "raster")
        colours = [to_hex(c.get_colors()[0]) for c in drawn[-1].axes[0].collections]
        assert (EXPERIMENT in colours) == recorded
        assert len(set(colours)) == 2
    assert [t.get_text() for t in drawn[-1].axes[0].get_yticklabels()] == ["neuron 1\n(n = 1)", "neuron 2\n(1 of 20)"]


def test_many_repeats_do_not_cover_the_draws(drawn):
    for repeats, above in ((3, False), (4, True)):
        panel = Overlay(title="", time_ms=[0.0, 1], ensemble_mv=np.zeros((1, 2)), observed_mv=np.zeros((repeats, 2)))
        traces.draw_overlay(panel, "overlay")
        order = {to_hex(line.get_color()): line.get_zorder() for line in drawn[-1].axes[0].lines}
        assert (order[ENSEMBLE] > order[EXPERIMENT]) == above


def test_a_narrow_interval_is_seen_beside_its_mean_and_truth(drawn):
    row = LatentRow(name="x", unit="mV", mean=0, sd=0.1, low=-0.2, high=0.2, prior_mean=0, prior_sd=1, truth=0.1)
    latents.draw_intervals([row], "intervals")
    (axes,) = drawn[0].axes
    ends, mean = (c.get_segments() for c in axes.collections)
    assert [end[0, 0] for end in ends] == [-0.2, 0.2]
    assert np.abs(mean[0][:, 1]).max() > np.abs(ends[0][:, 1]).max()
    assert axes.lines[-1].get_ydata()[0] < np.min(mean[0][:, 1])  # above: the axis points down


def test_measured_cells_have_the_colour_of_experiments_and_few_draws_are_large():
    def clouds(n, measured):
        panel = PairPlot(
            names="ab", units=["", ""], posterior=np.zeros((n, 2)), population=np.ones((40, 2)), measured=measured
        )
        return {colour: size for _, colour, size, _ in pairs._clouds(panel)}

    assert EXPERIMENT in clouds(200, True)
    assert MUTED in clouds(200, False)
    assert clouds(3, False)[ENSEMBLE] > clouds(3, False)[MUTED] > clouds(200, False)[ENSEMBLE]


def test_a_raster_says_what_zero_is(drawn):
    for label in ("time after step onset (ms)", "time (ms)"):
        raster = Raster(title="", groups={"a": [[1.0]]}, window_ms=(0, 9), xlabel=label)
        assert label in traces.draw_raster(raster, "raster")
        assert drawn[-1].axes[0].get_xlabel() == label


@pytest.mark.parametrize(("total", "said"), [(None, "2 draws"), (2, "2 draws"), (400, "2 of 400 draws")])
def test_a_caption_says_of_how_many_only_where_some_were_left_out(total, said):
    panel = Overlay(title="", time_ms=[0.0, 1.0], ensemble_mv=np.zeros((2, 2)), members="draws", n_members=total)
    assert traces.overlay_caption(panel) == said


def test_every_axis_with_numbers_has_a_label(drawn):
    report = example()
    pit = FeaturePanel(name="sag_mv", unit="mV", observed=np.arange(50.0), ensemble=[1.0, 2.0], pit=[0.1, 0.2])
    for panel in (*report.features, pit):
        features.draw_feature(panel, "feature")
    for panel in report.coverage:
        features.draw_coverage(panel, "coverage")
    for panel in report.fi:
        features.draw_fi(panel, "fi")
    for panel in report.overlays:
        traces.draw_overlay(panel, "overlay")
    latents.draw_intervals(report.latents, "intervals")
    assert len(drawn) == 7
    for figure in drawn:
        for axes in figure.axes:
            assert axes.get_xlabel()
            words = not all(t.get_text().strip("−0123456789.") == "" for t in axes.get_yticklabels())
            assert axes.get_ylabel() or words or not axes.spines["left"].get_visible()
    assert drawn[0].axes[1].get_ylabel() == "count"
    assert drawn[2].axes[0].get_ylabel() == "density"
