"""The comparison of searches on a space that is known whole: what it counts, what the methods propose."""

import collections
import csv
import dataclasses
import importlib.util
import itertools
import json
import pathlib
import sys
import typing

import numpy as np
import pytest
from baselines import front_rivals
from PIL import Image

from dysr_jax import parallel
from dysr_jax.bench.front import MOST_ARCHS
from dysr_jax.config import PRESETS
from dysr_jax.model.space import gene_counts, largest_arch, smallest_arch, space_size, uniform_space
from dysr_jax.search.latency import Terms

PATH = pathlib.Path(__file__).parents[2] / "experiments" / "exhaustive_front.py"


@pytest.fixture(scope="module")
def module():
    spec = importlib.util.spec_from_file_location("exhaustive_front", PATH)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    for name in [name for name in found.METHODS if "Optuna" in name]:  # where it happens to be installed
        del found.METHODS[name]
    return found


def truth_of(module, space, objectives, ms=0.0):
    """`ms` of the body's slots and branches; neither upsampler nor width add any."""
    genes = np.indices(gene_counts(space)).reshape(len(gene_counts(space)), -1).T.astype(np.int32)
    widths = len(space.widths)
    terms = np.zeros((widths, len(space.slots), max(map(len, space.slots))))
    terms[:, :-1] = ms
    return module.Truth(space, genes, np.asarray(objectives, float), 0.5, Terms(np.zeros(widths), terms))


def space_of(slots, *branches, widths=4):
    return uniform_space(slots=slots, widths=widths, scale=2, branches=branches, upsamplers=("u1",))


@pytest.fixture(scope="module")
def four(module):
    """Archs 1 and 2 make the front's area, 6 each and 4 of it in common; 0 and 3 touch the corner."""
    return truth_of(module, space_of(2, "id", "c3"), [(0, 4), (1, 2), (2, 1), (4, 0)])


@pytest.fixture(scope="module")
def many(module):
    """81 archs: each branch adds a cost, and to a quality that saturates."""
    space = space_of(4, "id", "c3", "r1")
    rng = np.random.default_rng(0)
    gain, cost = np.sort(rng.random((2, 4, 3)), 2)
    body = np.indices(gene_counts(space)).reshape(5, -1).T[:, :4]
    quality = np.sqrt(gain[np.arange(4), body].sum(1))
    return truth_of(module, space, np.stack([-quality, cost[np.arange(4), body].sum(1)], 1), cost)


@pytest.fixture(scope="module")
def elastic(module):
    """18 archs of two widths, at any quality and cost."""
    return truth_of(
        module, space_of(2, "id", "c3", "r1", widths=(4, 8)), np.random.default_rng(0).random((18, 2))
    )


# --- the spaces -------------------------------------------------------------------------------------


def test_the_spaces(module):
    spaces = {name: config.build() for name, config in module.SPACES.items()}
    assert list(spaces) == list(typing.get_args(typing.get_type_hints(module.Options)["space"]))
    sizes = {name: space_size(space) for name, space in spaces.items()}
    assert sizes == {"small": 4096, "width": 4096, "large": 46_656}
    assert max(sizes.values()) <= MOST_ARCHS  # or `evaluate_space` refuses it
    assert {name: len(space.widths) > 1 for name, space in spaces.items()} == {
        "small": False, "width": True, "large": False
    }  # fmt: skip


# --- shares of the hypervolume ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("batches", "budget", "shares"),
    [
        ([[0, 1, 2, 3]], 4, [0, 0.75, 1, 1]),
        ([[1], [2]], 2, [0.75, 1]),
        ([[2, 3], [0, 1]], 4, [0.75, 0.75, 0.75, 1]),
        # Known archs cost nothing, whether of this batch or of an earlier one.
        ([[3, 3, 1], [1, 3], [2]], 3, [0, 0.75, 1]),
        # What is over the budget does not count.
        ([[3, 1, 2]], 2, [0, 0.75]),
        # A search that ends early keeps what it has.
        ([[3], [1]], 4, [0, 0.75, 0.75, 0.75]),
        # And so does one that goes on for ever without finding more.
        (itertools.chain([[1]], itertools.repeat([1])), 3, [0.75, 0.75, 0.75]),
    ],
    ids=["all", "the front", "order", "known", "over", "ended", "endless"],
)
def test_curve(module, four, batches, budget, shares):
    found = module.curve(four, map(np.array, iter(batches)), budget)
    np.testing.assert_allclose(found, shares)


def test_a_search_may_find_nothing_for_a_while(module, four):
    idle = [[0]] * 150
    batches = map(np.array, [*idle, [1], *idle, [2]])
    np.testing.assert_allclose(module.curve(four, batches, 3), [0, 0.75, 1])


