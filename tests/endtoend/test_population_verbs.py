"""The two verbs of simulation, as a shell calls them."""

import numpy as np
import pytest
from cli_example import call
from torch import from_numpy

from noble_prob.features import find_spikes
from noble_prob.population.store import Store


def test_simulate_writes_the_agreed_file(tmp_path):
    out = tmp_path / "traces.npz"
    code = call("simulate", "--hof", "builtin", "--models", "0,2-3", "--amps-na", "-0.11,0.18", "--out", out,
                "--duration-ms", 100, "--dt-ms", 0.025)  # fmt: skip
    assert code == 0
    with np.load(out) as data:
        assert set(data.files) == {"voltage_mv", "time_ms", "models", "amps_na"}
        assert data["models"].tolist() == [0, 2, 3]
        assert data["amps_na"].tolist() == [-0.11, 0.18]
        voltage, time = from_numpy(data["voltage_mv"]), from_numpy(data["time_ms"])
    assert voltage.shape == (3, 2, len(time))
    assert float(time[-1] - time[0]) == pytest.approx(15 + 100 + 115, abs=0.1)
    spikes = find_spikes(voltage, time)
    assert (spikes.count[:, 0] == 0).all()
    assert (spikes.count[:, 1] > 5).all()
    first = spikes.peak_ms[:, 1, 0] - time[0]
    assert ((first > 15) & (first < 25)).all()  # the step begins 15 ms after the first sample


def test_noise_needs_only_its_size_and_a_seed(tmp_path):
    files = [tmp_path / f"{name}.npz" for name in "abc"]
    for file, seed in zip(files, (1, 1, 2), strict=True):
        call("simulate", "--hof", "builtin", "--models", "0", "--amps-na=0.0", "--out", file, "--duration-ms", 20,
             "--noise-sd-na", 0.02, "--seed", seed)  # fmt: skip
    a, b, c = (np.load(file)["voltage_mv"] for file in files)
    np.testing.assert_array_equal(a, b)
    assert np.abs(a - c).max() > 0.5


def test_populate_can_be_asked_again_and_for_more(tmp_path, capsys):
    asked = ("populate", "--hof", "builtin", "--design", "builtin", "--out", tmp_path / "set", "--n-random", 1,
             "--range-pa=200,210", "--near-share", 0, "--chunk-models", 1, "--include-base", "--n-models")  # fmt: skip
    assert call(*asked, 1) == 0
    assert capsys.readouterr().out.split() == ["1", "accepted"]
    assert call(*asked, 1) == 0
    assert capsys.readouterr().out == ""
    assert call(*asked, 2) == 0
    store = Store(tmp_path / "set")
    assert store.done() == [0, 1]
    assert store.accepted().amps_pa[:, :4].tolist() == [[-110.0, 50.0, 180.0, 280.0]] * 2
    assert ((store.accepted().amps_pa[:, 4] > 200) & (store.accepted().amps_pa[:, 4] < 210)).all()
    for wrong in (("--range-pa=5",), ("--range-pa=20,10",), ("--near-share", 2)):
        assert call(*asked, 2, *wrong) == 2
        assert wrong[0].split("=")[0].strip("-").replace("-", "_") in capsys.readouterr().err
