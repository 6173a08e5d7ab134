"""The value of branches: networks as deep as budgets allow, compared with a front, trained to a table."""

import dataclasses
import importlib
import json
import math
import sys

import numpy as np
import pytest

from dysr_jax.model.names import parse_arch
from dysr_jax.model.space import arch_mult_adds, arch_parameters, uniform_space

SMALL = ("--width", "4", "--scale", "2", "--frame", "6", "8", "--rounds", "1")


@pytest.fixture(scope="module")
def module(candidates):
    return importlib.import_module("branch_value")


@pytest.fixture
def run(module, monkeypatch):
    def call(*options):
        monkeypatch.setattr(sys, "argv", ["branch_value.py", *map(str, options)])
        module.main()

    return call


@pytest.fixture
def costs(module, monkeypatch):
    """A frame takes 1 ms and a slot 0.5, whatever the branch; nothing is compiled."""

    def frames_ms(options, spaces):
        return [1.0 + 0.5 * len(s.body) * (s.body[0] != ("id",)) for s in spaces]

    monkeypatch.setattr(module, "frames_ms", frames_ms)


def network(module, name, ms, psnr_y):
    return module.Network(name, 1, f"1{name}", 1, 1, ms, psnr_y)


def test_each_network_is_as_deep_as_its_budget_allows(module, costs):
    options = module.Options(
        present=("c3-u1",), candidates=("r1-u2", "7r1-u2", "c3-u1"), budgets=(0.3, 2.6, 1e9)
    )
    costs = module.slot_costs(options)
    assert [dataclasses.astuple(c) for c in costs] == [("c3-u1", 1.0, 0.5), ("r1-u2", 1.0, 0.5)]
    made = module.networks(options, costs)
    assert [(n.name, n.slots) for n in made] == [
        *(("c3-u1", depth) for depth in (1, 3, module.MOST_SLOTS)),
        *(("r1-u2", depth) for depth in (1, 3, module.MOST_SLOTS, 7)),
    ]
    found = made[4]
    space = uniform_space(slots=3, widths=64, scale=4, branches=("r1",), upsamplers=("u2",))
    arch = parse_arch(space, "3r1-u2")
    assert (found.arch, found.ms, found.psnr_y) == ("3r1-u2", 2.5, None)
    assert found.mult_adds == arch_mult_adds(space, arch)
    assert found.parameters == arch_parameters(space, arch)


def test_a_branch_is_followed_over_the_logarithm_of_the_time(module):
    known = [(1.0, 30.0), (4.0, 32.0), (3.0, None), (5.0, math.nan)]
    networks = [network(module, "c3-u1", ms, psnr_y) for ms, psnr_y in known]
    found = [module.reached_psnr_y(networks, ms) for ms in (0.9, 1.0, 2.0, 4.0, 99.0)]
    assert found == [30.0, 30.0, pytest.approx(31.0), 32.0, 32.0]
    assert module.reached_psnr_y(networks[2:], 9.0) == -math.inf


def test_gains_are_over_the_best_of_the_present_ones(module):
    """A present one is compared with the other present ones."""
    given = [("c3-u1", 1.0, 30.0), ("r1-u1", 1.0, 30.5), ("s3-u1", 2.0, 31.0), ("s5-u1", 0.5, 29.0)]
    made = [network(module, *each) for each in given]
    found = module.compared(("c3-u1", "r1-u1"), made)
    assert [n.gain for n in found] == [-0.5, 0.5, 0.5, -1.5]
    assert module.compared(("c3-u1",), made)[0].gain is None
    assert module.on_the_front(made) == ["1s5-u1", "1r1-u1", "1s3-u1"]
    lines = module.table(made).splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["1s5-u1", "1c3-u1", "1r1-u1", "1s3-u1"]


@pytest.mark.long
def test_a_network_is_measured_trained_and_written(run, capsys, tmp_path, training_options):
    """All of it, small: a candidate, four steps."""
    out = tmp_path / "value.json"
    networks = ["--present", "--candidates", "v3-u1", "--budgets", "1e-6", "--patches", "2"]
    run(*training_options[:-2], *networks, "--steps", "4", "--batch", "2", *SMALL, "--json", out)
    written = json.loads(out.read_text())
    (found,) = written["networks"]
    assert (found["arch"], found["gain"], written["steps"]) == ("v3-u1", None, 4)
    assert found["ms"] > 0
    assert np.isfinite(found["psnr_y"])
    row, front = capsys.readouterr().out.splitlines()[-2:]
    assert row.split()[0::4] == ["v3-u1", f"{found['psnr_y']:.2f}"]
    assert front == "on the front: v3-u1"


def test_without_steps_only_times_are_measured(run, costs, module, capsys, monkeypatch):
    monkeypatch.setattr(module, "train_all", None)
    run("--present", "c3-u1", "--candidates", "s3-u1", "--steps", "0", *SMALL)
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[-2:]] == ["c3-u1", "s3-u1"]
    run("--present", "c3-u1", "--candidates", "s3-u1", "--budgets", "--steps", "0", *SMALL)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[2:]]
    assert rows == [[name, "1.000", "0.5000", "1.00"] for name in ("c3-u1", "s3-u1")]


def test_what_has_not_begun_in_time_is_left_out(run, costs, tmp_path, training_options):
    out = tmp_path / "value.json"
    run(*training_options, "--present", "1c3-u1", "--seconds", "0", *SMALL, "--json", out)
    assert [n["psnr_y"] for n in json.loads(out.read_text())["networks"]] == [None] * 8


def test_what_was_trained_elsewhere_is_judged_by_these_times(run, costs, capsys, tmp_path):
    """The same archs; one that is missing there has a time only."""
    there, out = tmp_path / "there.json", tmp_path / "out.json"
    trained = [{"arch": "2c3-u1", "psnr_y": 30.0}, {"arch": "4s3-u1", "psnr_y": 31.0}]
    there.write_text(json.dumps({"width": 4, "scale": 2, "networks": trained}))
    names = ["--present", "2c3-u1", "--candidates", "4s3-u1", "5s3-u1"]
    run(*names, "--trained", there, *SMALL, "--json", out)
    found = [(n["ms"], n["psnr_y"], n["gain"]) for n in json.loads(out.read_text())["networks"]]
    assert found == [(2.0, 30.0, None), (3.0, 31.0, 1.0), (3.5, None, None)]
    assert capsys.readouterr().out.splitlines()[-1] == "on the front: 2c3-u1, 4s3-u1"
    with pytest.raises(SystemExit, match="its width is 4; must be 8"):
        run(*names, "--trained", there, *SMALL, "--width", "8")


@pytest.mark.parametrize("name", ["zz-u1", "c3", "c3-zz", "0c3-u1"])
def test_what_is_no_network_is_refused(run, name):
    with pytest.raises(SystemExit, match=f"network '{name}': "):
        run("--candidates", name)


def test_the_default_networks_are_known(module):
    module.check_names(module.Options())
    names = dataclasses.asdict(module.Options())
    assert not {*names["present"]} & {*names["candidates"]}


def test_no_rescaled_copies_are_prepared(module, monkeypatch):
    class StopError(Exception):
        pass

    def load(data, scale):
        assert module.load_config("base").data.rescale
        assert (data.rescale, data.source, scale) == ((), "folder:there", 2)
        raise StopError

    monkeypatch.setattr(module, "load_pairs", load)
    with pytest.raises(StopError):
        module.train_all(module.Options(source="folder:there", scale=2), [])
