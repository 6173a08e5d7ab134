"""NSGA-II: duplicates, selection against pymoo, constraints, and a problem whose front is known."""

import functools

import hypothesis.extra.numpy as hnp
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.indicators.hv import HV
from pymoo.operators.survival.rank_and_crowding.classes import RankAndCrowding
from pymoo.operators.survival.rank_and_crowding.metrics import calc_crowding_distance
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from dysr_jax.model.space import gene_counts, largest_arch, smallest_arch, space_size, to_archs, uniform_space
from dysr_jax.search import nsga2

ROWS = 24
duplicates_of = jax.jit(nsga2.is_duplicate)
ask = nsga2.ask
checked = settings(max_examples=60, deadline=None, derandomize=True)


def pymoo_rank(values):
    return NonDominatedSorting().do(np.asarray(values), return_rank=True)[1]


def pymoo_crowding(values, rank):
    values = np.asarray(values, float)
    found = np.full(len(values), np.inf)
    for front in np.unique(rank):
        rows = np.flatnonzero(rank == front)
        if len(rows) > 2:
            found[rows] = calc_crowding_distance(values[rows])
    return found


@checked
@given(
    hnp.arrays(np.int32, (8, 3), elements=st.integers(0, 2)),
    hnp.arrays(np.int32, (5, 3), elements=st.integers(0, 2)),
)
def test_is_duplicate_in_population_or_earlier(genes, population):
    rows = [tuple(row) for row in genes.tolist()]
    known = {tuple(row) for row in population.tolist()}
    expected = [row in known or row in rows[:i] for i, row in enumerate(rows)]
    assert duplicates_of(genes, population).tolist() == expected


# --- ask and tell -----------------------------------------------------------------------------------

POPULATION = 16
SPACE = uniform_space(slots=4, widths=4, scale=2, branches=("id", "s3", "c3", "r1"))
OPERATORS = nsga2.Operators(SPACE)


def distinct(genes):
    return len({tuple(row) for row in np.asarray(genes).tolist()}) == len(genes)


def random_objectives(seed, rows=POPULATION):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(rows, 2)), jnp.float32)


@functools.cache
def told(seed):
    """A state whose population has objectives."""
    state = nsga2.init(jax.random.key(seed), OPERATORS, POPULATION)
    return nsga2.tell(state, state.genes, random_objectives(seed))[0]


@pytest.mark.parametrize("population", [2, 5, 40])
def test_init_has_the_extremes_of_every_width_where_there_is_room(population):
    operators = nsga2.Operators(WIDTHS)
    archs = to_archs(WIDTHS, nsga2.init(jax.random.key(0), operators, population).genes)
    assert archs[:2] == [smallest_arch(WIDTHS), largest_arch(WIDTHS)]
    ends = {end(WIDTHS, width) for end in (smallest_arch, largest_arch) for width in WIDTHS.widths}
    assert len(set(archs)) == population
    assert set(archs[:6]) <= ends and len(ends) == 6
    assert len({*archs} & ends) >= min(population, 6)


@pytest.mark.parametrize("seed", range(3))
def test_init_has_the_extremes_and_no_duplicate(seed):
    genes = nsga2.init(jax.random.key(seed), OPERATORS, POPULATION).genes
    archs = to_archs(SPACE, genes)
    assert len(archs) == POPULATION
    assert smallest_arch(SPACE) in archs
    assert largest_arch(SPACE) in archs
    assert distinct(genes)


@pytest.mark.parametrize(("mutation", "crossover"), [(0.0, 0.9), (0.9, 0.0)])
def test_ask_gives_valid_new_children(mutation, crossover):
    operators = nsga2.Operators(SPACE, mutation, crossover)
    state = told(0)
    for generation in range(3):
        children, state = ask(state, operators)
        to_archs(SPACE, children)  # raises for an arch that the space does not have
        assert children.shape == state.genes.shape
        assert distinct(jnp.concatenate([children, state.genes]))
        state, _ = nsga2.tell(state, children, random_objectives(generation))


