"""A log file gets a line now and then, a terminal a bar, and nobody who asked for quiet anything."""

import io
from types import SimpleNamespace

import pytest
import torch

from noble_prob.inference import draw as drawing
from noble_prob.inference import nuts
from noble_prob.jobs import bars


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on by a second whenever it is looked at."""
    seconds = iter(range(10**6))
    monkeypatch.setattr(bars.time, "monotonic", lambda: float(next(seconds)))


def test_a_file_gets_a_line_every_ten_per_cent(clock, monkeypatch):
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert list(bars.bar(range(200), desc="hmc", unit="draw", show=True)) == list(range(200))
    said = bars.sys.stderr.getvalue()
    assert "\r" not in said
    lines = said.splitlines()
    assert lines[0] == "hmc: 10 % (20 of 200 draws), 20 s"
    assert lines[-1] == "hmc: 100 % (200 of 200 draws), 200 s"
    assert len(lines) == 10


def test_what_is_counted_elsewhere_begins_where_it_stood(clock, monkeypatch):
    monkeypatch.setattr("sys.stderr", io.StringIO())
    with bars.counter(total=10, initial=7, desc="infer", unit="recording", show=True) as shown:
        for _ in range(3):
            shown.update()
    assert bars.sys.stderr.getvalue().splitlines() == []  # three seconds
    with bars.counter(total=10, initial=4, desc="infer", unit="recording", show=True) as shown:
        for _ in range(6):
            shown.update()
    assert bars.sys.stderr.getvalue() == "infer: 90 % (9 of 10 recordings), 5 s\n"


def test_what_is_quick_or_quiet_gets_no_line(monkeypatch, clock):
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert list(bars.bar(range(4), desc="quick", unit="chunk", show=True)) == [0, 1, 2, 3]
    assert list(bars.bar([], desc="none", unit="chunk", show=True)) == []
    assert len(list(bars.bar(range(400), desc="quiet", unit="chunk", show=False))) == 400
    with bars.counter(total=400, desc="quiet", unit="chunk", show=False) as shown:
        shown.update(400)
    assert bars.sys.stderr.getvalue() == ""


def test_a_terminal_has_its_bar(monkeypatch):
    monkeypatch.setattr("sys.stderr", Terminal())
    list(bars.bar(range(3), desc="files", unit="file", show=True))
    assert "\rfiles: 100%" in bars.sys.stderr.getvalue()


def test_chains_that_are_extended_say_so(monkeypatch):
    """Else the share of what is done would fall again and again, for no reason that is said."""
    titles = []

    def run(energy, start, *, draws, title="nuts", **_):
        titles.append(title)
        chains = SimpleNamespace(flat=torch.randn(2, draws, 3) + torch.tensor([0.0, 9.0])[:, None, None])
        chains.followed_by = lambda more: run(None, None, draws=draws + more.flat.shape[1])
        return chains

    monkeypatch.setattr(nuts, "sample", run)
    monkeypatch.setattr(drawing, "_reported", lambda task, density, flat: flat)
    coordinates = SimpleNamespace(white=lambda x: x, log_density=max)
    warm = SimpleNamespace(flat=torch.zeros(2, 1, 3), step_size=torch.ones(2), coordinates=coordinates)
    task = SimpleNamespace(until_converged=True, draws=10, progress=True)
    drawing._no_u_turns(task, max, warm, 1)
    assert [title for title in titles if title != "nuts"] == [
        "nuts, extended beyond 10 draws",
        "nuts, extended beyond 60 draws",
    ]
