"""What `bench_search` reports about its own measurements hangs together, and what it refuses."""

import dataclasses
import statistics

import numpy as np
import pytest

from dysr_jax.bench import search
from dysr_jax.bench.search import SearchResult, bench_search
from dysr_jax.config import SpaceConfig
from dysr_jax.errors import InputError
from dysr_jax.model.space import arch_mult_adds
from dysr_jax.report.bench_tables import search_tables
from dysr_jax.report.tables import clock_table
from dysr_jax.search.clock import PARTS
from dysr_jax.search.schedule import computed_share

POPULATIONS, COMPILED, GENERATIONS = (2, 6), 1, 2
PATCHES = (1, 4)
"""A quarter of the config's, and all of them."""


@pytest.fixture(scope="module")
def config(tiny):
    """Of 6 archs, which compile fast."""
    space = SpaceConfig(slots=1, widths=(4,), scale=2, branches=("id", "c3", "s3"))
    recipe = dataclasses.replace(tiny.search, population=4)
    return dataclasses.replace(tiny, space=space, search=recipe)


class Rival:
    """Evaluates nothing, and keeps what it is given."""

    def __init__(self):
        self.built = []
        self.archs = []

    def __call__(self, net, params, patches):
        self.built.append((len(patches.lr), net.dtype))

        def evaluate(archs):
            self.archs = archs
            return np.zeros(len(archs))

        return evaluate


@pytest.fixture(scope="module")
def rival():
    return Rival()


@pytest.fixture(scope="module")
def result(config, rival):
    rivals = {"a rival": rival}
    options = {"populations": POPULATIONS, "compiled": COMPILED, "rounds": 1, "generations": GENERATIONS}
    found = bench_search(config, **options, rivals=rivals)
    return found.to_json()


@pytest.fixture
def rows(result):
    return result["methods"]


@pytest.fixture
def archs(result, rival):
    """A rival is given as many as the largest population; smaller ones are the first of them."""
    assert len(rival.archs) == max(POPULATIONS)
    return rival.archs


def test_a_row_for_each_method_population_and_patch_count(result):
    assert set(result) == {
        *("device", "space", "patch", "dtype", "matrix_tflops"),
        *("methods", "ratios", "generation", "search"),
    }
    assert (result["patch"], result["dtype"]) == ("24x24", "float32")
    assert "6 archs" in result["space"]
    found = [(row["patches"], row["name"], row["population"]) for row in result["methods"]]
    assert found == [
        (count, name, population)
        for count in PATCHES
        for name, population in (
            *(("search program", population) for population in POPULATIONS),
            ("a rival", max(POPULATIONS)),
            ("compile each candidate", COMPILED),
        )
    ]
    for row in result["methods"]:
        assert set(row) == {
            *("name", "patches", "population", "candidates_per_second", "ms"),
            *("tflops", "matrix_share", "computed", "compile_s"),
        }


def test_a_rival_gets_the_same_patches_and_precision(result, rival):
    assert rival.built == [(count, np.float32) for count in PATCHES]


def test_json_can_be_read_back(result):
    assert SearchResult.from_json({**result, "pytorch": "measured"}).to_json() == result


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
    others = {"a rival": max(POPULATIONS), "compile each candidate": COMPILED}
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


def test_without_rivals(config):
    options = {"populations": [1], "patch_counts": [1], "compiled": 1, "rounds": 1, "generations": 0}
    found = bench_search(config, **options).to_json()
    assert [row["name"] for row in found["methods"]] == ["search program", "compile each candidate"]
    (ratios,) = found["ratios"]
    assert set(ratios) == {"patches", "population", "over compile each candidate"}
    assert found["generation"] == ()  # NSGA-II needs two
    assert found["search"] is None


def test_a_whole_search_tells_where_its_time_goes(result):
    found = result["search"]
    assert set(found["seconds"]) == set(PARTS)
    assert found["total"] == pytest.approx(sum(found["seconds"].values()))
    assert 4 <= found["evaluated"] <= 6
    assert found["wall_candidates_per_second"] == pytest.approx(found["evaluated"] / found["total"])
    assert found["wall_candidates_per_second"] < found["candidates_per_second"]


def test_the_whole_search_is_printed_below_the_methods(result):
    found = SearchResult.from_json(result)
    without = search_tables(dataclasses.replace(found, search=None))
    assert search_tables(found) == f"{without}\na whole search:\n{clock_table(found.search)}"
    assert "search program" in without and "by the wall clock" not in without


def test_results_of_before_the_clock_are_read(result):
    old = {name: value for name, value in result.items() if name != "search"}
    assert SearchResult.from_json(old).search is None


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"populations": (2, 7)}, r"^populations 7: must be in \[1, 6\]$"),
        ({"populations": (0,)}, r"^populations 0: must be in \[1, 6\]$"),
        ({"populations": ()}, r"^populations \(\): must be one or more$"),
        ({"patch_counts": (1, 0)}, "^patch_counts 0: must be at least 1$"),
        ({"patch_counts": (-1,)}, "^patch_counts -1: must be at least 1$"),
        ({"compiled": 0}, "^compiled 0: must be at least 1$"),
        ({"rounds": 0}, "^rounds 0: must be at least 1$"),
        ({"generations": -1}, "^generations -1: must be at least 0$"),
    ],
)
def test_counts_that_cannot_be(config, monkeypatch, asked, message):
    monkeypatch.setattr(search, "_search_program", lambda *_: pytest.fail("it went on"))
    with pytest.raises(InputError, match=message):
        bench_search(config, **{"populations": (2,)} | asked)


def test_only_one_device_is_used(config):
    with pytest.raises(InputError, match=r"^devices 2: must be 1"):
        bench_search(dataclasses.replace(config, devices=2), populations=(2,))
