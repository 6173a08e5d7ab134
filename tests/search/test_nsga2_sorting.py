"""Constrained domination, fronts and crowding against pymoo and by hand."""

import hypothesis.extra.numpy as hnp
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pymoo.operators.survival.rank_and_crowding.metrics import calc_crowding_distance
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from dysr_jax.search import nsga2 as sorting

# One shape an objective count: hypothesis then compiles nothing after its first example.
ROWS = 12
rank_of = jax.jit(sorting.nondominated_rank)
crowding_of = jax.jit(sorting.crowding_distance)


@jax.jit
def dominates_of(objectives, violation):
    """Deb's rule, bool `[N, N]`: feasible first, then the smaller violation, then Pareto."""
    excess = jnp.maximum(violation, 0.0)
    both = (excess[:, None] == 0) & (excess[None] == 0)
    return jnp.where(both, sorting.dominates(objectives), excess[:, None] < excess[None])


checked = settings(max_examples=60, deadline=None, derandomize=True)

# Sixteenths subtract exactly in float32, so a disagreement is never one of rounding; the narrow range
# makes ties and equal rows common.
WIDE = st.integers(-4000, 4000).map(lambda number: number / 16)
NARROW = st.integers(0, 3).map(float)


def populations(objectives):
    shape = (ROWS, objectives)
    return hnp.arrays(np.float32, shape, elements=WIDE) | hnp.arrays(np.float32, shape, elements=NARROW)


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


EQUAL = np.ones((ROWS, 2), np.float32)
CHAIN = np.arange(ROWS, dtype=np.float32)[:, None] * np.ones(2, np.float32)
LINE = np.stack([np.arange(ROWS), -np.arange(ROWS)], 1).astype(np.float32)
ONE_EQUAL = np.stack([np.arange(ROWS), np.zeros(ROWS), -np.arange(ROWS)], 1).astype(np.float32)


@checked
@example(EQUAL)
@example(CHAIN)
@example(LINE)
@given(populations(2) | populations(3) | populations(4))
def test_rank_is_pymoo_s(values):
    np.testing.assert_array_equal(rank_of(values), pymoo_rank(values))


@checked
@example(EQUAL)
@example(CHAIN)
@example(LINE)
@example(ONE_EQUAL)
@given(populations(2) | populations(3) | populations(4))
def test_crowding_is_pymoo_s_in_every_front(values):
    rank = pymoo_rank(values)
    found = crowding_of(values, jnp.asarray(rank, jnp.int32))
    np.testing.assert_allclose(found, pymoo_crowding(values, rank), rtol=1e-5)


def test_rank_and_crowding_by_hand():
    values = jnp.asarray([[0.0, 4.0], [1.0, 2.0], [4.0, 0.0], [2.0, 3.0], [5.0, 5.0]])
    rank = rank_of(values)
    assert rank.tolist() == [0, 0, 0, 1, 2]
    assert crowding_of(values, rank).tolist() == [np.inf, 1.0, np.inf, np.inf, np.inf]


# --- constraints ------------------------------------------------------------------------------------

# Mostly feasible, and few values, so that infeasible rows tie.
violations = hnp.arrays(np.float32, ROWS, elements=st.sampled_from([0.0, 0.0, 0.0, 0.5, 1.0, 2.5]))


def peeled(matrix):
    """Front numbers by taking off, again and again, what nothing that is left dominates."""
    rank, front = np.full(len(matrix), -1), 0
    while np.any(rank < 0):
        left = rank < 0
        rank[left & ~np.any(matrix & left[:, None], 0)] = front
        front += 1
    return rank


@checked
@example(LINE, np.arange(ROWS, dtype=np.float32))
@example(LINE, np.arange(1, ROWS + 1, dtype=np.float32))
@example(EQUAL, np.full(ROWS, np.inf, np.float32))
@given(populations(2) | populations(3) | populations(4), violations)
def test_rank_is_that_of_constrained_domination(values, violation):
    expected = peeled(np.asarray(dominates_of(values, violation)))
    np.testing.assert_array_equal(rank_of(values, violation), expected)


@checked
@given(populations(2), violations)
def test_constrained_domination_is_deb_s(values, violation):
    expected = np.zeros((ROWS, ROWS), bool)
    for i in range(ROWS):
        for j in range(ROWS):
            if violation[i] == violation[j] == 0:
                nowhere_worse = all(values[i] <= values[j])
                expected[i, j] = nowhere_worse and any(values[i] < values[j])
            else:
                expected[i, j] = violation[i] < violation[j]
    np.testing.assert_array_equal(dominates_of(values, violation), expected)


def test_constrained_rank_by_hand():
    values = jnp.asarray([[0.0, 0.0], [1.0, 2.0], [2.0, 1.0], [2.0, 2.0], [-9.0, -9.0], [5.0, 5.0]])
    violation = jnp.asarray([0.5, 0.0, 0.0, -1.0, 0.25, 0.5])
    assert rank_of(values, violation).tolist() == [3, 0, 0, 1, 2, 3]


def test_without_violations_all_are_feasible():
    assert rank_of(LINE, np.zeros(ROWS, np.float32)).tolist() == rank_of(LINE).tolist() == [0] * ROWS


# --- infinite objectives ----------------------------------------------------------------------------

EXTREMES = st.sampled_from([-np.inf, np.inf, 0.0, 1.0, -1.0, 3e38, -3e38])


@checked
@given(
    hnp.arrays(np.float32, (ROWS, 2), elements=EXTREMES)
    | hnp.arrays(np.float32, (ROWS, 4), elements=EXTREMES)
)
def test_crowding_of_extreme_values_is_never_nan(values):
    found = np.asarray(crowding_of(values, rank_of(values)))
    assert not np.isnan(found).any()
    assert np.all(found >= 0)


def test_an_infinite_objective_stands_at_the_finite_extreme():
    values = np.array([[-np.inf, 5], [0, 4], [1, 3], [4, 0], [np.inf, -1]], np.float32)
    found = crowding_of(values, jnp.zeros(5, jnp.int32)).tolist()
    # (-inf, 0), (0, 1), (1, 4), (4, inf) become steps of 0, 1, 3 and 0 of a range of 4.
    assert found == pytest.approx(
        [np.inf, (1 / 4 + 2 / 6) / 2, (4 / 4 + 4 / 6) / 2, (3 / 4 + 4 / 6) / 2, np.inf]
    )


def test_an_objective_that_is_infinite_throughout_counts_nothing():
    values = np.array([[-np.inf, 0], [-np.inf, 1], [-np.inf, 4]], np.float32)
    assert crowding_of(values, jnp.zeros(3, jnp.int32)).tolist() == [np.inf, 0.5, np.inf]
