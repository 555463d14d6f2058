"""The table of latents is for people: words with the step, milliseconds, per cent, digits that say something."""

import csv
import io
import math
from base64 import b64decode

import pytest

from noble_prob.findings.words import with_step
from noble_prob.report import LatentRow, ReportData, Verdict, render
from noble_prob.report.estimates import told
from noble_prob.report.html import csv_uri, latent_table
from noble_prob.report.plain import report_dict

LOG = LatentRow(
    name="log_mean_isi_to_100ms_180pa",
    words="mean interval to 100 ms at 180 pA",
    unit="ln(ms)",
    mean=2.67209,
    sd=0.00078,
    low=2.67084,
    high=2.67334,
    prior_mean=2.665,
    prior_sd=0.047,
    truth=2.6705,
    r_hat=1.0012,
    ess_bulk=912.0,
)


def test_names_have_their_step():
    assert with_step("log_mean_isi_50pa", 50.0) == "mean interval at 50 pA"
    assert with_step("sag", -110.0) == "sag at −110 pA"
    assert with_step("ap1_peak", 180.0) == "first spike peak at 180 pA"
    assert with_step("resting_voltage_mv", -110.0) == "resting voltage"
    assert with_step(LOG.name, 180.0) == LOG.words


@pytest.mark.parametrize(
    ("unit", "mean", "sd", "shown"),
    [
        ("ln(ms)", 2.67209, 0.00078, ("14.47", "0.078 %")),
        ("ln(ms)", 4.4, 0.2, ("81", "20 %")),
        ("mV", -71.8872, 0.0412, ("−71.89", "0.041")),
        ("mV", -71.8872, 0.0012, ("−71.887", "0.0012")),  # the first digit of the SD is shown
        ("ms", 0.4742, 0.0021, ("0.4742", "0.0021")),
        ("mV", 12.1, 4.8, ("12.1", "4.8")),
    ],
)
def test_estimates_have_their_own_unit_and_few_digits(unit, mean, sd, shown):
    row = LatentRow(name="x", unit=unit, mean=mean, sd=sd, low=mean - sd, high=mean + sd)
    assert (told(row)["mean"], told(row)["sd"]) == shown


def test_text_and_page_say_milliseconds_and_files_keep_logarithms(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    report = ReportData(title="x", latents=[LOG])
    head, line = render(report, "text").splitlines()[2:4]
    assert head.split()[:4] == ["latent", "unit", "mean", "sd"]
    assert line.startswith("mean interval to 100 ms at 180 pA  ms    14.47")
    assert "14.47  0.078 %  14.45 .. 14.49" in line
    assert "14.45  OUTSIDE" in line
    assert "ln(" not in line
    assert len(line) <= 100
    page = render(report)
    for cell in (LOG.words, "ms", "14.47", "0.078 %", "14.49", "14.37 ± 4.7 %"):
        assert f">{cell}</td>" in page
    assert f">{LOG.name}</td>" not in page
    (columns, row) = csv.reader(io.StringIO(b64decode(csv_uri(latent_table([LOG])).split(",")[1]).decode()))
    assert dict(zip(columns, row, strict=True))["mean"] == "2.67209"
    assert dict(zip(columns, row, strict=True))["identifier"] == LOG.name
    values = report_dict(report)["latents"][LOG.name]
    assert (values["mean"], values["unit"]) == (2.67209, "ln(ms)")
    assert values["interval_89_ms"] == [math.exp(LOG.low), math.exp(LOG.high)]


@pytest.mark.parametrize(("terminal", "width", "kept"), [("40", 80, False), ("80", 80, False), ("300", 100, True)])
def test_a_text_is_as_wide_as_its_terminal_and_spares_columns_before_it_breaks_lines(
    terminal, width, kept, monkeypatch
):
    monkeypatch.setenv("COLUMNS", terminal)
    verdict = Verdict(level="Level", severity="passed", sentence=40 * "word ", power="")
    report = ReportData(title="x", verdicts=(verdict,), latents=[LOG])
    lines = render(report, "text").splitlines()
    assert width - 10 < max(map(len, lines)) <= width
    assert any("ESS" in line for line in lines) == kept
