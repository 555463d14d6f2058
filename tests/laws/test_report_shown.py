"""Tables of the page: words and units in one cell, digits that say something, numbers under the heads of numbers."""

import base64
import csv
import io
import json

import numpy as np
import pytest

from noble_prob.report import ReportData, Table, render
from noble_prob.report.html import csv_uri
from noble_prob.report.shown import p_value, shown

TABLE = Table(
    title="x",
    columns=(
        "feature",
        "unit",
        "n",
        "observed mean",
        "observed SD",
        "SD ratio",
        "5.5 %",
        "94.5 %",
        "p spread",
        "R-hat",
    ),
    rows=[
        ("ap1_width_ms", "ms", 9, 0.51234, 0.0222, 1.0, 0.812, 1.234, 0.0005, 0.9991),
        ("spike_count", "1", 9, 24.0, float("nan"), float("nan"), float("nan"), float("nan"), None, None),
    ],
)


def test_a_table_of_features_is_told_in_words():
    told = shown(TABLE)
    heads = [head.replace("\N{NO-BREAK SPACE}", " ") for head in told.columns]
    assert heads == ["feature", "n", "observed ± SD", "SD ratio", "p spread", "R-hat"]
    assert told.rows[0] == ["first spike width (ms)", "9", "0.512 ± 0.022", "1.0 (0.81 to 1.2)", "< 0.001", "0.999"]
    assert told.rows[1] == ["spike count", "9", "24.0", "–", "–", "–"]


def test_numbers_and_their_gaps_stand_on_the_same_side():
    assert shown(TABLE).numeric == [False, True, True, True, True, True]
    page = render(ReportData(title="x", tables=[TABLE]), "html")
    assert page.count('<td class="num">–</td>') == 3
    assert "<td>–</td>" not in page


def test_files_keep_names_and_digits():
    rows = list(csv.reader(io.StringIO(base64.b64decode(csv_uri(TABLE).split(",")[1]).decode())))
    assert rows[0] == list(TABLE.columns)
    assert rows[1][:4] == ["ap1_width_ms", "ms", "9", "0.51234"]
    data = json.loads(render(ReportData(title="x", tables=[TABLE]), "json"))
    assert data["tables"][0]["rows"][0][0] == "ap1_width_ms"


def test_a_table_without_features_stays_as_it_is():
    table = Table(title="x", columns=("file", "words", "yes"), rows=[("a_b.abf", "−1 (−2 to 0)", True)])
    assert shown(table).rows == [["a_b.abf", "−1 (−2 to 0)", "yes"]]
    assert shown(table).numeric == [False, False, False]
    empty = shown(Table(title="x", columns=("a", "b"), rows=[]))
    assert (list(empty.columns), list(empty.rows)) == (["a", "b"], [])


@pytest.mark.parametrize(
    ("p", "said"),
    [(0.0005, "< 0.001"), (0.015, "0.015"), (0.9985, "1.00"), (0.25, "0.25"), (None, "–"), (np.nan, "–")],
)
def test_p_values_have_two_digits(p, said):
    assert p_value(p) == said
