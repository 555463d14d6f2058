"""The verb that trains an amortised posterior: whole files, one sentence for wrong use, nothing left behind."""

import json

import pytest

import noble_prob as nb
from noble_prob.amortised import Estimator
from noble_prob.amortised import estimator as module
from noble_prob.cli import main
from noble_prob.errors import UsageError
from noble_prob.jobs.place import locked


def test_it_trains_and_infer_uses_it(tmp_path, capsys):
    out = tmp_path / "estimator"
    assert (
        main(
            [
                "train-npe",
                "--cell",
                "toy",
                "--n",
                "2000",
                "--steps",
                "10",
                "--batch",
                "32",
                "--quiet",
                "--json",
                "--out",
                str(out),
            ]
        )
        == 0
    )
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
    assert not (tmp_path / "x").exists()
    with locked(tmp_path / "y" / ".npe-training"):
        assert main(["train-npe", "--cell", "toy", "--n", "2000", "--out", str(tmp_path / "y")]) == 2
        assert "nobody is at work" in capsys.readouterr().err
    assert main(["sbc", "--cell", "toy", "--n", "20", "--method", "npe", "--quiet"]) == 2
    assert "train-npe" in capsys.readouterr().err


def test_an_estimator_that_was_not_saved_to_its_end_is_refused(tmp_path, monkeypatch):
    known = nb.load_cell("pvalb-689331391").estimator
    known.save(tmp_path)
    known.tensors["centre"].add_(1.0)  # another estimator of the same sizes
    real = module.write_atomically

    def killed(file, content):
        if file.name == module.CARD:
            raise KeyboardInterrupt
        real(file, content)

    with monkeypatch.context() as patched:
        patched.setattr(module, "write_atomically", killed)
        with pytest.raises(KeyboardInterrupt):
            known.save(tmp_path)
    with pytest.raises(UsageError, match="unaltered weights") as refused:
        Estimator.load(tmp_path)
    assert str(refused.value).count("should be") == 1
    known.save(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [module.CARD, module.WEIGHTS]
    assert bool((Estimator.load(tmp_path).tensors["centre"] == known.tensors["centre"]).all())
