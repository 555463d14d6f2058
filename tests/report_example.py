"""One report with every part filled, for the tests of its forms."""

import dataclasses

import numpy as np

from noble_prob.findings import Finding
from noble_prob.report import (
    CoverageCurve,
    FeaturePanel,
    FiPanel,
    LatentRow,
    Overlay,
    PairPlot,
    Raster,
    ReportData,
    Table,
    Verdict,
)


def example() -> ReportData:
    """A report with every part filled, hostile names included."""
    rng = np.random.default_rng(0)
    time, grid = np.arange(4000) * 0.125, np.linspace(0, 1, 11)
    spikes = np.where((time[None] % 20) < 0.4, 30.0, -70.0) + rng.normal(0, 0.2, (5, 4000))
    draws = rng.standard_normal((200, 3))
    row = LatentRow(
        name="rest_mv",
        unit="mV",
        mean=-70.1,
        sd=0.4,
        low=-70.8,
        high=-69.4,
        r_hat=1.004,
        ess_bulk=912.0,
        ess_tail=800.0,
        contraction=0.9,
        prior_mean=-71.0,
        prior_sd=1.5,
        truth=-69.0,
    )
    return ReportData(
        title="cell <1> & co",
        subtitle='a "test"',
        verdicts=[Verdict(level="Trial to trial", severity="issue", sentence="It is wrong.", power="Seen in 93 %.")],
        findings=[
            Finding(code="NP201", title="Match", severity="passed", sentence="Fine.", evidence={"p": 0.4}),
            Finding(code="NP110", title="Sweeps", severity="issue", sentence="Left <out>.", remedy="Look."),
            Finding(code="NP205", title="Unjudged", severity="not judged", sentence="No sag."),
        ],
        latents=[row, dataclasses.replace(row, name="sag_mv", truth=-70.0, r_hat=None)],
        overlays=[
            Overlay(title="sweep 0", time_ms=time, ensemble_mv=spikes[:4], observed_mv=spikes[4], stimulus_ms=(20, 400))
        ],
        rasters=[
            Raster(
                title="+180 pA", groups={"experiment": [time[::160]], "ensemble": [time[::150], []]}, window_ms=(0, 500)
            )
        ],
        features=[
            FeaturePanel(
                name="spike_count",
                unit="",
                observed=[7, 8, 8],
                ensemble=rng.poisson(8, 300),
                pit=[0.2, 0.4, 0.6],
                severity="passed",
                verdict="Fits.",
                power="Weak.",
                level="Trial to trial",
            ),
            FeaturePanel(name="sag_mv", unit="mV", observed=[np.nan] * 3, ensemble=[], severity="not judged"),
        ],
        coverage=[CoverageCurve(title="all", nominal=grid, observed=grid, low=grid - 0.1, high=grid + 0.1, n=30)],
        fi=[
            FiPanel(
                title="f-I", current_pa=[0, 100], median=[0, 9], bands={0.89: ([0, 7], [1, 12])}, observed=[[50, 4]]
            )
        ],
        pairs=PairPlot(
            names=["a", "b", "c"], units=["mV", "", "ms"], posterior=draws, prior=draws, truth=[0, np.nan, 1]
        ),
        tables=[
            Table(title="Observed, predicted", columns=["feature", "SD, mV"], rows=[["rest", 0.25], ["sag", None]])
        ],
        methods=["We measured."],
        provenance={"seed": 3, "hash": "abc"},
        values={"wall_s": 2.5},
    )
