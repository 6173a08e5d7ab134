"""Shipping: a run's front by mult-adds becomes a bundle of half-precision weights with a card."""

import importlib.util
import json
import pathlib
import sys

import jax
import numpy as np
import pytest

from dysr_jax.bundle.bundle import load_bundle

PATH = pathlib.Path(__file__).parents[2] / "experiments" / "ship.py"
SCORES = {
    "scale": 2,
    "device": "a device",
    "sets": {"Set5": {"images": 5, "lr": "given", "scores": {"bicubic": {"psnr_y": 33.66, "ssim_y": 0.93}}}},
}


@pytest.fixture(scope="module", params=["mult_adds", "latency_ms"])
def shipped(request, tiny_run, tmp_path_factory):
    spec = importlib.util.spec_from_file_location("ship", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    out = tmp_path_factory.mktemp("package")
    (out / "scores.json").write_text(json.dumps(SCORES))
    options = ["--runs", tiny_run.path, "--out", out / "pretrained", "--by", request.param]
    options += ["--validation", "embedded"]
    for more in ([], ["--scores", out / "scores.json", "--card-only"]):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["ship.py", *map(str, options + more)])
            module.main()
            patch.setattr(module, "measure_members", None)  # the card measures nothing again
    return request.param, out / "pretrained"


@pytest.mark.long
def test_runs_of_several_kinds_of_devices_become_one_bundle(tiny_run, tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("ship", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    options = ["--runs", tiny_run.path, tiny_run.path, "--classes", "gpu", "cpu", "--by", "latency_ms"]
    monkeypatch.setattr(sys, "argv", ["ship.py", *map(str, [*options, "--out", tmp_path / "out"])])
    module.main()
    for name in ("cpu", "gpu"):
        assert load_bundle(tmp_path / "out" / "x2", name).members == tiny_run.bundle.members
    card = (tmp_path / "out" / "README.md").read_text()
    assert "## x2, for a GPU" in card and "## x2, for a CPU" in card


@pytest.mark.long
def test_the_bundle_loads_and_its_weights_are_rounded(shipped):
    bundle = load_bundle(shipped[1] / "x2")
    for leaf in jax.tree.leaves(bundle.params):
        np.testing.assert_array_equal(leaf, np.asarray(leaf, np.float16))


@pytest.mark.long
def test_members_are_a_front_of_the_cost_that_is_named(shipped, tiny_run):
    by, place = shipped
    members = load_bundle(place / "x2").members
    if by == "latency_ms":
        assert [m.name for m in members] == [m.name for m in tiny_run.bundle.members]
        return
    lines = (tiny_run.path / "archive.jsonl").read_text().splitlines()
    patches = {r["name"]: r["psnr_y"] for r in map(json.loads, lines)}
    found = [patches[member.name] for member in sorted(members, key=lambda m: m.mult_adds)]
    assert len(found) > 1
    assert found == sorted(found)


@pytest.mark.long
def test_the_card_says_what_is_shipped(shipped):
    card = (shipped[1] / "README.md").read_text()
    for words in ("## x2", '"scale": 2', "33.66", "Set5: 5 images, LR given", "float16", "commit", '"patch"'):
        assert words in card
