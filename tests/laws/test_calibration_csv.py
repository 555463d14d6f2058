"""A table of features comes back from the file it was written to, whatever its labels, gaps and heads."""

import numpy as np
import pytest

from noble_prob.calibration import FeatureTable
from noble_prob.errors import UsageError

NAMES, UNITS = ("latency", "spike_count"), ("ms", "")


def table(value, **kwargs):
    settings = {"names": NAMES[: np.shape(value)[1]], "units": UNITS[: np.shape(value)[1]], **kwargs}
    return FeatureTable(value=np.asarray(value, float), axis="trial", **settings)


def returned(first, folder):
    """The same table, written and read."""
    first.to_csv(folder / "table.csv")
    return FeatureTable.from_csv(folder / "table.csv", axis=first.axis)


VALUE = np.arange(8.0).reshape(4, 2) + 1 / 3


@pytest.mark.parametrize(
    "labels",
    [("1", "2", "3", "4"), ("#1", "cell 2", "cell 3", "#4"), ("nan", "-", "", "none"), ("a,b", 'c"d', "e;f", " g")],
)
def test_labels_come_back_as_they_were(labels, tmp_path):
    again = returned(table(VALUE, labels=labels), tmp_path)
    assert (again.names, again.units, again.labels) == (NAMES, UNITS, labels)
    np.testing.assert_array_equal(again.value, VALUE)


@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("labels", [(), ("1", "2", "3", "4")])
def test_rows_and_columns_without_any_value_come_back(columns, labels, tmp_path):
    value = VALUE[:, :columns].copy()
    value[[0, 2]] = np.nan
    value[3, 0] = 1e300
    np.testing.assert_array_equal(returned(table(value, labels=labels), tmp_path).value, value)
    none = np.c_[VALUE[:, 0], np.full(4, np.nan)]
    np.testing.assert_array_equal(returned(table(none, labels=labels), tmp_path).value, none)


@pytest.mark.parametrize(
    ("name", "unit"),
    [("#spikes", ""), ("peak (first)", ""), ("isi", "ln(ms)"), ("a, b; c", "mV"), ("rest [mean]", "mV")],
)
def test_names_and_units_come_back(name, unit, tmp_path):
    again = returned(table(VALUE, names=(name, "width"), units=(unit, "ms")), tmp_path)
    assert (again.names, again.units) == ((name, "width"), (unit, "ms"))


def test_only_a_first_column_called_label_is_one_whatever_it_holds(tmp_path):
    (tmp_path / "t.csv").write_text("latency (ms),label\n7.5,1\n8.5,2\n")
    assert FeatureTable.from_csv(tmp_path / "t.csv", axis="trial").names == ("latency", "label")
    (tmp_path / "t.csv").write_text("label,latency (ms)\n1,7.5\n2,8.5\n")
    found = FeatureTable.from_csv(tmp_path / "t.csv", axis="trial", where={"label": "2"})
    assert (found.names, found.labels, found.value.tolist()) == (("latency",), ("2",), [[8.5]])


def test_every_row_has_a_label_or_none_has():
    with pytest.raises(UsageError, match="`labels` should be one per row: 4; found 2"):
        table(VALUE, labels=("a", "b"))
    assert table(VALUE, labels=tuple("abcd")).rows([]).labels == ()


def test_a_table_that_can_not_be_written_leaves_the_older_one(tmp_path, monkeypatch):
    table(VALUE).to_csv(tmp_path / "table.csv")
    before = (tmp_path / "table.csv").read_bytes()

    def full(*files):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.rename", full)
    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="space"):
        table(VALUE[:2]).to_csv(tmp_path / "table.csv")
    assert {f.name: f.read_bytes() for f in tmp_path.iterdir()} == {"table.csv": before}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv_of_any_separator_with_comments_and_missing_cells(tmp_path, separator):
    cells = [
        ["cell", "latency (ms)", "width"],
        ["a", "7.5", "n/a"],
        ["b", "-", "1e-1"],
        ["c", "#N/A", "n.a."],
        ["d", "", "-0.5"],
    ]
    lines = [
        "# of a test, with a comma; and more",
        *map(separator.join, cells[:2]),
        "",
        "# in between",
        *map(separator.join, cells[2:]),
    ]
    (tmp_path / "t.csv").write_text("\ufeff" + "\n".join(lines), encoding="utf-8")
    found = FeatureTable.from_csv(tmp_path / "t.csv", axis="trial")
    assert (found.names, found.units, found.labels) == (("latency", "width"), ("ms", ""), ("a", "b", "c", "d"))
    nan = np.nan
    np.testing.assert_array_equal(found.value, [[7.5, nan], [nan, 0.1], [nan, nan], [nan, -0.5]])
    chosen = FeatureTable.from_csv(tmp_path / "t.csv", axis="trial", where={"cell": "b"})
    np.testing.assert_array_equal(chosen.value, [[nan, 0.1]])


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "header"),
        ("a,b\n", "header"),
        ("a,b\n1,2\n3\n", "cells"),
        ("a,b\nx,y\n", "numerical"),
        ("a,a\n1,2\n", "twice"),
        ("a,b\n1,2\n# no row\n\n3,none yet\n4,5\n", "column 'b' of bad.csv; found 'none yet' in line 5"),
        ("a,b\n1,2\n3,4_0\n4,5\n", "'4_0' in line 3"),
        ("a,b\n1,abc\n3,4\n", "'abc' in line 2"),
        ("a;b\n1;2,5\n3;3,5\n", "'2,5' in line 2, with a decimal comma; write decimals with a point"),
        ("a;b\n1;2\n3;3,5\n", "'3,5' in line 3, with a decimal comma"),
        ("a,b\n1,2,5\n3,3,5\n", "3 in line 2; export the table again, decimals with a point"),
        ("7.5,8\n1,2\n3,4\n", "names"),
        (",a\n0,2\n1,4\n", "name it, or drop it"),
    ],
)
def test_bad_tables_are_refused_in_one_sentence(tmp_path, text, match):
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(UsageError, match=match) as error:
        FeatureTable.from_csv(tmp_path / "bad.csv", axis="trial")
    assert "\n" not in str(error.value)
    with pytest.raises(UsageError, match="existing"):
        FeatureTable.from_csv(tmp_path / "absent.csv", axis="trial")
