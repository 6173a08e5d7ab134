"""`dysr profile`: the table and the figure it leaves, what it says of its predictions, and who uses it."""

import dataclasses

import numpy as np
import pytest
import scipy.stats
from PIL import Image

import dysr_jax.cli
from dysr_jax.atomic import write_json
from dysr_jax.bench import profile as module
from dysr_jax.bench.profile import profile
from dysr_jax.cli import main
from dysr_jax.config import SpaceConfig, to_dict
from dysr_jax.errors import InputError
from dysr_jax.search.latency import load_table, predict, table_key
from dysr_jax.search.probing import Fidelity, probes
from dysr_jax.space import arch_name, parse_arch, size

ARCHS, DRAWN = 5, 3


@pytest.fixture(scope="module")
def config(tiny):
    """TINY, its table fitted to some random archs too."""
    recipe = dataclasses.replace(tiny.search, latency_archs=DRAWN, rounds=2)
    return dataclasses.replace(tiny, search=recipe)


@pytest.fixture(scope="module")
def left(config, tmp_path_factory):
    """What `dysr profile` found, and the folder in which it left a table and a figure."""
    folder, found = tmp_path_factory.mktemp("profile"), []
    write_json(folder / "config.json", to_dict(config))

    def kept(*args, **options):
        found.append(profile(*args, **options))
        return found[-1]

    out = folder / "left"
    out.mkdir()
    options = ["--config", folder / "config.json", "--out", out / "table.json", "--archs", ARCHS]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dysr_jax.cli, "profile", kept)
        assert main(["profile", *map(str, options)]) == 0
    return found[0], out


def test_it_leaves_a_table_and_a_figure(left):
    _, folder = left
    assert sorted(path.name for path in folder.iterdir()) == ["table.json", "table.png"]
    with Image.open(folder / "table.png") as image:
        assert image.format == "PNG"
        assert min(image.size) > 300
        assert len(image.convert("RGB").getcolors(image.width * image.height)) > 10


def test_the_table_is_the_found_one_and_of_this_program(left, config):
    found, folder = left
    key = table_key(config.space.build(), "float32", config.search.frame)
    assert load_table(folder / "table.json", key) == found.table


def test_the_table_is_fitted_to_the_probes_and_random_archs(left, config):
    space, fitted = config.space.build(), list(left[0].table.measured_ms)
    names = [arch_name(space, arch) for arch in probes(space)]
    assert fitted[: len(names)] == names
    assert 0 < len(fitted) - len(names) <= DRAWN


def test_what_is_said_of_the_predictions_is_what_its_lists_say(left, config):
    (table, fidelity), space = left[0], config.space.build()
    assert len({*fidelity.archs}) == ARCHS
    assert not {*fidelity.archs} & {*table.measured_ms}
    genes = np.array([parse_arch(space, name) for name in fidelity.archs])
    np.testing.assert_allclose(fidelity.predicted_ms, predict(table, space, genes), rtol=1e-6)
    measured, predicted = np.array(fidelity.measured_ms), np.array(fidelity.predicted_ms)
    assert measured.min() > 0
    tau = scipy.stats.kendalltau(predicted, measured, variant="b").statistic
    assert fidelity.kendall_tau == pytest.approx(tau)
    assert fidelity.mean_error == pytest.approx(np.mean(np.abs(predicted / measured - 1)))


# --- how many archs, without measuring --------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch):
    """How many archs the table is fitted to and checked with."""
    numbers = {}

    def measure_table(net, params, frame, rounds, *, drawn):
        numbers["drawn"] = drawn

    def check_table(table, net, params, *, archs, rounds):
        numbers["archs"] = archs
        return Fidelity([], [], [], 1.0, 0.0)

    monkeypatch.setattr(module, "measure_table", measure_table)
    monkeypatch.setattr(module, "check_table", check_table)
    return numbers


@pytest.mark.parametrize(("given", "drawn"), [(0, 7), (9, 9)])
def test_the_config_says_how_many_random_archs_are_fitted_to(tiny, asked, given, drawn):
    recipe = dataclasses.replace(tiny.search, latency_archs=given)
    profile(dataclasses.replace(tiny, search=recipe), archs=7)
    assert asked == {"drawn": drawn, "archs": 7}


def test_a_small_space_keeps_archs_for_the_check(tiny, asked):
    space = SpaceConfig(slots=2, width=4, scale=2, branches=("id", "s3", "c3"))
    config = dataclasses.replace(tiny, space=space)
    profile(config, archs=30)
    built = config.space.build()
    assert size(built) - len(probes(built)) - asked["drawn"] >= 2
    assert asked["drawn"] > 0


@pytest.mark.parametrize("archs", [1, 0, -2])
def test_one_arch_is_no_check(tiny, asked, archs):
    with pytest.raises(InputError, match=f"^archs {archs}: allowed is 2 or more$"):
        profile(tiny, archs=archs)
    assert asked == {}


def test_a_space_that_has_no_archs_for_the_check(tiny, asked):
    """Before anything is measured."""
    space = SpaceConfig(slots=1, width=4, scale=2, branches=("id", "c3"))
    recipe = dataclasses.replace(tiny.search, population=4)
    with pytest.raises(InputError, match="too few archs"):
        profile(dataclasses.replace(tiny, space=space, search=recipe), archs=2)
    assert asked == {}