@pytest.mark.parametrize("seed", range(3))
def test_first_tell_keeps_the_told_rows(seed):
    start = nsga2.init(jax.random.key(seed), OPERATORS, POPULATION)
    objectives = random_objectives(seed)
    state, _ = nsga2.tell(start, start.genes, objectives)
    given_rows = dict(zip(to_archs(SPACE, start.genes), objectives.tolist(), strict=True))
    kept_rows = dict(zip(to_archs(SPACE, state.genes), state.objectives.tolist(), strict=True))
    assert kept_rows == given_rows
    np.testing.assert_array_equal(state.rank, pymoo_rank(state.objectives))


@pytest.mark.parametrize("seed", range(4))
def test_tell_keeps_the_first_front_where_it_fits(seed):
    children, state = ask(told(seed), OPERATORS)
    objectives = random_objectives(100 + seed)
    everyone = np.concatenate([children, state.genes])
    first = pymoo_rank(np.concatenate([objectives, state.objectives])) == 0
    assert 0 < first.sum() <= POPULATION
    kept = to_archs(SPACE, nsga2.tell(state, children, objectives)[0].genes)
    assert set(to_archs(SPACE, everyone[first])) <= set(kept)


@pytest.mark.parametrize("seed", range(4))
def test_tell_keeps_the_best_by_rank_then_crowding(seed):
    children, state = ask(told(seed), OPERATORS)
    objectives = random_objectives(200 + seed)
    values = np.concatenate([objectives, state.objectives])
    rank = pymoo_rank(values)
    order = np.lexsort((-pymoo_crowding(values, rank), rank))[:POPULATION]
    kept, _ = nsga2.tell(state, children, objectives)
    np.testing.assert_array_equal(kept.rank, rank[order])
    np.testing.assert_allclose(kept.crowding, pymoo_crowding(values, rank)[order], rtol=1e-5)


def test_tell_thins_a_front_that_does_not_fit_by_crowding():
    children, state = ask(told(0), OPERATORS)
    # All 32 on one line, the parents crowded together between two of the children.
    first = np.concatenate([np.arange(POPULATION), 7.1 + np.arange(POPULATION) / 100])
    line = jnp.asarray(np.stack([first, -first], 1), jnp.float32)
    state = state.replace(objectives=line[POPULATION:])
    kept, _ = nsga2.tell(state, children, line[:POPULATION])
    assert np.all(kept.rank == 0)
    inner = np.sort(kept.objectives[:, 0])
    assert {0.0, 15.0} <= set(inner.tolist())
    assert np.sum((inner > 7) & (inner < 8)) <= 2


def test_tell_never_keeps_duplicates():
    children, state = ask(told(1), OPERATORS)
    # Half of the told rows repeat: the other half's first rows, and members of the population.
    half, quarter = POPULATION // 2, POPULATION // 4
    again = jnp.concatenate([children[:half], children[:quarter], state.genes[:quarter]])
    assert not distinct(again)
    best = jnp.full((POPULATION, 2), -9.0)
    kept, _ = nsga2.tell(state, again, best)
    assert distinct(kept.genes)
    assert set(to_archs(SPACE, again)) <= set(to_archs(SPACE, kept.genes))


def test_untold_rows_never_survive():
    state = nsga2.init(jax.random.key(0), OPERATORS, POPULATION)
    children, state = ask(state, OPERATORS)
    kept, _ = nsga2.tell(state, children, random_objectives(0))
    assert set(to_archs(SPACE, kept.genes)) == set(to_archs(SPACE, children))
    assert np.isfinite(kept.objectives).all()

    children, state = ask(kept, OPERATORS)
    kept, _ = nsga2.tell(state, children, jnp.full((POPULATION, 2), jnp.inf))
    assert set(to_archs(SPACE, kept.genes)) == set(to_archs(SPACE, state.genes))


# --- constraints ------------------------------------------------------------------------------------

ALL = np.stack([axis.ravel() for axis in np.indices(gene_counts(SPACE))], 1).astype(np.int32)
survive = jax.jit(
    lambda state, objectives, violation: nsga2.tell(state, ALL[:ROWS], objectives, violation)[0]
)


