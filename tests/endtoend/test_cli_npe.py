"""The verb that trains an amortised posterior: whole files, one sentence for wrong use, nothing left behind."""

import json

import noble_prob as nb
from noble_prob.amortised import Estimator
from noble_prob.cli import main


def test_it_trains_and_infer_uses_it(tmp_path, capsys):
    out = tmp_path / "estimator"
    assert main(["train-npe", "--cell", "toy", "--n", "2000", "--steps", "10", "--batch", "32", "--quiet", "--json",
                  "--out", str(out)]) == 0  # fmt: skip
    said = json.loads(capsys.readouterr().out)
    assert said["finished"]
    assert said["steps"] == 10
    assert sorted(path.name for path in out.iterdir()) == ["npe.json", "npe.safetensors"]
    assert (out / "npe.safetensors").stat().st_size < 1.5e6
    cell, estimator = nb.load_cell("toy"), Estimator.load(out)
    recording, truth = cell.demo
    posterior = nb.infer(recording, decoder=cell.decoder, prior=cell.prior, method="npe", estimator=estimator, seed=1)
    assert posterior.method == "npe"
    off = (posterior.mean() - cell.decoder.space.mean.new_tensor(list(truth.values()))).abs()
    assert bool((off < 4 * posterior.covariance().diagonal().sqrt()).all())


def test_wrong_use_is_one_sentence(tmp_path, capsys):
    assert main(["train-npe", "--cell", "toy", "--n", "50", "--out", str(tmp_path / "x")]) == 2
    assert "at least 2000 recordings" in capsys.readouterr().err
    assert main(["sbc", "--cell", "toy", "--n", "20", "--method", "npe", "--quiet"]) == 2
    assert "train-npe" in capsys.readouterr().err
