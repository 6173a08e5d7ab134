"""The search space: names, extremes, random operators, costs, presets, and how a branch is added."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dysr_jax.config import PRESETS
from dysr_jax.errors import InputError
from dysr_jax.model.branches import BODY
from dysr_jax.model.names import arch_name, parse_arch
from dysr_jax.model.sharing import compact_params
from dysr_jax.model.space import (
    SearchSpace,
    arch_mult_adds,
    arch_parameters,
    at_width,
    crossover,
    gene_counts,
    largest_arch,
    mutate,
    sample_archs,
    sample_plain_archs,
    single_arch_space,
    smallest_arch,
    space_size,
    to_archs,
    uniform_space,
    validate_arch,
    with_width,
)
from dysr_jax.model.supernet import init_params

# Neither the cheapest nor the dearest branch of a slot stands first or last, and slots differ.
MIXED = SearchSpace(
    body=(("s3", "id", "r1", "a1"), ("c3",), ("s5", "c5", "c3"), ("a1", "r1")),
    upsamplers=("u2", "u1"),
    widths=4,
    scale=3,
)

GENES = 32
"""Archs a draw, so that a rare fault of an operator shows."""

seeds = st.integers(0, 2**31 - 1)
# The first call of a strategy's function compiles: no deadline.
quick = settings(deadline=None, max_examples=25)


def every_arch(space):
    return list(itertools.product(*(range(n) for n in gene_counts(space))))


@functools.partial(jax.jit, static_argnums=1)
def draw(seed, space):
    return sample_archs(jax.random.key(seed), space, (GENES,))


@functools.partial(jax.jit, static_argnums=1)
def change(seed, space, genes, rate):
    return mutate(jax.random.key(seed), space, genes, rate)


@jax.jit
def cross(seed, first, second):
    return crossover(jax.random.key(seed), first, second)


def test_size_counts_the_archs():
    assert gene_counts(MIXED) == (4, 1, 3, 2, 2)
    assert space_size(MIXED) == len(set(every_arch(MIXED))) == 48


@pytest.mark.parametrize(
    ("arch", "says"),
    [
        ((), "has 0 indices; the space has 5 slots"),
        ((0, 0, 0, 0), "has 4 indices; the space has 5 slots"),
        ((0, 0, 0, 0, 0, 0), "has 6 indices; the space has 5 slots"),
        ((4, 0, 0, 0, 0), "slot 0 takes 0 to 3, not 4"),
        ((0, 1, 0, 0, 0), "slot 1 takes 0 to 0, not 1"),
        ((0, 0, -1, 0, 0), "slot 2 takes 0 to 2, not -1"),
        ((0, 0, 0, 0, 2), "slot 4 takes 0 to 1, not 2"),
    ],
)
def test_a_wrong_arch_is_told(arch, says):
    for reject in (validate_arch, arch_name, arch_parameters, arch_mult_adds):
        with pytest.raises(InputError) as error:
            reject(MIXED, arch)
        assert repr(arch) in str(error.value)
        assert says in str(error.value)
    if arch:
        with pytest.raises(InputError, match="arch"):
            to_archs(MIXED, np.array([(0,) * len(arch), arch]))


def test_archs_become_tuples_of_python_ints():
    genes = np.array(every_arch(MIXED), np.int32)
    archs = to_archs(MIXED, genes)
    assert archs == every_arch(MIXED)
    assert validate_arch(MIXED, tuple(genes[-1])) == archs[-1]
    for arch in (archs[-1], validate_arch(MIXED, tuple(genes[-1]))):
        assert {type(index) for index in arch} == {int}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"scale": 5}, "scale 5: must be 2, 3 or 4"),
        ({"scale": 1}, "scale 1: must be 2, 3 or 4"),
        ({"widths": 0}, "widths 0: must be increasing integers of at least 1"),
        ({"body": (("id",), ())}, "slot 1 has no branch"),
        ({"upsamplers": ()}, "slot 1 has no branch"),
        ({"body": (("id", "c3", "id"),)}, "slot 0 names a branch twice: id, c3, id"),
        ({"body": (("id", "x9"),)}, f"branch 'x9' of slot 0: known are {', '.join(BODY)}"),
        ({"body": (("u1",),)}, "branch 'u1' of slot 0"),
        ({"upsamplers": ("c3",)}, "branch 'c3' of slot 1: known are u1, u2"),
    ],
)
def test_a_wrong_space_is_told(change, says):
    right = {"body": (("id",),), "upsamplers": ("u1",), "widths": 4, "scale": 2}
    assert space_size(SearchSpace(**right)) == 1
    with pytest.raises(InputError) as error:
        SearchSpace(**(right | change))
    assert says in str(error.value)


def test_extremes_by_brute_force():
    def cost(arch):
        return arch_mult_adds(MIXED, arch), arch_parameters(MIXED, arch)

    archs = every_arch(MIXED)
    assert cost(smallest_arch(MIXED)) == min(map(cost, archs))
    assert cost(largest_arch(MIXED)) == max(map(cost, archs))
    assert smallest_arch(MIXED, 4) == smallest_arch(MIXED)
    assert largest_arch(MIXED, 4) == largest_arch(MIXED)
    # a1 and r1 multiply the same numbers a pixel; only weights tell them apart.
    assert arch_name(MIXED, smallest_arch(MIXED)) == "id-c3-s5-r1-u1"
    assert arch_name(MIXED, largest_arch(MIXED)) == "a1-c3-c5-a1-u2"


def test_extremes_of_each_width_by_brute_force():
    """At 3 channels a 3x3 convolution costs less than a separable 5x5, at 6 more."""
    space = SearchSpace((("s5", "c3"), ("r1", "id")), ("u2", "u1"), (3, 6), 2)

    def cost(arch):
        return arch_mult_adds(space, arch), arch_parameters(space, arch)

    for index, width in enumerate(space.widths):
        own = [arch for arch in every_arch(space) if arch[-1] == index]
        assert cost(smallest_arch(space, width)) == min(map(cost, own))
        assert cost(largest_arch(space, width)) == max(map(cost, own))
    assert smallest_arch(space, 3)[0] != smallest_arch(space, 6)[0]
    assert (smallest_arch(space), largest_arch(space)) == (smallest_arch(space, 3), largest_arch(space, 6))


def test_a_space_at_one_of_its_widths():
    space = SearchSpace(MIXED.body, MIXED.upsamplers, (4, 6), 3)
    narrow = at_width(space, 4)
    assert narrow == MIXED == at_width(MIXED, 4)
    assert [with_width(space, arch, 4) for arch in every_arch(narrow)] == [
        arch for arch in every_arch(space) if arch[-1] == 0
    ]
    assert with_width(narrow, (0, 0, 0, 0, 0), 4) == (0, 0, 0, 0, 0)
    for arch in every_arch(narrow)[::7]:
        assert arch_mult_adds(space, with_width(space, arch, 4)) == arch_mult_adds(narrow, arch)


@quick
@given(seeds)
def test_samples_are_archs(seed):
    genes = draw(seed, MIXED)
    assert genes.dtype == jnp.int32
    assert len(to_archs(MIXED, genes)) == GENES


def test_samples_are_uniform():
    genes = np.asarray(sample_archs(jax.random.key(0), MIXED, (6000,)))
    for column, limit in zip(genes.T, gene_counts(MIXED), strict=True):
        shares = np.bincount(column, minlength=limit) / len(genes)
        # The standard deviation of a share is at most 0.0065.
        np.testing.assert_allclose(shares, 1 / limit, atol=0.03)
    assert sample_archs(jax.random.key(0), MIXED).shape == (5,)


@quick
@given(seeds, seeds, st.sampled_from([0.0, 0.2, 0.9, 1.0]))
def test_mutants_are_archs(seed, other_seed, rate):
    mutants = change(seed, MIXED, draw(other_seed, MIXED), rate)
    assert mutants.dtype == jnp.int32
    assert len(to_archs(MIXED, mutants)) == GENES


@quick
@given(seeds, seeds)
def test_rate_one_changes_every_gene_and_rate_zero_none(seed, other_seed):
    genes = draw(other_seed, MIXED)
    choice = np.array(gene_counts(MIXED)) > 1
    assert not choice.all()
    changed = np.asarray(change(seed, MIXED, genes, 1.0) != genes)
    np.testing.assert_array_equal(changed, np.broadcast_to(choice, changed.shape))
    np.testing.assert_array_equal(change(seed, MIXED, genes, 0.0), genes)


def test_a_mutant_gene_is_any_other_branch_at_the_rate():
    genes = jnp.zeros((6000, len(gene_counts(MIXED))), jnp.int32).at[:, 0].set(2)
    mutants = np.asarray(change(0, MIXED, genes, 0.3))
    shares = np.bincount(mutants[:, 0], minlength=4) / len(mutants)
    np.testing.assert_allclose(shares, [0.1, 0.1, 0.7, 0.1], atol=0.03)
    shares = np.bincount(mutants[:, 2], minlength=3) / len(mutants)
    np.testing.assert_allclose(shares, [0.7, 0.15, 0.15], atol=0.03)


@quick
@given(seeds, seeds, seeds)
def test_children_have_genes_of_their_parents_only(seed, first_seed, second_seed):
    first, second = draw(first_seed, MIXED), draw(second_seed, MIXED)
    child = cross(seed, first, second)
    assert len(to_archs(MIXED, child)) == GENES
    assert np.all((child == first) | (child == second))


def test_children_take_half_of_each_parent():
    first = jnp.zeros((2000, 5), jnp.int32)
    child = np.asarray(cross(0, first, first + 1))
    np.testing.assert_allclose(child.mean(0), 0.5, atol=0.05)
    # Genes are drawn one by one: a child is not the copy of a parent.
    assert len(np.unique(child, axis=0)) == 2**5


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("width", [1, 4, 6])
def test_parameters_are_the_weights_of_the_compacted_arch(width, scale):
    space = uniform_space(slots=2, widths=width, scale=scale)
    stored = jax.eval_shape(lambda key: init_params(key, space), jax.random.key(0))
    params = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), stored)
    archs = [smallest_arch(space), largest_arch(space), *every_arch(space)[::7]]
    weights = [
        sum(leaf.size for leaf in jax.tree.leaves(compact_params(params, space, [arch]))) for arch in archs
    ]
    assert len(set(weights)) > 5
    assert [arch_parameters(space, arch) for arch in archs] == weights


def test_costs_by_hand():
    space = uniform_space(slots=5, widths=64, scale=4)
    arch = parse_arch(space, "c3-s5-r2-a1-id-u2")
    head = 27 * 64
    c3 = 9 * 64 * 64
    s5 = 25 * 64 + 64 * 64
    r2 = 9 * 64 * 128 + 9 * 128 * 64
    a1 = 9 * 64 * 64 + 9 * 64 * 64  # the gate works on one mean a channel, not on pixels
    u2 = 9 * 64 * 64 + 9 * 64 * (3 * 4 * 4)
    pixels = 320 * 180
    total = (head + c3 + s5 + r2 + a1 + u2) * pixels
    assert total == 19_007_078_400
    assert arch_mult_adds(space, arch) == total
    assert arch_mult_adds(space, arch, output=(360, 640)) == total // 4

    biases = 64 + 64 + 64 + (128 + 64) + (64 + 64 + 16 + 64) + (64 + 48)
    gate = 64 * 16 + 16 * 64
    assert arch_parameters(space, arch) == head + c3 + s5 + r2 + a1 + u2 + gate + biases


def test_presets_are_as_large_as_promised():
    assert space_size(PRESETS["quickstart"].space.build()) >= 10**4
    base = PRESETS["base"].space.build()
    assert space_size(base) >= 10**12
    assert base.width == 64
    assert len(base.body) >= 12


@pytest.mark.parametrize(
    "space",
    [
        uniform_space(slots=8, widths=4, scale=2),
        SearchSpace((("c3", "id"), ("r1",), ("id", "c5", "s3"), ("id",)), ("u2", "u1"), 4, 2),
    ],
)
def test_plain_archs_have_one_branch_beside_the_cheapest(space):
    genes = np.asarray(sample_plain_archs(jax.random.key(0), space, 400))
    archs = to_archs(space, genes)  # validates them
    cheapest = np.array(smallest_arch(space))[:-1]
    for arch in archs:
        most = max(gene_counts(space)[:-1])
        plain = [np.minimum(b, np.array(gene_counts(space)[:-1]) - 1) for b in range(most)]
        body = np.array(arch[:-1])
        assert any(np.all((body == branch) | (body == cheapest)) for branch in plain)
    assert {*genes[:, -1].tolist()} == set(range(gene_counts(space)[-1]))


def test_plain_archs_lie_all_along_the_costs():
    space = uniform_space(slots=16, widths=4, scale=2)
    works = np.sum(np.asarray(sample_plain_archs(jax.random.key(0), space, 400))[:, :-1] != 0, 1)
    assert np.histogram(works, 4, (0, 16))[0].min() > 40


def test_a_space_of_one_arch():
    space = uniform_space(slots=2, widths=8, scale=3, branches=("id", "s3", "c3"), upsamplers=("u1", "u2"))
    found = single_arch_space(space, (1, 2, 1))
    assert found.slots == (("s3",), ("c3",), ("u2",))
    assert (found.width, found.scale) == (space.width, space.scale)
    assert space_size(found) == 1


# --- what a space is given -----------------------------------------------------------------------------


def test_lists_and_numpy_integers_make_the_same_space():
    made = SearchSpace([["id", "c3"], ["id"]], ["u1"], np.int64(4), np.int32(2))
    assert made == SearchSpace((("id", "c3"), ("id",)), ("u1",), 4, 2)
    assert len({made, SearchSpace((("id", "c3"), ("id",)), ("u1",), 4, 2)}) == 1
    assert [type(value) for value in (made.width, made.scale)] == [int, int]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"body": ()}, "body (): must have at least one slot"),
        ({"body": []}, "body []: must have at least one slot"),
        ({"body": "id"}, "body 'id': must be one list of branch names per slot"),
        ({"body": None}, "body None: must be one list"),
        ({"body": ("id", "c3")}, "slot 0 'id': must be a list of branch names"),
        ({"body": ((3,),)}, "slot 0: branch 3: must be the name of a registered branch"),
        ({"upsamplers": "u1"}, "upsamplers 'u1': must be a list of branch names"),
        ({"upsamplers": None}, "upsamplers None: must be"),
        ({"widths": 4.0}, "widths 4.0: must be a list of integers"),
        ({"widths": True}, "widths True: must be a list of integers"),
        ({"widths": "4"}, "widths '4': must be a list of integers"),
        ({"widths": -1}, "widths -1: must be increasing integers of at least 1"),
        ({"widths": ()}, "widths (): must be increasing integers of at least 1"),
        ({"widths": (0, 4)}, "widths (0, 4): must be increasing"),
        ({"widths": (4, 4)}, "widths (4, 4): must be increasing"),
        ({"widths": [8, 4]}, "widths [8, 4]: must be increasing"),
        ({"widths": (4, 8.0)}, "widths (4, 8.0): must be increasing integers"),
        ({"widths": (4, True)}, "widths (4, True): must be increasing integers"),
        ({"scale": 4.0}, "scale 4.0: must be 2, 3 or 4"),
        ({"scale": "4"}, "scale '4': must be"),
        ({"scale": None}, "scale None: must be"),
    ],
)
def test_a_space_that_cannot_be_is_refused_at_once(change, says):
    right = {"body": (("id",),), "upsamplers": ("u1",), "widths": 4, "scale": 2}
    with pytest.raises(InputError) as error:
        SearchSpace(**(right | change))
    assert says in str(error.value)


# --- spellings ------------------------------------------------------------------------------------------
