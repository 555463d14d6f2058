"""The same numbers in every form; nothing from the network; absent parts leave no trace."""

import base64
import csv
import html.parser
import io
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from report_example import example

from noble_prob.errors import UsageError
from noble_prob.findings.base import with_minus
from noble_prob.report import LatentRow, ReportData, render
from noble_prob.report.html import csv_uri
from noble_prob.report.parts.methods import posterior_methods
from noble_prob.report.plain import label, number, to_sd
from noble_prob.report.svg import thin


class Tags(html.parser.HTMLParser):
    """Collects tags, attributes and ids; refuses a closing tag that opens nothing."""

    VOID = frozenset({"meta", "link", "br", "img", "input"})

    def __init__(self):
        super().__init__()
        self.stack, self.found, self.ids = [], [], []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_endtag(self, tag):
        assert self.stack, f"</{tag}> closes nothing"
        assert self.stack.pop() == tag


@pytest.fixture(scope="module")
def page():
    return render(example(), "html")


@pytest.fixture(scope="module")
def tags(page):
    parser = Tags()
    parser.feed(page)
    return parser


def test_page_is_well_formed_and_its_ids_are_unique(tags):
    assert tags.stack == []
    assert len(tags.ids) == len(set(tags.ids))
    anchors = {attrs["href"][1:] for tag, attrs in tags.found if tag == "a" and attrs["href"].startswith("#")}
    assert anchors <= set(tags.ids)
    assert {"findings", "voltages", "features", "latents", "tables", "methods"} <= anchors


def test_page_loads_nothing_and_runs_nothing(page, tags):
    assert not {"script", "iframe", "object", "embed"} & {tag for tag, _ in tags.found}
    for tag, attrs in tags.found:
        for name in ("src", "href", "xlink:href", "srcset", "action"):
            target = attrs.get(name) or "#"
            assert target.startswith(("#", "data:")), (tag, target)
    assert not re.search(r"url\((?!#)", page)
    assert "@import" not in page
    assert len(page) < 1e6


def test_figures_have_words_for_those_who_do_not_see_them(page, tags):
    figures = [attrs for tag, attrs in tags.found if tag == "svg"]
    assert len(figures) == 1 + 1 + 2 + 1 + 1 + 1 + 1
    assert all(attrs["role"] == "img" and len(attrs["aria-label"]) > 20 for attrs in figures)
    assert len({attrs["aria-label"] for attrs in figures}) == len(figures)


def test_colours_come_from_the_page_in_light_and_dark(page):
    defined = set(re.findall(r"(--[\w-]+):", page))
    assert set(re.findall(r"var\((--[\w-]+)\)", page)) <= defined
    assert "prefers-color-scheme: dark" in page
    assert not re.search(r"#0[1-9a]0[1-9a]0[1-9a]\b", page), "a placeholder colour was left in"


def test_what_is_written_is_escaped(page):
    assert "cell &lt;1&gt; &amp; co" in page
    assert "<1>" not in page
    assert "Left &lt;out&gt;." in page


def test_verdict_comes_first_then_issues_before_passes(page):
    assert page.index("It is wrong.") < page.index("Left &lt;out&gt;.") < page.index("No sag.") < page.index("Fine.")


def test_json_carries_the_same_findings_and_numbers(page):
    data = json.loads(render(example(), "json"))
    assert [f["code"] for f in data["findings"]] == ["NP110", "NP205", "NP201"]
    assert data["latents"]["rest_mv"]["mean"] == -70.1
    assert data["latents"]["rest_mv"]["inside"] is False
    assert data["latents"]["sag_mv"]["inside"] is True
    assert data["latents"]["sag_mv"]["r_hat"] is None
    assert data["features"][1]["observed"] == [None, None, None]
    assert data["provenance"]["seed"] == 3
    assert data["wall_s"] == 2.5
    for finding in data["findings"]:
        assert finding["code"] in page


def test_text_says_verdict_truth_and_findings_within_a_hundred_columns():
    text = render(example(), "text")
    assert "[!] Trial to trial: It is wrong. Seen in 93 %." in text
    assert "OUTSIDE" in text
    assert "inside" in text
    assert "NP110" in text
    assert max(map(len, text.splitlines())) <= 100


def test_tables_download_as_they_are():
    head, data = csv_uri(example().tables[0]).split(",", 1)
    assert head == "data:text/csv;base64"
    rows = list(csv.reader(io.StringIO(base64.b64decode(data).decode())))
    assert rows == [["feature", "SD, mV"], ["rest", "0.25"], ["sag", ""]]


def test_a_report_of_nothing_but_a_title_renders_in_every_form():
    for form in ("html", "json", "text"):
        out = render(ReportData(title="empty"), form)
        assert "empty" in out
        assert "<h2>" not in out
    with pytest.raises(UsageError, match="html, json, text"):
        render(ReportData(title="x"), "pdf")


def test_rendering_is_reproducible():
    assert render(example()) == render(example())


def test_thinning_keeps_every_spike():
    time = np.arange(20000) * 0.05
    voltage = np.full(20000, -70.0)
    peaks = np.arange(100, 20000, 371)
    voltage[peaks] = np.linspace(10, 40, len(peaks))
    t, v = thin(time, voltage)
    assert len(t) < 1200
    assert set(voltage[peaks]) <= set(v)
    assert (np.diff(t) > 0).all()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (0.0, "0"),
        (-70.123, "−70.1"),
        (1234567.0, "1.23e+06"),
        (3, "3"),
        (-3, "−3"),
        (True, "yes"),
        (np.float64(0.001234), "0.00123"),
        ("word", "word"),
        (float("inf"), "∞"),
        ({"sag": 0.123456789, "width": None}, "sag 0.123, width –"),
        (["sag", 2.0], "sag, 2.00"),
        ([], ""),
    ],
)
def test_numbers_for_people(value, text):
    assert number(value) == text