# --- the methods ------------------------------------------------------------------------------------

METHODS = (
    "NSGA-II (dysr_jax)",
    "NSGA-II + additive surrogate",
    "NSGA-II + mlp surrogate",
    "front of additive scores",
    "NSGA-II (pymoo)",
    "NSGA-II (pymoo with our operators)",
    "random search",
)
COMPLETE = [
    pytest.param(name, marks=[pytest.mark.long] * ("mlp" in name))
    for name in METHODS
    if name != "front of additive scores"
]
"""Those that go on until they have seen the whole space."""
each_method = pytest.mark.parametrize("name", METHODS)


def test_these_are_the_methods(module):
    assert tuple(module.METHODS) == METHODS


@each_method
def test_a_method_proposes_rows_of_the_space_by_its_seed(module, many, name):
    def batches(seed):
        return list(itertools.islice(module.METHODS[name](many, 8, seed), 4))

    found = batches(0)
    assert len(found) == 4
    for rows in found:
        assert rows.dtype.kind == "i"
        assert rows.shape in ((8,), (9,))  # 81 archs by chance are nearly equal batches
        assert 0 <= rows.min() <= rows.max() < 81
        assert len(np.unique(rows)) == len(rows)
    again, other = batches(0), batches(1)
    assert all(map(np.array_equal, found, again))
    assert not all(map(np.array_equal, found, other))


def test_rows_are_where_archs_stand(many):
    np.testing.assert_array_equal(many.rows(many.genes[[5, 80, 0]]), [5, 80, 0])


def test_ours_begins_with_the_extremes(module, many):
    rows = next(module.ours(many, 8, 3))
    ends = many.rows(np.array([smallest_arch(many.space), largest_arch(many.space)]))
    assert {*ends.tolist()} <= {*rows.tolist()}


@pytest.mark.parametrize("name", [METHODS[0], METHODS[4], METHODS[5]])
def test_nsga2_is_told_what_it_asked_for(module, many, name):
    """One objective that all genes make better, or worse: it comes closer to the one end or the other."""
    total = many.genes.sum(1)
    found = []
    for sign in (-1, 1):
        truth = many._replace(objectives=np.stack([sign * total] * 2, 1).astype(float))
        batches = itertools.islice(module.METHODS[name](truth, 8, 0), 8)
        found.append(total[np.concatenate(list(batches)[5:])].mean())
    most, least = found
    assert most > total.mean() + 1 > total.mean() - 1 > least


def test_by_chance_takes_every_arch_once(module, many):
    rows = np.concatenate(list(module.by_chance(many, 8, 0)))
    assert sorted(rows.tolist()) == list(range(81))


@pytest.mark.parametrize("name", COMPLETE)
def test_the_whole_space_holds_the_whole_front(module, many, name):
    found = module.curve(many, module.METHODS[name](many, 8, 0), 81)
    assert found.shape == (81,)
    assert np.all(np.diff(found) > -1e-9)
    assert found[0] < 0.9
    assert found[-1] == pytest.approx(1.0)


@pytest.mark.parametrize("name", COMPLETE)
def test_all_widths_are_searched(module, elastic, name):
    found = module.curve(elastic, module.METHODS[name](elastic, 8, 0), 18)
    assert found[0] < found[-1] == pytest.approx(1.0)


@pytest.mark.parametrize("name", COMPLETE)
def test_a_population_larger_than_the_space(module, four, name):
    found = module.curve(four, module.METHODS[name](four, 8, 0), 4)
    assert found[-1] == pytest.approx(1.0)


def test_pymoo_ends_where_it_can_make_no_others(module, four):
    batches = list(itertools.islice(module.METHODS["NSGA-II (pymoo)"](four, 4, 0), 20))
    assert len(batches) < 20
    assert {*np.concatenate(batches).tolist()} == {0, 1, 2, 3}


@pytest.mark.parametrize("name", ["NSGA-II (Optuna)", "TPE (Optuna)"])
def test_a_sampler_of_optuna_is_told_what_it_asked_for(many, name):
    pytest.importorskip("optuna")
    total = many.genes.sum(1)
    truth = many._replace(objectives=np.stack([-total] * 2, 1).astype(float))
    rows = np.concatenate(list(itertools.islice(front_rivals.rivals()[name](truth, 8, 0), 60)))
    assert total[rows[40:]].mean() > total.mean() + 1


# --- the comparison ---------------------------------------------------------------------------------


def options_of(module, **changes):
    return module.Options(pathlib.Path("nowhere"), **changes)


