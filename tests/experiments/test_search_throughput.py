"""The search beside PyTorch in one run: its row, and a run without it."""

import json
import sys

import numpy as np
import pytest
import search_throughput


@pytest.fixture
def run(training_options, tmp_path, monkeypatch):
    def call():
        kept = training_options[: training_options.index("--steps")]
        options = [
            "--out",
            tmp_path / "out",
            "--populations",
            "2",
            "4",
            "--patch-counts",
            "1",
            "--rounds",
            "1",
        ]
        monkeypatch.setattr(sys, "argv", ["search_throughput.py", *kept, *map(str, options)])
        search_throughput.main()
        return json.loads((tmp_path / "out" / "search_throughput.json").read_text())

    return call


@pytest.mark.parametrize("reason", ["", "left out: torch is not installed"])
def test_a_rival_has_a_row_unless_it_is_left_out(run, monkeypatch, capsys, reason):
    monkeypatch.setattr(search_throughput, "without_torch", lambda: reason)
    rival = lambda net, params, patches: lambda archs: np.zeros(len(archs))  # noqa: E731
    monkeypatch.setattr(search_throughput, "torch_rival", rival)
    found = run()
    names = [row["name"] for row in found["methods"]]
    others = ["compile each candidate"] if reason else ["PyTorch eager", "compile each candidate"]
    assert names == ["search program", "search program", *others]
    assert {f"over {name}" for name in others} <= set(found["ratios"][0])
    assert found["pytorch"] == (reason or "measured")
    assert ("PyTorch eager: left out" in capsys.readouterr().out) == bool(reason)


def test_pytorch_evaluates_the_same_candidates(run):
    pytest.importorskip("torch")
    assert run()["pytorch"] == "measured"
