"""Archs of a step: of the space, spread over its costs, half of them beginnings of larger ones."""

import math

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dysr_jax.model.branches import BODY
from dysr_jax.model.space import (
    SearchSpace,
    gene_counts,
    sample_archs,
    smallest_arch,
    to_archs,
    uniform_space,
)
from dysr_jax.model.upsamplers import UPSAMPLERS
from dysr_jax.train import step as sampling

draw = jax.jit(sampling.sample_training_archs, static_argnums=(1, 2, 3))
"""One program for a space; examples of many spaces share those of the single operations."""

SLOTS, COUNT = 8, 6000
SPACE = uniform_space(slots=SLOTS, widths=4, scale=2, branches=("r1", "id", "c3"), upsamplers=("u2", "u1"))
"""The cheapest branch is not the first, nor is the cheapest upsampler."""

names = st.lists(st.sampled_from(sorted(BODY)), min_size=1, max_size=4, unique=True).map(tuple)
spaces = st.builds(
    SearchSpace,
    body=st.lists(names, min_size=1, max_size=5).map(tuple),
    upsamplers=st.sampled_from([("u1",), ("u2", "u1"), tuple(UPSAMPLERS)]),
    widths=st.just(4),
    scale=st.just(2),
)


@pytest.fixture(scope="module")
def drawn():
    """Many archs of `SPACE` by name of the way."""
    ways = ("uniform", "spread", "nested")
    return {way: np.asarray(draw(jax.random.key(1), SPACE, COUNT, way)) for way in ways}


def active_of(genes):
    return genes[:, :-1] != np.array(smallest_arch(SPACE)[:-1])


@settings(deadline=None, derandomize=True, database=None, max_examples=25)
@given(space=spaces, seed=st.integers(0, 2**32 - 1), how=st.sampled_from(["spread", "nested"]))
def test_archs_are_of_the_space(space, seed, how):
    genes = sampling.sample_training_archs(jax.random.key(seed), space, 24, how)
    assert genes.shape == (24, len(space.slots))
    assert genes.dtype == np.int32
    assert len(to_archs(space, genes)) == 24  # raises for an arch of another space


@settings(deadline=None, derandomize=True, database=None, max_examples=10)
@given(names=st.lists(names, min_size=2, max_size=3))
def test_every_branch_is_drawn(names):
    space = SearchSpace(tuple(names), ("u1", "u2"), widths=4, scale=2)
    for how in ("spread", "nested"):
        genes = np.asarray(sampling.sample_training_archs(jax.random.key(0), space, 2000, how))
        for slot, limit in enumerate(gene_counts(space)):
            assert {*genes[:, slot].tolist()} == {*range(limit)}


def test_uniform_is_the_space_s_own():
    key = jax.random.key(3)
    np.testing.assert_array_equal(draw(key, SPACE, 9, "uniform"), sample_archs(key, SPACE, (9,)))


@pytest.mark.parametrize("how", ["spread", "nested"])
def test_the_number_of_active_slots_is_uniform(drawn, how):
    number = active_of(drawn[how]).sum(1)
    share = np.bincount(number, minlength=SLOTS + 1) / COUNT
    np.testing.assert_allclose(share, 1 / (SLOTS + 1), atol=0.02)  # five standard errors
    # Uniform draws do not reach the ends.
    alone = active_of(drawn["uniform"]).sum(1)
    assert number.std() > 1.5 * alone.std()


def test_half_of_the_nested_archs_are_beginnings(drawn):
    """Of `spread` archs as many as chance makes: one of all choices of so many slots."""
    chance = np.mean([1 / math.comb(SLOTS, n) for n in range(SLOTS + 1)])
    for how, expected in (("spread", chance), ("nested", 0.5 + 0.5 * chance)):
        active = active_of(drawn[how])
        beginnings = (np.diff(active.astype(int), axis=1) <= 0).all(1)
        assert abs(beginnings.mean() - expected) < 0.033, how


@pytest.mark.parametrize("how", ["spread", "nested"])
def test_slots_and_branches_have_equal_chances(drawn, how):
    active = active_of(drawn["spread"])
    np.testing.assert_allclose(active.mean(0), 0.5, atol=0.033)
    taken = drawn[how][:, :-1][active_of(drawn[how])]
    share = np.bincount(taken, minlength=3) / len(taken)
    np.testing.assert_allclose(share, [0.5, 0, 0.5], atol=0.05)


def test_half_of_the_archs_take_one_branch_everywhere(drawn):
    genes, active = drawn["spread"][:, :-1], active_of(drawn["spread"])
    full = active.sum(1) == SLOTS
    alike = (genes[full] == genes[full][:, :1]).mean(1) == 1
    assert abs(alike.mean() - (0.5 + 0.5**SLOTS)) < 0.1  # some 670 archs


@pytest.mark.parametrize("how", ["spread", "nested"])
def test_the_costly_upsampler_goes_with_active_slots(drawn, how):
    """Of two upsamplers the costly one is as likely as a slot is active."""
    number, costly = active_of(drawn[how]).sum(1), drawn[how][:, -1] == 0
    for n in range(SLOTS + 1):
        assert abs(costly[number == n].mean() - n / SLOTS) < 0.1, n


def test_keys_differ():
    first, again, other = (np.asarray(draw(jax.random.key(s), SPACE, 9, "nested")) for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