def test_compare_has_a_curve_for_each_seed_and_method(module, many):
    curves = module.compare(many, options_of(module, population=8, seeds=3, share=0.25))
    assert tuple(curves) == METHODS
    for name, values in curves.items():
        assert values.shape == (3, 20)
        for seed, row in enumerate(values):
            again = module.curve(many, module.METHODS[name](many, 8, seed), 20)
            np.testing.assert_array_equal(row, again)
        assert len(np.unique(values, axis=0)) == 3


def test_a_share_of_less_than_an_arch_is_one(module, four):
    options = options_of(module, population=4, seeds=1, share=0.1)
    curves = module.compare(four, options)
    assert {values.shape for values in curves.values()} == {(1, 1)}
    assert module.report(four, options, curves)["evaluations"] == 1


def test_report_counts_the_seeds_that_reach_99_percent(module, four):
    curves = {
        "some": np.array([[0.2, 0.99, 1.0], [0.5, 0.6, 0.98], [0.1, 0.2, 1.0]]),
        "all": np.array([[0.995, 1.0, 1.0], [0.5, 0.6, 0.99], [0.0, 1.0, 1.0]]),
    }
    found = module.report(four, options_of(module, seeds=3, share=0.75, population=2), curves)
    some, every = found["methods"]
    assert (some["name"], some["seeds_at_99"], some["median_evaluations_to_99"]) == ("some", 2, None)
    assert (every["name"], every["seeds_at_99"], every["median_evaluations_to_99"]) == ("all", 3, 2)
    assert (some["worst"], some["median"], some["best"]) == (0.98, 1.0, 1.0)
    assert (found["space_size"], found["front"], found["evaluations"]) == (4, 4, 3)
    assert found["exhaustive_candidates_per_second"] == 8


def test_methods_are_compared_within_the_budget(module, many):
    """3, 5 and 10 % of 81 archs are 2, 4 and 8."""
    options = options_of(module, seeds=2, share=0.05)
    curves = {"one": np.array([[0.1, 0.2, 0.3, 0.4], [0.3, 0.4, 0.5, 0.9]])}
    assert module.report(many, options, curves)["methods"][0]["after"] == [
        {"evaluations": 2, "median": pytest.approx(0.3), "worst": 0.2},
        {"evaluations": 4, "median": pytest.approx(0.65), "worst": 0.4},
    ]


LITTLE = {
    "small": {"slots": 2, "widths": (4,), "branches": ("id", "r1")},
    "width": {"slots": 1, "widths": (4, 8), "branches": ("id", "r1")},
    "large": {"slots": 1, "widths": (4,), "branches": ("id", "s3", "c3", "r1")},
}
"""Spaces of four archs in place of those of the same name."""


@pytest.mark.long
@pytest.mark.parametrize("name", LITTLE)
def test_main_leaves_json_csv_and_a_figure(module, tiny, tmp_path, monkeypatch, capsys, name):
    # The preset's frames and its step, on several devices, would take most of the time.
    mesh = parallel.device_mesh(1)
    monkeypatch.setattr(module.parallel, "device_mesh", lambda: mesh)
    recipe = dataclasses.replace(tiny.train, random_archs=1, distill=0.0)
    monkeypatch.setitem(PRESETS, "quickstart", dataclasses.replace(tiny, train=recipe))
    out = tmp_path / "out"
    little = dataclasses.replace(module.SPACES[name], scale=2, **LITTLE[name])
    monkeypatch.setitem(module.SPACES, name, little)
    space = ["--space", name]
    search = ["--steps", "5", "--population", "2", "--share", "0.75", "--seeds", "2"]
    monkeypatch.setattr(sys, "argv", ["exhaustive_front.py", "--out", str(out), *space, *search])
    module.main()
    found = json.loads((out / "exhaustive_front.json").read_text())
    assert found["space_size"] == space_size(little.build()) == 4
    assert (found["evaluations"], found["seeds"], found["population"]) == (3, 2, 2)
    assert 1 <= found["front"] <= 4
    assert found["exhaustive_seconds"] > 0
    assert [method["name"] for method in found["methods"]] == list(METHODS)

    with (out / "exhaustive_front.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    shares = collections.defaultdict(list)
    for row in rows:
        shares[row["method"], int(row["seed"])].append(float(row["hypervolume_share"]))
    assert list(shares) == [(name, seed) for name in METHODS for seed in range(2)]
    assert [int(row["evaluations"]) for row in rows] == [1, 2, 3] * 2 * len(METHODS)
    for method in found["methods"]:
        last = [shares[method["name"], seed][-1] for seed in range(2)]
        assert [method["worst"], method["best"]] == pytest.approx([min(last), max(last)], abs=1e-6)

    with Image.open(out / "exhaustive_front.png") as image:
        assert image.format == "PNG"
    printed = capsys.readouterr().out
    for name in METHODS:
        assert f"\n{name} " in printed
