"""The ablation: every variant is a recipe, two are trained to a table, none is trained twice."""

import importlib.util
import json
import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tyro

from dysr_jax.config import PRESETS, check, load_config
from dysr_jax.model.names import parse_arch
from dysr_jax.model.space import arch_mult_adds, arch_parameters, largest_arch, smallest_arch, uniform_space
from dysr_jax.model.supernet import Supernet, init_params
from dysr_jax.model.upsamplers import UPSAMPLERS

PATH = pathlib.Path(__file__).parents[2] / "experiments" / "ablation.py"
HALVED = "batch 384, half the updates"
ONLY = ("the recipe", "no sandwich")


@pytest.fixture(scope="module")
def module():
    """Without the upsampler that it registers staying for other tests."""
    registered = dict(UPSAMPLERS)
    spec = importlib.util.spec_from_file_location("ablation", PATH)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    yield found
    UPSAMPLERS.clear()
    UPSAMPLERS.update(registered)


def options_of(module, **changes):
    return module.Options(**{"out": pathlib.Path("nowhere"), **changes})


@pytest.fixture
def run(module, monkeypatch, training_options):
    def call(*options):
        monkeypatch.setattr(sys, "argv", ["ablation.py", *training_options, *map(str, options)])
        module.main()

    return call


@pytest.fixture(scope="module")
def finished(module, training_options, tmp_path_factory):
    out = tmp_path_factory.mktemp("ablation")
    with pytest.MonkeyPatch.context() as patch:
        options = ["--out", str(out), "--archs", "30", "--only", *ONLY]
        patch.setattr(sys, "argv", ["ablation.py", *training_options, *options])
        module.main()
    return out


def test_every_variant_is_another_recipe_that_can_be_trained(module):
    """Of the preset, at the default number of updates."""
    recipes = {}
    for name in module.VARIANTS:
        config = module.recipe(options_of(module), name)
        check(config, 1)
        assert config not in recipes.values()
        recipes[name] = config
    assert recipes["the recipe"].space == PRESETS["base"].space
    assert module.recipe(options_of(module, steps=1100), HALVED).train.steps == 500


def test_places_differ(module):
    options = options_of(module)
    assert len({module.place(options, name) for name in module.VARIANTS}) == len(module.VARIANTS)


@pytest.mark.long
def test_the_table_has_a_row_for_each_variant(module, run, finished, capsys):
    found = json.loads((finished / "supernet" / "ablation.json").read_text())["variants"]
    assert [result["name"] for result in found] == list(ONLY)
    for result in found:
        assert [point["budget"] for point in result["front"]] == list(module.BUDGETS)
        psnr = [point["psnr_y"] for point in result["front"]]
        assert psnr == sorted(psnr)
        assert result["largest"] <= psnr[-1]
        assert result["steps"] == 20
    assert found[0]["front"] != found[1]["front"]
    # The same command trains nothing again.
    files = [module.place(options_of(module, out=finished), n) / "result.json" for n in ONLY]
    before = [file.stat().st_mtime_ns for file in files]
    run("--out", finished, "--archs", "30", "--only", *ONLY)
    assert [file.stat().st_mtime_ns for file in files] == before
    rows = [line.split("  ")[-1].strip() for line in capsys.readouterr().out.splitlines()]
    first, other = (result["front"][-1]["psnr_y"] for result in found)
    assert rows[-2:] == [f"{first:.2f}", f"{other - first:+.2f}"]


@pytest.mark.long
def test_a_variant_that_is_missing_is_trained(module, run, finished, monkeypatch):
    (finished / "supernet" / "the_recipe" / "result.json").unlink()
    trained = []
    monkeypatch.setattr(module, "run_variant", lambda _, name: trained.append(name) or {"name": 1})
    monkeypatch.setattr(module, "table", lambda results: "")
    run("--out", finished, "--only", *ONLY)
    assert trained == ["the recipe"]


