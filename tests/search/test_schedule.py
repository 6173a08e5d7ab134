"""Schedules: run with symbols in place of activations, they make every arch, each prefix once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dysr_jax.model.branches import BODY, Identity
from dysr_jax.model.space import SearchSpace, gene_counts, rows_by_width, uniform_space
from dysr_jax.search.schedule import (
    Plan,
    body_branches,
    computed_share,
    make_schedule,
    mult_add_costs,
    partition,
)

UNIFORM = uniform_space(slots=4, widths=4, scale=2, branches=("id", "s3", "c3"))
MIXED = SearchSpace((("c3", "id"), ("r1",), ("id", "c5", "s3"), ("id",)), ("u1", "u2"), 4, 2)
checked = settings(max_examples=80)


@st.composite
def populations(draw, least=1):
    space = draw(st.sampled_from([UNIFORM, MIXED]))
    seed, size = draw(st.integers(0, 999)), draw(st.integers(least, 20))
    rng = np.random.default_rng(seed)
    genes = rng.integers(0, gene_counts(space), (size, len(space.slots))).astype(np.int32)
    if draw(st.booleans()):  # as converged populations are: many share a beginning
        genes[:, : rng.integers(0, 4)] = 0
    return space, genes


def work_of(space, arch):
    """What an arch computes: slot and branch of everything that is no identity."""
    names = [names[index] for names, index in zip(space.slots, arch, strict=True)]
    return tuple((slot, name) for slot, name in enumerate(names) if name != "id")


def execute(plan, schedule, size):
    """Rows hold what was computed to make them."""
    names = body_branches(plan.space)
    rows = {0: ()}
    for tile in range(int(schedule.body.count)):
        slot, name = schedule.body.slot[tile], names[schedule.body.branch[tile]]
        made = [(*rows[row], (slot, name)) for row in schedule.body.source[tile]]
        for row, what in zip(schedule.body.target[tile], made, strict=True):
            if row < plan.rows:
                rows[row] = what
    found = {}
    for tile in range(int(schedule.tail.count)):
        name = plan.space.upsamplers[schedule.tail.branch[tile]]
        for row, candidate in zip(schedule.tail.source[tile], schedule.tail.target[tile], strict=True):
            if candidate < plan.population:
                assert candidate not in found
                found[candidate] = (*rows[row], (len(plan.space.body), name))
    return [found[candidate] for candidate in range(size)]


@checked
@given(populations(), st.integers(1, 9), st.integers(0, 5))
def test_every_candidate_is_computed_as_its_arch_says(population, tile, room):
    space, genes = population
    plan = Plan(space, len(genes) + room, tile)
    schedule = make_schedule(plan, genes)
    assert execute(plan, schedule, len(genes)) == [work_of(space, arch) for arch in genes.tolist()]


@checked
@given(populations())
def test_what_archs_share_is_computed_once(population):
    space, genes = population
    work = [work_of(space, arch)[:-1] for arch in genes.tolist()]
    prefixes = {what[:length] for what in work for length in range(1, len(what) + 1)}
    assert make_schedule(Plan(space, len(genes), 1), genes).body.count == len(prefixes)


@checked
@given(populations(), st.integers(1, 9))
def test_populations_of_a_size_have_arrays_of_the_same_shapes(population, tile):
    space, genes = population
    plan = Plan(space, len(genes), tile)
    shapes = [leaf.shape for leaf in vars(make_schedule(plan, genes).body).values()]
    same = make_schedule(plan, np.zeros_like(genes))
    assert [leaf.shape for leaf in vars(same.body).values()] == shapes


def test_nobody_is_no_work():
    schedule = make_schedule(Plan(UNIFORM, 4, 2), np.zeros((0, 5), np.int32))
    assert (schedule.body.count, schedule.tail.count) == (0, 0)


def test_identities_are_no_branches_to_run():
    assert body_branches(MIXED) == ("c3", "r1", "c5", "s3")
    assert isinstance(BODY["id"], Identity)


@checked
@given(populations(), st.integers(1, 5), st.integers(0, 3))
def test_everyone_is_in_one_shard(population, shards, room):
    space, genes = population
    most = -(-len(genes) // shards) + room
    parts = partition(mult_add_costs(space), genes, shards, most)
    assert len(parts) == shards
    assert max(map(len, parts)) <= most
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(genes)))


@pytest.mark.parametrize("shards", [2, 4])
def test_shards_have_like_work_where_the_archs_differ(shards):
    space = uniform_space(slots=6, widths=16, scale=2, branches=("id", "c3", "r2"), upsamplers=("u1",))
    rng = np.random.default_rng(0)
    genes = rng.integers(0, gene_counts(space), (256, 7)).astype(np.int32)
    genes[:128, 1:] = 0  # half of them do next to nothing
    cost = {"c3": 2304, "r2": 4 * 2304}  # multiply-adds a pixel, and 1728 for the upsampler
    work = []
    for shard in partition(mult_add_costs(space), genes, shards, 256):
        prefixes = {
            what[:length]
            for what in (work_of(space, arch)[:-1] for arch in genes[shard].tolist())
            for length in range(1, len(what) + 1)
        }
        work.append(1728 * len(shard) + sum(cost[prefix[-1][1]] for prefix in prefixes))
    assert max(work) < 1.1 * np.mean(work)


# --- several widths ---------------------------------------------------------------------------------

ELASTIC = uniform_space(slots=4, widths=(4, 6, 8), scale=2, branches=("id", "s3", "c3"))


@checked
@given(st.integers(0, 999), st.integers(0, 20))
def test_each_row_is_of_one_width(seed, count):
    genes = np.random.default_rng(seed).integers(0, gene_counts(ELASTIC), (count, 6))
    found = rows_by_width(ELASTIC, genes)
    assert list(found) == sorted(found)
    assert [len(rows) > 0 for rows in found.values()] == [True] * len(found)
    assert {row: width for width, rows in found.items() for row in rows.tolist()} == {
        row: ELASTIC.widths[arch[-1]] for row, arch in enumerate(genes.tolist())
    }


@checked
@given(st.integers(0, 999), st.integers(1, 20))
def test_archs_of_two_widths_share_nothing(seed, count):
    """What is computed is the distinct prefixes, of which the width is a part."""
    genes = np.random.default_rng(seed).integers(0, gene_counts(ELASTIC), (count, 6)).astype(np.int32)
    work = [(arch[-1], work_of(UNIFORM, arch[:-1])[:-1]) for arch in genes.tolist()]
    prefixes = {(width, what[:length]) for width, what in work for length in range(1, len(what) + 1)}
    alone = sum(len(what) for _, what in work)
    assert computed_share(ELASTIC, genes) == (len(prefixes) / alone if alone else 1.0)


def test_costs_are_of_a_width():
    for width in ELASTIC.widths:
        own = uniform_space(slots=4, widths=width, scale=2, branches=("id", "s3", "c3"))
        np.testing.assert_array_equal(mult_add_costs(ELASTIC, width), mult_add_costs(own))
    np.testing.assert_array_equal(mult_add_costs(ELASTIC), mult_add_costs(ELASTIC, 8))
