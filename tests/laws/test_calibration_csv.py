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
