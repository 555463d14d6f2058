"""`noble-prob calibrate` on files and tables, in every combination it is made for."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from amortised_example import toy_estimator
from cli_example import QUICK, call

from noble_prob.cells import load_cell
from noble_prob.errors import UsageError
from noble_prob.noise import NoisePrior
from noble_prob.readers import write_npz


def test_calibrate_leaves_out_a_broken_file(toy_file, tmp_path, capsys):
    (tmp_path / "broken.abf").write_bytes(b"ABF2 and nothing more")
    files = (toy_file, tmp_path / "broken.abf")
    assert call("calibrate", *files, *QUICK, "--noiseless", "--out", tmp_path / "out", "--quiet", "--json") == 0
    values = json.loads(capsys.readouterr().out)
    left_out = [f for f in values["findings"] if f["code"] == "NP240"]
    assert len(left_out) == 1
    assert "broken.abf" in left_out[0]["sentence"]
    assert list(values["refused"]) == ["broken.abf"]
    assert list(values["files"]) == ["toy.npz"]
    assert (tmp_path / "out" / "report.html").is_file()


def test_twenty_files_with_a_broken_one_and_one_that_crashes():
    """A finding for each of the two, an examination for each of the others."""
    from noble_prob.examination import examine_files
    from noble_prob.findings.registry import judge
    from noble_prob.report.parts import session_report

    cell = load_cell("toy")
    names = [f"cell_{k}.npz" for k in range(20)]

    def reader(path):
        if path.name == "cell_3.npz":
            raise UsageError("path", "an NPZ archive", "something else", "export it again")
        if path.name == "cell_7.npz":
            raise ZeroDivisionError("a reader's mistake")
        return cell.demo[0]

    session = examine_files(names, cell, reader=reader, method="hmc", chains=2, warmup=8, draws=15, seed=1)
    assert list(session.examinations) == [n for n in names if n not in ("cell_3.npz", "cell_7.npz")]
    assert [f.code for f in judge(session)] == ["NP240", "NP240"]
    assert session.refused["cell_7.npz"] == "failed: ZeroDivisionError: a reader's mistake"
    told = [text for text in session_report(session, "day").methods if "Latent features" in text]
    assert len(told) == 1
    assert "each of 18 recordings" in told[0]
    with pytest.raises(UsageError, match="draws"):
        examine_files(names[:3], cell, reader=reader, method="hmc", draws=1)


def test_many_files_take_the_cell_s_estimator_as_one_does():
    """And what all results of an examination say is asked in one call; a check's worst finding colours its verdict."""
    from noble_prob.examination import examine_files
    from noble_prob.findings.registry import judge
    from noble_prob.report.parts import predictive_part

    cell = load_cell("toy")
    cell = replace(cell, estimator=toy_estimator(cell.decoder, cell.prior, noise=NoisePrior(), steps=5))
    names = ["a.npz", "b.npz"]
    given = {"reader": lambda _: cell.demo[0], "method": "npe", "fall_back": False, "seed": 1}
    found = examine_files(names, cell, **given)
    assert list(found.examinations) == names
    one = found.examinations["a.npz"]
    assert one.posterior.method == "npe"
    assert judge(one) == [*judge(one.posterior), *judge(one.check)]
    right = replace(
        one.check, p_misfit=0.5, missing=0.0, observed=one.check.draws[0], p_feature=one.check.p_feature + 1
    )
    (verdict,) = predictive_part(right, one.posterior).verdicts
    assert verdict.severity == "passed"
    (verdict,) = predictive_part(replace(right, p_feature=0 * right.p_feature), one.posterior).verdicts
    assert verdict.severity == "caution"
    assert verdict.sentence.endswith("Cautions: predictive misfit of a feature (NP221).")
    with pytest.raises(TypeError, match="truth"):
        examine_files(names, cell, truth={}, **given)