class Constrained(Problem):
    """pymoo's name for: the population carries violations."""

    def __init__(self, objectives):
        super().__init__(n_var=1, n_obj=objectives, n_ieq_constr=1)


def pymoo_survivors(values, violation, count):
    """Which rows pymoo's survival keeps."""
    population = Population.new("F", values.astype(float), "G", violation[:, None].astype(float))
    survival, problem = RankAndCrowding(), Constrained(values.shape[1])
    rng = np.random.default_rng(0)
    kept = survival.do(problem, population, n_survive=count, random_state=rng)
    return rows_in(values, kept.get("F"))


def rows_in(values, chosen):
    """Where each chosen row, none of which occurs twice, stands in `values`."""
    same = np.all(values[None] == np.asarray(chosen, values.dtype)[:, None], -1)
    assert np.all(same.sum(1) == 1)
    return same.argmax(1)


def worth(values, violation, rows):
    """Violation, rank and crowding of rows, sorted: equal only where survival may choose either."""
    rank = np.zeros(len(values), int)
    crowding = np.zeros(len(values))
    feasible = np.flatnonzero(violation == 0)
    if len(feasible):
        rank[feasible] = pymoo_rank(values[feasible])
        crowding[feasible] = pymoo_crowding(values[feasible], rank[feasible])
    return sorted(zip(violation[rows], rank[rows], crowding[rows], strict=True))


@pytest.mark.parametrize("objectives", [2, 4])
@pytest.mark.parametrize("infeasible", [0, 3, 18, ROWS])
@pytest.mark.parametrize("seed", range(3))
def test_survival_is_pymoo_s(objectives, infeasible, seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(ROWS, objectives)).astype(np.float32)
    violation = np.zeros(ROWS, np.float32)
    violation[rng.permutation(ROWS)[:infeasible]] = rng.uniform(0.1, 2, infeasible)
    start = nsga2.init(jax.random.key(seed), OPERATORS, POPULATION)
    state = start.replace(objectives=np.full((POPULATION, objectives), np.inf, np.float32))
    kept = survive(state, values, violation)
    expected = pymoo_survivors(values, violation, POPULATION)
    found = rows_in(values, kept.objectives)
    assert len(set(found.tolist())) == POPULATION < ROWS
    assert worth(values, violation, found) == worth(values, violation, expected)
    np.testing.assert_array_equal(kept.violation, violation[found])


def test_nan_counts_as_infinite():
    state = nsga2.init(jax.random.key(0), OPERATORS, POPULATION)
    values = np.asarray(random_objectives(0, ROWS)).copy()
    values[:4] = [[np.nan, -9.0], [-9.0, np.nan], [np.nan, np.nan], [-9.0, -9.0]]
    violation = np.zeros(ROWS, np.float32)
    violation[3] = np.nan
    kept = survive(state, values, violation)
    assert not np.isnan(kept.objectives).any() and not np.isnan(kept.violation).any()
    assert not np.isnan(kept.crowding).any()
    archs = to_archs(SPACE, kept.genes)
    assert tuple(ALL[2].tolist()) not in archs
    assert tuple(ALL[3].tolist()) not in archs