def test_labels_for_people():
    assert label("ap1_width_ms", "ms") == "first spike width (ms)"
    assert label("spike_count", "") == label("spike_count", "1") == "spike count"


def test_minus_signs_stand_before_numbers_only():
    assert with_minus("sag at -110 pA, -41.7 mV") == "sag at −110 pA, −41.7 mV"
    assert with_minus("2019-07-24 in f-I, 1e-05") == "2019-07-24 in f-I, 1e-05"


@pytest.mark.parametrize(
    ("value", "sd", "text"),
    [
        (-70.1234, 0.0217, "−70.123"),
        (0.0217, 0.0217, "0.022"),
        (134.4, 21.3, "134"),
        (0.0997, 0.0997, "0.10"),
        (-0.0004, 0.02, "0.000"),
        (2.6403, 0.0035, "2.6403"),
        (None, 0.1, "–"),
        (float("nan"), 0.1, "–"),
        (-70.1234, 0.0, "−70.1"),
        (-70.1234, None, "−70.1"),
    ],
)
def test_estimates_are_told_as_exactly_as_their_sd(value, sd, text):
    assert to_sd(value, sd) == text


def narrow(**given):
    """A latent known so well that three digits say nothing about its interval; as wide in text as names get."""
    known = {
        "name": "log_mean_isi_to_200ms_180pa",
        "unit": "mV",
        "mean": -70.1234,
        "sd": 0.00217,
        "low": -70.1269,
        "high": -70.1199,
        "prior_mean": -71.0,
        "prior_sd": 1.5,
        "truth": -70.1301,
        "r_hat": 0.9997,
        "ess_bulk": 1234.0,
    }
    return LatentRow(**{**known, **given})


def test_a_narrow_interval_has_two_ends_in_text_and_on_the_page(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    report = ReportData(title="narrow", latents=[narrow()])
    text = render(report, "text")
    assert "−70.127 .. −70.120" in text
    assert "−70.130 OUTSIDE" in text
    assert max(map(len, text.splitlines())) <= 100
    page = render(report)
    for cell in ("−70.123", "0.0022", "−70.127", "−70.120", "−70.130", "−71.0 ± 1.5", "1.000"):
        assert f'<td class="num">{cell}</td>' in page


def test_columns_of_the_text_are_aligned_and_those_without_content_left_out():
    rows = [
        narrow(r_hat=None, ess_bulk=None, truth=None),
        narrow(name="sag", unit="mV", sd=12.0, r_hat=None, ess_bulk=None, truth=None),
    ]
    head, first, second = render(ReportData(title="x", latents=rows), "text").splitlines()[2:5]
    assert head.split() == ["latent", "unit", "mean", "sd", "89", "%", "interval"]
    assert len(head) == len(first) == len(second)


def made(method, shape=(4, 200), sweeps=6, seed=1, **provenance):
    """What the paragraph looks at of a posterior."""
    return SimpleNamespace(
        method=method,
        latents=torch.zeros(*shape, 3),
        sweeps=tuple(range(sweeps)),
        seed=seed,
        wall_s=12.0,
        provenance={"decoder": "ToyDecoder", "prior": "student", "robust": True, "noise_prior": {}, **provenance},
    )


def test_chains_are_told_with_their_warm_up():
    (text,) = posterior_methods([made("nuts", warmup=180)])
    assert "from 6 sweeps by the no-U-turn sampler (nuts: 4 chains of 200 draws after 180 of warm-up; seed 1" in text
    assert "R-hat and ESS" in text
    assert "k-hat" not in text
    assert "asked" not in text
    (text,) = posterior_methods([made("nuts", warmup=180, asked="npe")])
    assert "seed 1, 12 s; asked for: npe)" in text


@pytest.mark.parametrize("method", ["npe", "importance"])
def test_weighted_draws_are_told_with_their_weights_and_without_chains(method):
    (text,) = posterior_methods([made(method, (1, 500), k_hat=0.3123, effective=1234.5, worth=1500.0, warmup=200)])
    for words in (f"({method}: 500 draws", "weights", "k-hat was 0.31", "sample size 1234", "Vehtari et al. 2024"):
        assert words in text
    for words in ("chain", "warm", "R-hat"):
        assert words not in text


def test_a_variational_flow_has_neither_chains_nor_weights():
    (text,) = posterior_methods([made("svi", (1, 2000), sweeps=1, guide_k_hat=0.55)])
    assert "from 1 sweep by a variational normalising flow (svi: " in text
    assert "2000 draws, not weighted, k-hat 0.55" in text
    for words in ("chain", "warm", "R-hat"):
        assert words not in text


def test_several_recordings_get_one_paragraph_per_method():
    many = [made("npe", (1, 500), sweeps=n, seed=n, k_hat=0.1 * n, effective=900.0, worth=950.0) for n in (3, 4, 5)]
    weighted, chains = posterior_methods([*many, made("hmc", (4, 800), warmup=200)])
    assert "from each of 3 recordings, 3 to 5 sweeps each," in weighted
    assert "seeds 3 to 5, 12 s each" in weighted
    assert "k-hat was 0.30 to 0.50" in weighted
    assert "from 6 sweeps by Hamiltonian Monte Carlo (hmc: 4 chains of 800 draws" in chains
