"""`dysr profile`: the table and the figure it leaves, what it says of its predictions, and who uses it."""

import dataclasses

import numpy as np
import pytest
import scipy.stats
from PIL import Image

import dysr_jax.cli
import dysr_jax.commands.runs
from dysr_jax.atomic import write_json
from dysr_jax.bench import latency as module
from dysr_jax.bench.latency import profile
from dysr_jax.cli import main
from dysr_jax.config import SpaceConfig, to_dict
from dysr_jax.errors import InputError
from dysr_jax.model.names import arch_name, parse_arch
from dysr_jax.search import probing
from dysr_jax.search.latency import fit_table, load_table, predict, table_key
from dysr_jax.search.probing import probes

ARCHS = 6


@pytest.fixture(scope="module")
def left(tiny, tmp_path_factory):
    """What `dysr profile` found, and the folder in which it left a table and a figure."""
    folder, found = tmp_path_factory.mktemp("profile"), []
    write_json(folder / "config.json", to_dict(tiny))

    def kept(*args, **options):
        found.append(profile(*args, **options))
        return found[-1]

    out = folder / "left"
    out.mkdir()
    options = ["--config", folder / "config.json", "--out", out / "table.json", "--archs", ARCHS]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dysr_jax.commands.runs, "profile", kept)
        assert main(["profile", *map(str, options)]) == 0
    return found[0], out


def test_it_leaves_a_table_and_a_figure(left):
    _, folder = left
    assert sorted(path.name for path in folder.iterdir()) == ["table.json", "table.png"]
    with Image.open(folder / "table.png") as image:
        assert image.format == "PNG"
        assert min(image.size) > 300
        assert len(image.convert("RGB").getcolors(image.width * image.height)) > 10


def test_the_table_is_the_found_one_and_of_this_program(left, tiny):
    found, folder = left
    key = table_key(tiny.space.build(), "float32", tiny.search.frame)
    assert load_table(folder / "table.json", key) == found.table


def test_the_table_is_fitted_to_the_probes_and_random_archs(left, tiny):
    space, table = tiny.space.build(), left[0].table
    names = list(table.measured_ms)
    known = [arch_name(space, arch) for arch in probes(space)]
    assert names[: len(known)] == known
    assert 2 <= len(names) - len(known) <= ARCHS
    fitted = fit_table(space, table.measured_ms, table.key)
    assert dataclasses.replace(fitted, measured_at=table.measured_at) == table


def test_each_random_arch_is_predicted_from_the_others(left, tiny):
    (table, fidelity), space = left[0], tiny.space.build()
    names = list(table.measured_ms)
    assert fidelity.archs == names[len(probes(space)) :]
    assert fidelity.measured_ms == [table.measured_ms[name] for name in fidelity.archs]
    for name, predicted in zip(fidelity.archs, fidelity.predicted_ms, strict=True):
        others = {other: ms for other, ms in table.measured_ms.items() if other != name}
        genes = np.array([parse_arch(space, name)])
        (expected,) = predict(fit_table(space, others, {}), space, genes)
        assert predicted == pytest.approx(expected)
    seen = predict(table, space, np.array([parse_arch(space, name) for name in fidelity.archs]))
    assert not np.allclose(fidelity.predicted_ms, seen)


def test_what_is_said_of_the_predictions_is_what_its_lists_say(left):
    fidelity = left[0].fidelity
    measured, predicted = np.array(fidelity.measured_ms), np.array(fidelity.predicted_ms)
    assert measured.min() > 0
    tau = scipy.stats.kendalltau(predicted, measured, variant="b").statistic
    assert fidelity.kendall_tau == pytest.approx(tau)
    assert fidelity.mean_error == pytest.approx(np.mean(np.abs(predicted / measured - 1)))


@pytest.mark.parametrize("archs", [1, 0, -2])
def test_one_arch_is_no_check(tiny, monkeypatch, archs):
    monkeypatch.setattr(module, "measure_table", lambda *_, **__: pytest.fail("it went on"))
    with pytest.raises(InputError, match=f"^archs {archs}: must be at least 2$"):
        profile(tiny, archs=archs)


def test_a_space_with_too_few_archs_for_the_check(tiny, monkeypatch):
    """Of its four archs three are probes."""
    monkeypatch.setattr(
        probing, "measure_archs", lambda net, params, archs, *_, **__: _planted(net.space, archs)
    )
    space = SpaceConfig(slots=1, widths=(4,), scale=2, branches=("id", "c3"))
    recipe = dataclasses.replace(tiny.search, population=4)
    with pytest.raises(InputError, match="random archs must be at least 2 to be checked, got 1"):
        profile(dataclasses.replace(tiny, space=space, search=recipe), archs=30)


def _planted(space, archs):
    return {arch_name(space, arch): 1.0 + sum(arch) for arch in archs}
