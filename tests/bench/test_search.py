"""What `bench_search` reports about its own measurements hangs together, and what it refuses."""

import dataclasses
import importlib.util
import statistics
import sys
import types

import jax
import numpy as np
import pytest

from dysr_jax.bench import search
from dysr_jax.bench.search import bench_search
from dysr_jax.config import SpaceConfig
from dysr_jax.errors import InputError
from dysr_jax.model.space import arch_mult_adds
from dysr_jax.search.schedule import computed_share

POPULATIONS, COMPILED = (2, 6), 1
PATCHES = (1, 4)
"""A quarter of the config's, and all of them."""


@pytest.fixture(scope="module")
def config(tiny):
    """Of 6 archs, which compile fast."""
    space = SpaceConfig(slots=1, width=4, scale=2, branches=("id", "c3", "s3"))
    recipe = dataclasses.replace(tiny.search, population=4)
    return dataclasses.replace(tiny, space=space, search=recipe)


class Baseline:
    """In place of the module with PyTorch's supernet: keeps what it is given."""

    def __init__(self):
        self.built = []
        self.archs = []

    def TorchSupernet(self, space, params, patches, **options):  # noqa: N802
        self.built.append((space, len(patches.lr), options))

        def evaluate(archs):
            self.archs = archs
            return np.zeros(len(archs))

        return evaluate


@pytest.fixture(scope="module")
def baseline():
    return Baseline()


@pytest.fixture(scope="module")
def result(config, baseline):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "_load_baseline", lambda: baseline)
        patch.setattr(search, "_without_torch", lambda: "")
        patch.setattr(search, "torch_device", lambda: "cpu")
        return bench_search(config, populations=POPULATIONS, compiled=COMPILED, rounds=1)


@pytest.fixture
def rows(result):
    return result["methods"]


@pytest.fixture
def archs(result, baseline):
    """The baseline is given as many as the largest population; smaller ones are the first of them."""
    assert len(baseline.archs) == max(POPULATIONS)
    return baseline.archs


def test_a_row_for_each_method_population_and_patch_count(result):
    assert set(result) == {
        *("device", "space", "patch", "dtype", "matrix_tflops", "pytorch"),
        *("methods", "ratios", "generation"),
    }
    assert (result["patch"], result["dtype"], result["pytorch"]) == ("24x24", "float32", "measured")
    assert "6 archs" in result["space"]
    found = [(row["patches"], row["name"], row["population"]) for row in result["methods"]]
    assert found == [
        (count, name, population)
        for count in PATCHES
        for name, population in (
            *(("search program", population) for population in POPULATIONS),
            ("PyTorch eager", max(POPULATIONS)),
            ("compile each candidate", COMPILED),
        )
    ]
    for row in result["methods"]:
        assert set(row) == {
            *("name", "patches", "population", "candidates_per_second", "ms"),
            *("tflops", "matrix_share", "computed", "compile_s"),
        }


def test_the_baseline_gets_the_same_patches_and_precision(result, baseline):
    assert [patches for _, patches, _ in baseline.built] == list(PATCHES)
    for _, _, options in baseline.built:
        assert options == {"device": "cpu", "dtype": "float32"}


def test_milliseconds_are_of_one_candidate(rows):
    for row in rows:
        assert row["candidates_per_second"] > 0
        assert row["ms"] * row["candidates_per_second"] == pytest.approx(1e3)


def test_flops_count_every_candidate_of_the_population(rows, config, archs):
    space, side = config.space.build(), config.space.scale * config.search.patch
    each = [arch_mult_adds(space, arch, (side, side)) for arch in archs]
    means = {row["population"]: statistics.mean(each[: row["population"]]) for row in rows}
    assert len({*means.values()}) > 1
    for row in rows:
        flops = 2 * means[row["population"]] * row["patches"] * row["candidates_per_second"]
        assert row["tflops"] * 1e12 == pytest.approx(flops)


def test_shares_of_the_matrix_product_s_rate(result):
    assert result["matrix_tflops"] > 0
    for row in result["methods"]:
        assert row["matrix_share"] == pytest.approx(row["tflops"] / result["matrix_tflops"])


