"""What figures show: shared axes and bins, no more points than said, labels with units, bars at a single current."""

from contextlib import contextmanager

import numpy as np
import pytest
from matplotlib.colors import to_hex
from report_example import example

from noble_prob.report import FeaturePanel, FiPanel, Overlay, PairPlot, Raster
from noble_prob.report.figures import features, latents, pairs, traces
from noble_prob.report.svg import ENSEMBLE, MUTED, PRIOR, TRUTH, drawing

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