@pytest.mark.long
def test_the_largest_alone_is_compared_on_training_images(module, run, tmp_path, capsys, training_options):
    names = ("the recipe", "no weight decay")
    run("--out", tmp_path, "--largest", "--only", *names)
    found = json.loads((tmp_path / "largest" / "ablation.json").read_text())["variants"]
    assert [result["name"] for result in found] == list(names)
    config = load_config(training_options[training_options.index("--config") + 1])
    space = config.space.build()
    for result in found:
        assert result["parameters"] == arch_parameters(space, largest_arch(space))
        assert result["mult_adds"] == arch_mult_adds(space, largest_arch(space))
    rows = [line.split()[-2:] for line in capsys.readouterr().out.splitlines()[-2:]]
    both = [[result[name] for name in ("psnr_y", "training_psnr_y")] for result in found]
    assert rows[0] == [f"{value:.2f}" for value in both[0]]
    assert rows[1] == [f"{b - a:+.2f}" for a, b in zip(*both, strict=True)]
    assert not (tmp_path / "supernet").exists()


def test_a_wrong_name_is_refused(run, tmp_path):
    with pytest.raises(SystemExit) as error:
        run("--out", tmp_path / "none", "--only", "the recipe", "more spice")
    assert "variant 'more spice': allowed are the recipe, no sandwich" in str(error.value)
    assert not (tmp_path / "none").exists()


class Process:
    """A process that does nothing."""

    started: list = []  # noqa: RUF012
    code = 0

    def __init__(self, command, env):
        self.started.append((command, env))

    def wait(self):
        return self.code


def test_variants_are_distributed_over_processes(module, run, tmp_path, monkeypatch):
    monkeypatch.setattr(module.jobs.subprocess, "Popen", Process)
    monkeypatch.setattr(Process, "started", [])
    monkeypatch.setattr(module, "table", lambda results: "")
    names = list(module.VARIANTS)[:5]
    options = ("--out", tmp_path, "--jobs", "2", "--gpus", "2", "--only", *names)
    run(*options)
    told = [tyro.cli(module.Options, args=command[2:]) for command, _ in Process.started]
    assert [options.only for options in told] == [tuple(names[0::2]), tuple(names[1::2])]
    assert {options.jobs for options in told} == {1}
    assert [env["CUDA_VISIBLE_DEVICES"] for _, env in Process.started] == ["0", "1"]
    monkeypatch.setattr(Process, "code", 1)
    with pytest.raises(SystemExit, match="the same command runs what is missing"):
        run(*options)


def test_the_best_within_each_budget(module):
    space = uniform_space(slots=1, widths=64, scale=4, branches=("id", "c3"), upsamplers=("u1",))
    ends = [smallest_arch(space), largest_arch(space)]
    costs = [arch_mult_adds(space, arch) / 1e9 for arch in ends]
    assert costs[0] < 2.0 < costs[1] < 4.6
    found = module.front_at(space, np.array(ends), np.array([30.0, 31.0]))
    for point in found["front"]:
        assert point["psnr_y"] == (31.0 if point["budget"] >= costs[1] else 30.0)
        assert arch_mult_adds(space, parse_arch(space, point["arch"])) / 1e9 <= point["budget"]
    assert found["largest"] == 31.0


def test_sampled_archs_hold_the_ends_and_each_once(module):
    space = uniform_space(slots=3, widths=4, scale=2, branches=("id", "c3", "r1"))
    archs = module.sampled_archs(space, 60)
    assert len(np.unique(archs, axis=0)) == len(archs)
    assert {smallest_arch(space), largest_arch(space)} <= {*map(tuple, archs.tolist())}


def test_upsamplers_of_their_own_kernels(module):
    """Stored apart, and for images of both as each static program computes them."""
    space = uniform_space(slots=1, widths=4, scale=2, branches=("c3",), upsamplers=("u1", "o2"))
    params = init_params(jax.random.key(0), space)
    assert {"subpixel", "own_subpixel", "own_hidden0"} <= params["upsampler"].keys()
    params = jax.tree.map(lambda x: x + 0.1, jax.device_get(params))
    lr = np.random.default_rng(0).random((2, 4, 4, 3), np.float32)
    net = Supernet(space)
    search = jax.jit(net.apply)
    both = [search({"params": params}, lr, jnp.asarray((0, image)))[image] for image in range(2)]
    apply = jax.jit(net.apply, static_argnums=2)
    for image in range(2):
        alone = apply({"params": params}, lr, (0, image))
        np.testing.assert_allclose(both[image], alone[image], rtol=1e-5, atol=1e-5)
    assert np.abs(alone[0] - both[0]).max() > 0.01