def test_only_the_search_program_shares_work(rows, config, archs):
    space, genes = config.space.build(), np.asarray(archs)
    share = {count: computed_share(space, genes[:count]) for count in POPULATIONS}
    assert share[max(POPULATIONS)] < 1
    for row in rows:
        alone = row["name"] != "search program"
        assert row["computed"] == (1.0 if alone else share[row["population"]])


def test_ratios_are_those_of_the_rates(result, rows):
    rate = {(row["patches"], row["name"], row["population"]): row["candidates_per_second"] for row in rows}
    others = {"PyTorch eager": max(POPULATIONS), "compile each candidate": COMPILED}
    found = result["ratios"]
    assert [(row["patches"], row["population"]) for row in found] == [
        (count, population) for count in PATCHES for population in POPULATIONS
    ]
    for row in found:
        assert set(row) == {"patches", "population", *(f"over {name}" for name in others)}
        count = row["patches"]
        own = rate[count, "search program", row["population"]]
        for name, population in others.items():
            assert row[f"over {name}"] == pytest.approx(own / rate[count, name, population])


def test_a_generation_is_asking_and_telling_beside_evaluating(result, rows):
    evaluated = [row for row in rows if row["name"] == "search program"]
    for row, other in zip(result["generation"], evaluated, strict=True):
        assert (row["patches"], row["population"]) == (other["patches"], other["population"])
        assert row["evaluate_ms"] == pytest.approx(other["ms"] * other["population"])
        assert row["ask_tell_ms"] > 0
        assert row["share"] == pytest.approx(row["ask_tell_ms"] / row["evaluate_ms"])


def test_without_pytorch_its_row_is_left_out(config, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError):
        import torch  # noqa: F401
    found = bench_search(config, populations=[1], patch_counts=[1], compiled=1, rounds=1)
    assert found["pytorch"] == "left out: torch is not installed"
    assert [row["name"] for row in found["methods"]] == ["search program", "compile each candidate"]
    (ratios,) = found["ratios"]
    assert set(ratios) == {"patches", "population", "over compile each candidate"}
    assert found["generation"] == []  # NSGA-II needs two


def test_outside_the_repository_there_is_no_baseline(monkeypatch, tmp_path):
    # As if PyTorch were there: it is the file that is missing.
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(search, "BASELINE", tmp_path / "torch_supernet.py")
    assert search._without_torch() == "left out: its code is in the repository's experiments/"


@pytest.mark.parametrize(
    ("backend", "cuda", "expected"),
    [("cpu", False, ""), ("gpu", True, ""), ("gpu", False, "no gpu"), ("tpu", False, "no tpu")],
)
def test_pytorch_runs_on_jax_s_device_or_not_at_all(monkeypatch, backend, cuda, expected):
    torch = types.SimpleNamespace(cuda=types.SimpleNamespace(is_available=lambda: cuda))
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    assert search._without_torch().endswith(expected)
    assert bool(search._without_torch()) == bool(expected)


def test_the_baseline_is_found():
    pytest.importorskip("torch")
    assert callable(search._load_baseline().TorchSupernet)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"populations": (2, 7)}, "^populations 7: allowed is 1 to 6$"),
        ({"populations": (0,)}, "^populations 0: allowed is 1 to 6$"),
        ({"populations": ()}, r"^populations \(\): allowed is one or more$"),
        ({"patch_counts": (1, 0)}, "^patch_counts 0: allowed is 1 or more$"),
        ({"patch_counts": (-1,)}, "^patch_counts -1: allowed is 1 or more$"),
        ({"compiled": 0}, "^compiled 0: allowed is 1 or more$"),
        ({"rounds": 0}, "^rounds 0: allowed is 1 or more$"),
    ],
)
def test_counts_that_cannot_be(config, monkeypatch, asked, message):
    monkeypatch.setattr(search, "_search_program", lambda *_: pytest.fail("it went on"))
    with pytest.raises(InputError, match=message):
        bench_search(config, **{"populations": (2,)} | asked)


def test_only_one_device_is_used(config):
    with pytest.raises(InputError, match=r"^devices 2: allowed is 1, "):
        bench_search(dataclasses.replace(config, devices=2), populations=(2,))
