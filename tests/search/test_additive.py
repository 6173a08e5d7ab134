"""Additive scores against NumPy's least squares, and the front of sums against every arch of a space."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dysr_jax.model import SearchSpace, gene_counts, largest_arch, smallest_arch, space_size
from dysr_jax.search import additive, pareto
from dysr_jax.search.archive import Record
from dysr_jax.search.config import SearchConfig
from dysr_jax.search.latency import Terms, add_terms

ONE = SearchSpace((("id", "s3", "c3"), ("id", "r1"), ("id", "s3", "c3", "r1")), ("u1", "u2"), 4, 2)
SPACES = {"one width": ONE, "three widths": dataclasses.replace(ONE, widths=(4, 6, 8))}
each_space = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
CONFIG = SearchConfig(population=8)


def every_arch(space):
    return np.array([*itertools.product(*map(range, gene_counts(space)))], np.int32)


def terms_of(space, rng, draw=None):
    draw = draw or rng.random
    return Terms(draw(len(space.widths)), draw((len(space.widths), len(space.slots), 4)))


def records_of(space, genes, quality):
    each = zip(map(tuple, genes.tolist()), quality.tolist(), strict=True)
    return [Record("", arch, psnr_y, 1.0, 0, 0.1) for arch, psnr_y in each]


# --- scores -----------------------------------------------------------------------------------------


@each_space
def test_one_hot_has_one_column_per_value(space):
    genes = every_arch(space)
    found = additive.one_hot(space, genes)
    assert found.shape == (space_size(space), sum(gene_counts(space)))
    assert np.all(found.sum(1) == len(gene_counts(space)))
    assert len(np.unique(found, axis=0)) == len(genes)


@each_space
def test_scores_are_those_of_least_squares_with_a_penalty(space):
    rng = np.random.default_rng(0)
    genes = rng.permutation(every_arch(space))[:40]
    quality = 25 + rng.standard_normal(40)
    fitted = additive.fit(space, genes, quality)
    columns = additive.features(space, genes)
    below = np.sqrt(additive.RIDGE) * np.eye(columns.shape[1])
    target = np.concatenate([(quality - quality.mean()) / quality.std(), np.zeros(len(below))])
    expected = np.linalg.lstsq(np.concatenate([columns, below]), target, rcond=None)[0]
    np.testing.assert_allclose(fitted.scores, expected, atol=1e-9)


@each_space
def test_predictions_are_the_sums_of_the_scores(space):
    rng = np.random.default_rng(1)
    genes = every_arch(space)
    rows = rng.permutation(len(genes))[:30]
    fitted = additive.fit(space, genes[rows], 25 + rng.standard_normal(30))
    psnr_y = additive.predict(space, fitted, genes)
    np.testing.assert_allclose(add_terms(space, additive.score_terms(space, fitted), genes), psnr_y)


@each_space
def test_a_quality_that_is_a_sum_is_learned(space):
    rng = np.random.default_rng(2)
    genes, terms = every_arch(space), terms_of(space, rng)
    rows = rng.permutation(len(genes))[: len(genes) * 3 // 4]
    quality = 20 + add_terms(space, terms, genes)
    psnr_y = additive.predict(space, additive.fit(space, genes[rows], quality[rows]), genes)
    assert np.abs(psnr_y - quality).max() < 0.1 * np.ptp(quality)


def test_doubt_is_least_where_archs_were_seen():
    genes = every_arch(ONE)
    near, far = genes[genes[:, 0] == 0], genes[genes[:, 0] == 2]
    fitted = additive.fit(ONE, near, np.linspace(20.0, 21.0, len(near)))
    assert additive.doubt(ONE, fitted, near).max() < additive.doubt(ONE, fitted, far).min()


def test_one_quality_for_all_is_predicted_for_all():
    genes = every_arch(ONE)
    psnr_y = additive.predict(ONE, additive.fit(ONE, genes[:5], np.full(5, 30.0)), genes)
    np.testing.assert_allclose(psnr_y, 30.0)


# --- the front of sums ------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(
    name=st.sampled_from([*SPACES]),
    seed=st.integers(0, 2**32 - 1),
    steps=st.sampled_from([3, 50, 10**6]),
    share=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_the_front_is_that_of_all_archs(name, seed, steps, share):
    """Integers, so that sums are exact and often equal."""
    space, rng = SPACES[name], np.random.default_rng(seed)
    value, cost = (terms_of(space, rng, lambda size: rng.integers(0, steps, size)) for _ in range(2))
    genes = every_arch(space)
    values, costs = add_terms(space, value, genes), add_terms(space, cost, genes)
    bound = costs.min() + share * np.ptp(costs)
    rows = np.flatnonzero(costs <= bound)
    best = rows[pareto.front(costs[rows], values[rows])]
    found = additive.front(space, value, cost, bound)
    assert found.slack == 0
    np.testing.assert_array_equal(found.cost[found.cost <= bound], costs[best])
    np.testing.assert_array_equal(found.value[found.cost <= bound], values[best])
    np.testing.assert_array_equal(add_terms(space, cost, found.genes), found.cost)
    np.testing.assert_array_equal(add_terms(space, value, found.genes), found.value)


@settings(deadline=None, max_examples=40)
@given(name=st.sampled_from([*SPACES]), seed=st.integers(0, 2**32 - 1), most=st.integers(1, 12))
def test_a_grid_costs_no_more_than_it_says(name, seed, most):
    space, rng = SPACES[name], np.random.default_rng(seed)
    value, cost = (terms_of(space, rng) for _ in range(2))
    whole = additive.front(space, value, cost)
    found = additive.front(space, value, cost, most=most)
    assert len(found.cost) <= (most + 1) * len(space.widths)
    for limit, least in zip(whole.cost + found.slack, whole.value, strict=True):
        assert np.any((found.cost <= limit + 1e-9) & (found.value >= least - 1e-9))


def test_no_arch_is_within_an_impossible_bound():
    rng = np.random.default_rng(0)
    found = additive.front(ONE, terms_of(ONE, rng), terms_of(ONE, rng), -1.0)
    assert found.genes.shape == (0, 4)


# --- what is evaluated ------------------------------------------------------------------------------


@pytest.fixture
def sample():
    """A quality that is a sum, of a third of a space, and its latency."""
    rng = np.random.default_rng(3)
    genes = every_arch(ONE)
    latency = terms_of(ONE, rng)
    quality = 20 + add_terms(ONE, latency, genes) + 0.1 * rng.random(len(genes))
    return latency, records_of(ONE, *(a[::3] for a in (genes, quality)))


def test_new_archs_of_the_front_are_asked_for(sample):
    latency, known = sample
    genes = additive.ask(ONE, CONFIG, latency, known)
    archs = {*map(tuple, genes.tolist())}
    assert 0 < len(genes) == len(archs) <= CONFIG.population
    assert not archs & {record.arch for record in known}
    fitted = additive.fit(ONE, np.array([r.arch for r in known]), np.array([r.psnr_y for r in known]))
    whole = additive.front(ONE, additive.score_terms(ONE, fitted), latency)
    assert archs <= {*map(tuple, whole.genes.tolist())}


def test_few_of_many_are_spread_to_both_ends(sample):
    latency, known = sample
    every = additive.ask(ONE, dataclasses.replace(CONFIG, population=1000), latency, known)
    few = additive.ask(ONE, dataclasses.replace(CONFIG, population=3), latency, known)
    assert len(every) > len(few) == 3
    np.testing.assert_array_equal(few[[0, -1]], every[[0, -1]])


def test_bounds_hold_for_what_is_asked_for(sample):
    latency, known = sample
    times = add_terms(ONE, latency, every_arch(ONE))
    bound = float(np.median(times))
    plain = additive.ask(ONE, CONFIG, latency, known)
    assert add_terms(ONE, latency, plain).max() > bound
    config = dataclasses.replace(CONFIG, max_latency_ms=bound)
    genes = additive.ask(ONE, config, latency, known)
    assert len(genes)
    assert add_terms(ONE, latency, genes).max() <= bound


def test_a_quality_that_none_reaches_asks_for_the_best(sample):
    latency, known = sample
    known = [r for r in known if r.arch != largest_arch(ONE)]
    config = dataclasses.replace(CONFIG, min_psnr_y=90.0)
    genes = additive.ask(ONE, config, latency, known)
    assert len(genes) <= 1
    low = dataclasses.replace(CONFIG, min_psnr_y=1.0)
    np.testing.assert_array_equal(
        additive.ask(ONE, low, latency, known), additive.ask(ONE, CONFIG, latency, known)
    )


def test_everything_known_asks_for_nothing(sample):
    latency, _ = sample
    genes = every_arch(ONE)
    known = records_of(ONE, genes, np.linspace(20.0, 30.0, len(genes)))
    assert additive.ask(ONE, CONFIG, latency, known).shape == (0, len(smallest_arch(ONE)))