def test_the_tournament_prefers_rank_then_crowding():
    state = told(0).replace(
        rank=jnp.repeat(jnp.asarray([0, 1]), POPULATION // 2).astype(jnp.int32),
        crowding=jnp.arange(POPULATION, dtype=jnp.float32),
    )
    tournament = jax.jit(nsga2._tournament, static_argnums=2)
    winners = to_archs(SPACE, tournament(jax.random.key(0), state, 4000))
    wins = [winners.count(arch) for arch in to_archs(SPACE, state.genes)]
    # The best in crowding of rank 0 loses to none, the worst of rank 1 wins against itself alone.
    order = [*range(POPULATION // 2, POPULATION), *range(POPULATION // 2)]
    share = (2 * np.arange(POPULATION) + 1) / POPULATION**2
    np.testing.assert_allclose(np.array(wins)[order] / 4000, share, atol=0.02)


# --- a problem whose front is known -----------------------------------------------------------------

LARGE = uniform_space(slots=5, widths=4, scale=2, branches=("id", "s3", "c3", "r1"))
WIDTHS = uniform_space(
    slots=5, widths=(4, 6, 8), scale=2, branches=("id", "s3", "c3", "r1"), upsamplers=("u1",)
)
WEIGHT = np.random.default_rng(0).uniform(0.5, 1.5, (len(LARGE.slots), max(gene_counts(LARGE))))
REFERENCE = np.array([60.0, 1.0])
GENERATIONS, EACH = 25, 40


def problem(genes):
    """Cost of few values, and loss, with diminishing returns and an interaction; a width multiplies both.

    No two archs have the same loss, so a population can hold any front whole.
    """
    genes = np.asarray(genes)
    width = genes[:, 6] if genes.shape[1] > 6 else np.zeros(len(genes), int)
    genes = genes[:, :6]
    cost = genes.sum(1) * (1 + width) + width
    gain = WEIGHT[np.arange(6), genes] * np.sqrt(genes) * (1 + 0.3 * width[:, None])
    return np.stack([cost, -gain.sum(1) - 0.5 * gain[:, 0] * gain[:, 3]], 1).astype(np.float32)


def hypervolume(values):
    return HV(ref_point=REFERENCE)(np.asarray(values, float))


@functools.cache
def all_archs(space=LARGE):
    return np.stack([axis.ravel() for axis in np.indices(gene_counts(space))], 1)


@functools.cache
def evolve(seed, generations=GENERATIONS, space=LARGE):
    """The states of a run."""
    operators = nsga2.Operators(space)
    state = nsga2.init(jax.random.key(seed), operators, EACH)
    genes, states = state.genes, []
    for generation in range(generations):
        if generation:
            genes, state = ask(state, operators)
        state, _ = nsga2.tell(state, genes, jnp.asarray(problem(genes)))
        states.append(state)
    return states


SEEDS = range(4)


@pytest.mark.parametrize("seed", SEEDS)
def test_hypervolume_never_falls(seed):
    volumes = [hypervolume(state.objectives) for state in evolve(seed)]
    assert np.all(np.diff(volumes) >= -1e-6 * volumes[-1])
    assert volumes[-1] > 1.05 * volumes[0]


@pytest.mark.parametrize("seed", SEEDS)
def test_finds_the_true_front(seed):
    values = problem(all_archs())
    assert len(values) == space_size(LARGE) > 2 * EACH * GENERATIONS
    truth = {tuple(row) for row in values[pymoo_rank(values) == 0].tolist()}
    last = evolve(seed)[-1]
    assert {tuple(row) for row in last.objectives[last.rank == 0].tolist()} == truth


@functools.cache
def front_of_widths():
    """Objectives, and the width's index of each."""
    values = problem(all_archs(WIDTHS))
    first = pymoo_rank(values) == 0
    return values[first], all_archs(WIDTHS)[first][:, -1]


@pytest.mark.parametrize("seed", SEEDS)
def test_finds_a_front_that_is_of_several_widths(seed):
    assert space_size(WIDTHS) > 3 * EACH * GENERATIONS
    values, widths = front_of_widths()
    assert min(np.bincount(widths, minlength=3)) >= 4
    truth, last = {tuple(row) for row in values.tolist()}, evolve(seed, space=WIDTHS)[-1]
    found = {tuple(row) for row in last.objectives[last.rank == 0].tolist()}
    assert len(truth - found) <= 1
    assert hypervolume(list(found)) > 0.98 * hypervolume(values)


@pytest.mark.parametrize("seed", SEEDS)
def test_beats_random_search_at_equal_evaluations(seed):
    generations = 10
    draws = np.random.default_rng(seed).choice(space_size(LARGE), EACH * generations, replace=False)
    by_chance = hypervolume(problem(all_archs()[draws]))
    assert hypervolume(evolve(seed)[generations - 1].objectives) > by_chance


def test_the_key_decides_the_run():
    again = evolve.__wrapped__(0, generations=5)
    for first, second in zip(evolve(0), again, strict=False):
        np.testing.assert_array_equal(first.genes, second.genes)
    assert to_archs(LARGE, evolve(1)[4].genes) != to_archs(LARGE, again[4].genes)
