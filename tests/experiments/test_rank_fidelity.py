"""Rank fidelity: archs along the front trained alone, compared with what the supernet gives them."""

import importlib.util
import json
import pathlib
import sys

import numpy as np
import pytest
import scipy.stats

PATH = pathlib.Path(__file__).parents[2] / "experiments" / "rank_fidelity.py"


@pytest.fixture(scope="module")
def module():
    spec = importlib.util.spec_from_file_location("rank_fidelity", PATH)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="module")
def run(module, training_options):
    def call(*options):
        with pytest.MonkeyPatch.context() as patch:
            argv = ["rank_fidelity.py", *training_options, *map(str, options)]
            patch.setattr(sys, "argv", argv)
            module.main()

    return call


@pytest.fixture(scope="module")
def finished(run, tmp_path_factory):
    out = tmp_path_factory.mktemp("fidelity")
    run("--out", out, "--count", "3")
    return out


@pytest.mark.long
def test_each_arch_is_compared(finished):
    result = json.loads((finished / "rank_fidelity.json").read_text())
    rows = result["archs"]
    assert len(rows) == len({row["arch"] for row in rows}) == 3
    inherited, alone = ([row[key] for row in rows] for key in ("inherited", "alone"))
    assert np.isfinite(inherited + alone).all()
    assert inherited != alone
    for row in rows:
        assert json.loads((finished / row["arch"] / "psnr_y.json").read_text()) == row["alone"]
    tau = scipy.stats.kendalltau(inherited, alone).statistic
    assert result["kendall_tau"] == pytest.approx(tau)
    assert result["mean_loss"] == pytest.approx(np.mean(alone) - np.mean(inherited))
    assert (finished / "rank_fidelity.png").read_bytes().startswith(b"\x89PNG\r\n")


@pytest.mark.long
def test_the_same_command_trains_nothing_again(finished, run, module, monkeypatch, capsys):
    scores = {file: file.stat().st_mtime_ns for file in finished.glob("*/psnr_y.json")}
    assert len(scores) == 3
    before = json.loads((finished / "rank_fidelity.json").read_text())
    trained, real = [], module.trained
    monkeypatch.setattr(module, "trained", lambda case, name: trained.append(name) or real(case, name))
    run("--out", finished, "--count", "3")
    assert trained == ["supernet"]  # restored, not trained
    assert {file: file.stat().st_mtime_ns for file in scores} == scores
    assert json.loads((finished / "rank_fidelity.json").read_text()) == before
    assert "Kendall's tau" in capsys.readouterr().out


def test_an_arch_that_is_none_is_refused_before_training(run, tmp_path):
    with pytest.raises(SystemExit) as error:
        run("--out", tmp_path / "none", "--archs", "c3-u1", "9zz-u1")
    assert "arch name '9zz-u1'" in str(error.value)
    assert not (tmp_path / "none").exists()