def test_calibrate_judges_repeats(tmp_path, capsys):
    """Sweeps with the same step are repeats: their spread is compared with the one that the posterior predicts."""
    cell = load_cell("toy")
    recording = cell.demo[0].select([2] * 4 + [0])
    write_npz(recording, tmp_path / "repeats.npz")
    assert call("calibrate", tmp_path / "repeats.npz", *QUICK, "--out", tmp_path / "out", "--quiet", "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert values["calibration"]["trial"]["n"] == 3  # four repeats leave three independent residuals
    (said,) = (v["sentence"] for v in values["verdicts"] if v["level"] == "Trial to trial")
    assert said.startswith("4 repeats, taken as 3 residuals about the mean of the repeats before. ")
    assert any("(residuals of 4 recorded repeats)" in text for text in values["methods"])
    assert any(v["level"].lower().startswith("trial") for v in values["verdicts"])


def test_calibrate_judges_a_population(tmp_path, capsys):
    space = load_cell("toy").decoder.space
    rng = np.random.default_rng(0)
    wide = rng.normal(space.mean.numpy(), 3 * space.sd.numpy(), (60, 5))
    rows = [",".join(space.names), *(",".join(f"{v:.5g}" for v in row) for row in wide)]
    (tmp_path / "cells.csv").write_text("\n".join(rows))
    table = ("calibrate", "--population", tmp_path / "cells.csv", "--cell", "toy", "--out", tmp_path / "out")
    assert call(*table, "--quiet", "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert values["calibration"]["neuron"]["miscalibrated"]
    assert values["verdicts"][0]["severity"] == "issue"


def test_calibrate_recalibrates_a_prior_when_asked(tmp_path, capsys):
    """Published names are understood, rows are chosen by a word, and before and after are both on the page."""
    rng = np.random.default_rng(0)
    rows = [f"{kind},{v:.4f}" for kind, mean in (("A", -70.0), ("B", -20.0)) for v in rng.normal(mean, 3, 80)]
    (tmp_path / "cells.csv").write_text("\n".join(["kind,resting_voltage_mv", *rows]))
    table = ("calibrate", "--population", tmp_path / "cells.csv", "--where", "kind=A", "--recalibrate", "both")
    assert call(*table, "--cell", "toy", "--out", tmp_path / "out", "--quiet", "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert values["calibration"]["neuron"]["n"] == 80
    assert values["recalibration"]["ess"] > 20
    before, after = values["calibration"]["neuron"], values["calibration_after"]["neuron"]
    assert before["p_value"] < after["p_value"]


def test_calibrate_names_what_only_one_table_has(tmp_path, capsys):
    """A missing cell takes nothing out of the comparison; a column without a partner is told in every form."""
    rng = np.random.default_rng(0)
    for name, n, head in (("a", 12, "kind;latency_ms;width_ms"), ("b", 300, "kind;latency_ms;breadth_ms")):
        rows = [f"x;{x:.4f};{y:.4f}" for x, y in rng.normal(10, 1, (n, 2))]
        rows[3] = "x;n/a;10"
        (tmp_path / f"{name}.csv").write_text("\n".join(["# exported", head, *rows]))
    ask = ("calibrate", "--repeats", tmp_path / "a.csv", "--ensemble", tmp_path / "b.csv", "--out", tmp_path / "out")
    assert call(*ask, "--quiet", "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert values["calibration"]["trial"]["left_out"] == {"width_ms": "observed", "breadth_ms": "ensemble"}
    assert [f["name"] for f in values["features"]] == ["latency_ms"]
    sentence = "(a.csv) has numbers for width_ms; only the second table (b.csv) has numbers for breadth_ms"
    assert any(f["code"] == "NP205" and sentence in f["sentence"] for f in values["findings"])
    assert sentence in (tmp_path / "out" / "report.html").read_text()
    assert call(*ask, "--quiet") == 0
    assert sentence in " ".join(capsys.readouterr().out.split())
    (tmp_path / "b.csv").write_text((tmp_path / "b.csv").read_text().replace("latency_ms", "latency_s"))
    assert call(*ask, "--quiet") == 2
    assert "'latency_ms' in the first and 'latency_s' in the second; convert one table" in capsys.readouterr().err


def test_calibrate_names_columns_that_are_no_feature(tmp_path, capsys):
    rng = np.random.default_rng(0)
    rows = [f"{k % 7},{v:.4f}" for k, v in enumerate(rng.normal(-70, 3, 40))]
    ask = ("calibrate", "--population", tmp_path / "cells.csv", "--cell", "toy", "--out", tmp_path / "out", "--quiet")
    (tmp_path / "cells.csv").write_text("\n".join(["slice,resting_voltage_mv", *rows]))
    assert call(*ask, "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert values["calibration"]["neuron"]["left_out"] == {"slice": "observed"}
    (tmp_path / "cells.csv").write_text("\n".join(["voltage_deflection_mv,resting_voltage_v", *rows]))
    assert call(*ask) == 2
    assert "'resting_voltage_v' in the first and 'resting_voltage_mv'" in capsys.readouterr().err


def test_calibrate_compares_two_tables_without_a_decoder(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for name, n, sd in (("a", 12, 1.0), ("b", 300, 3.0), ("c", 12, 1.0)):
        rows = [f"{x:.4f},{y:.4f}" for x, y in rng.normal(10, sd, (n, 2))]
        (tmp_path / f"{name}.csv").write_text("\n".join(["latency (ms),width (ms)", *rows]))
    out = ("--out", tmp_path / "out", "--quiet", "--json")
    assert call("calibrate", "--repeats", tmp_path / "a.csv", "--ensemble", tmp_path / "b.csv", *out) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["verdicts"][0]["severity"] == "issue"
    assert values["verdicts"][0]["level"] == "Trial to trial"
    assert call("calibrate", "--population", tmp_path / "a.csv", "--experiment", tmp_path / "c.csv", *out) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["verdicts"][0]["severity"] != "issue"
    assert "other experiment" in values["verdicts"][0]["sentence"]
