"""The search space: names, extremes, random operators, costs, presets, and how a branch is added."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dysr_jax.config import PRESETS
from dysr_jax.errors import InputError
from dysr_jax.model.branches import BODY, Branch, KernelSpec, register_branch
from dysr_jax.model.names import arch_name, arch_names, canonical_name, parse_arch
from dysr_jax.model.sharing import compact_params
from dysr_jax.model.space import (
    SearchSpace,
    arch_mult_adds,
    arch_parameters,
    branch_counts,
    crossover,
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
)
from dysr_jax.model.supernet import Supernet, init_params, stored_kernels

# Neither the cheapest nor the dearest branch of a slot stands first or last, and slots differ.
MIXED = SearchSpace(
    body=(("s3", "id", "r1", "a1"), ("c3",), ("s5", "c5", "c3"), ("a1", "r1")),
    upsamplers=("u2", "u1"),
    width=4,
    scale=3,
)

GENES = 32
"""Archs a draw, so that a rare fault of an operator shows."""

seeds = st.integers(0, 2**31 - 1)
# The first call of a strategy's function compiles: no deadline.
quick = settings(deadline=None, max_examples=25)


def every_arch(space):
    return list(itertools.product(*(range(n) for n in branch_counts(space))))


def arch_of(space):
    return st.tuples(*(st.integers(0, n - 1) for n in branch_counts(space)))


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
    assert branch_counts(MIXED) == (4, 1, 3, 2, 2)
    assert space_size(MIXED) == len(set(every_arch(MIXED))) == 48


def test_every_arch_has_a_name_of_its_own_that_parses_back():
    archs = every_arch(MIXED)
    names = [arch_name(MIXED, arch) for arch in archs]
    assert len(set(names)) == len(archs)
    assert [parse_arch(MIXED, name) for name in names] == archs
    assert arch_names(MIXED, np.array(archs)) == names


def test_names_of_many_are_of_valid_archs_only():
    archs = [*every_arch(MIXED)[:3], (0, 0, 3, 0, 0)]
    with pytest.raises(InputError, match="slot 2 takes 0 to 2, not 3"):
        arch_names(MIXED, np.array(archs))
    with pytest.raises(InputError, match="must be a tuple of ints"):
        arch_names(MIXED, np.array(archs[:3], float))


@quick
@given(arch_of(PRESETS["base"].space.build()))
def test_a_name_of_a_large_space_parses_back(arch):
    space = PRESETS["base"].space.build()
    assert parse_arch(space, arch_name(space, arch)) == arch


def test_names_count_runs():
    space = uniform_space(slots=5, width=4, scale=2)
    c3, r1, identity = (space.body[0].index(name) for name in ("c3", "r1", "id"))
    arch = (c3, c3, r1, identity, identity, 0)
    assert arch_name(space, arch) == "2c3-r1-2id-u1"
    assert parse_arch(space, "c3-c3-r1-2id-u1") == arch


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "'' is not [count]branch"),
        ("2", "'2' is not [count]branch"),
        ("s3--c3-r1-u1", "'' is not [count]branch"),
        ("0s3-c3-s5-r1-u1", "'0s3' is not [count]branch"),
        ("s3-C3-s5-r1-u1", "'C3' is not [count]branch"),
        ("s3-c3-s5-r1", "names 4 of 5 slots"),
        ("s3-c3-s5-2r1-u1", "names 6 of 5 slots"),
        ("s3-c3-id-r1-u1", "slot 2 has no 'id'; must be one of s5, c5, c3"),
        ("s3-c3-s5-r1-c3", "slot 4 has no 'c3'; must be one of u2, u1"),
        ("s3-c3-s5-r1-x9", "slot 4 has no 'x9'; must be one of u2, u1"),
    ],
)
def test_a_wrong_name_is_told(name, says):
    with pytest.raises(InputError) as error:
        parse_arch(MIXED, name)
    assert repr(name) in str(error.value)
    assert says in str(error.value)


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
        ({"width": 0}, "width 0: must be an integer of at least 1"),
        ({"body": (("id",), ())}, "slot 1 has no branch"),
        ({"upsamplers": ()}, "slot 1 has no branch"),
        ({"body": (("id", "c3", "id"),)}, "slot 0 names a branch twice: id, c3, id"),
        ({"body": (("id", "x9"),)}, f"branch 'x9' of slot 0: known are {', '.join(BODY)}"),
        ({"body": (("u1",),)}, "branch 'u1' of slot 0"),
        ({"upsamplers": ("c3",)}, "branch 'c3' of slot 1: known are u1, u2"),
    ],
)
def test_a_wrong_space_is_told(change, says):
    right = {"body": (("id",),), "upsamplers": ("u1",), "width": 4, "scale": 2}
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
    # a1 and r1 multiply the same numbers a pixel; only weights tell them apart.
    assert arch_name(MIXED, smallest_arch(MIXED)) == "id-c3-s5-r1-u1"
    assert arch_name(MIXED, largest_arch(MIXED)) == "a1-c3-c5-a1-u2"


@quick
@given(seeds)
def test_samples_are_archs(seed):
    genes = draw(seed, MIXED)
    assert genes.dtype == jnp.int32
    assert len(to_archs(MIXED, genes)) == GENES


def test_samples_are_uniform():
    genes = np.asarray(sample_archs(jax.random.key(0), MIXED, (6000,)))
    for column, limit in zip(genes.T, branch_counts(MIXED), strict=True):
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
def test_rate_one_changes_every_gene_that_has_a_choice_and_rate_zero_none(seed, other_seed):
    genes = draw(other_seed, MIXED)
    choice = np.array(branch_counts(MIXED)) > 1
    assert not choice.all()
    changed = np.asarray(change(seed, MIXED, genes, 1.0) != genes)
    np.testing.assert_array_equal(changed, np.broadcast_to(choice, changed.shape))
    np.testing.assert_array_equal(change(seed, MIXED, genes, 0.0), genes)


def test_a_mutant_gene_is_any_other_branch_at_the_rate():
    genes = jnp.zeros((6000, len(branch_counts(MIXED))), jnp.int32).at[:, 0].set(2)
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
    space = uniform_space(slots=2, width=width, scale=scale)
    stored = jax.eval_shape(lambda key: init_params(key, space), jax.random.key(0))
    params = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), stored)
    archs = [smallest_arch(space), largest_arch(space), *every_arch(space)[::7]]
    weights = [
        sum(leaf.size for leaf in jax.tree.leaves(compact_params(params, space, [arch]))) for arch in archs
    ]
    assert len(set(weights)) > 5
    assert [arch_parameters(space, arch) for arch in archs] == weights


def test_costs_by_hand():
    space = uniform_space(slots=5, width=64, scale=4)
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


class Mix(Branch):
    """What a reader of the tutorial writes: `x` times a matrix."""

    def reads(self, width, scale):
        return {"mix": KernelSpec((width, width))}

    def __call__(self, kernels, x, layers):
        return layers.pointwise(x, kernels["mix"])


@pytest.fixture
def mix():
    register_branch(BODY, "mix1", Mix())
    yield "mix1"
    del BODY["mix1"]


def test_a_branch_is_added_by_one_class_and_one_line(mix):
    space = SearchSpace((("id", mix), ("id", mix)), ("u1",), width=4, scale=2)
    params = init_params(jax.random.key(0), space)
    lr = np.random.default_rng(0).random((1, 5, 6, 3), np.float32)
    apply = jax.jit(Supernet(space).apply, static_argnums=2)
    search = jax.jit(Supernet(space).apply)
    plain = apply({"params": params}, lr, (0, 0, 0))
    mixed = apply({"params": params}, lr, parse_arch(space, "id-mix1-u1"))
    assert not np.allclose(plain, mixed, atol=1e-4)
    # By hand: no branch but the new one is between head and upsampler.
    heads = params | {"head": jax.tree.map(lambda k: k @ params["slot01"]["mix"], params["head"])}
    np.testing.assert_allclose(apply({"params": heads}, lr, (0, 0, 0)), mixed, atol=1e-5)
    found = search({"params": params}, lr, np.array([0, 1, 0]))
    np.testing.assert_allclose(found, mixed, atol=1e-5)
    assert arch_parameters(space, (0, 1, 0)) - arch_parameters(space, (0, 0, 0)) == 4 * 4


@pytest.mark.parametrize("name", ["", "C3", "3c", "c-3", "c 3", "é1", "c3\n"])
def test_a_branch_needs_a_name_that_can_stand_in_an_arch_name(name):
    registry = {}
    with pytest.raises(InputError) as error:
        register_branch(registry, name, Mix())
    assert repr(name) in str(error.value)
    assert not registry


def test_a_branch_name_is_taken_once():
    registry = {}
    register_branch(registry, "mix1", Mix())
    with pytest.raises(InputError, match="'mix1' is taken; registered are mix1"):
        register_branch(registry, "mix1", Mix())


@pytest.mark.parametrize(
    "space",
    [
        uniform_space(slots=8, width=4, scale=2),
        SearchSpace((("c3", "id"), ("r1",), ("id", "c5", "s3"), ("id",)), ("u2", "u1"), 4, 2),
    ],
)
def test_plain_archs_have_one_branch_beside_the_cheapest(space):
    genes = np.asarray(sample_plain_archs(jax.random.key(0), space, 400))
    archs = to_archs(space, genes)  # validates them
    cheapest = np.array(smallest_arch(space))[:-1]
    for arch in archs:
        most = max(branch_counts(space)[:-1])
        plain = [np.minimum(b, np.array(branch_counts(space)[:-1]) - 1) for b in range(most)]
        body = np.array(arch[:-1])
        assert any(np.all((body == branch) | (body == cheapest)) for branch in plain)
    assert {*genes[:, -1].tolist()} == set(range(branch_counts(space)[-1]))


def test_plain_archs_lie_all_along_the_costs():
    space = uniform_space(slots=16, width=4, scale=2)
    works = np.sum(np.asarray(sample_plain_archs(jax.random.key(0), space, 400))[:, :-1] != 0, 1)
    assert np.histogram(works, 4, (0, 16))[0].min() > 40


def test_a_space_of_one_arch():
    space = uniform_space(slots=2, width=8, scale=3, branches=("id", "s3", "c3"), upsamplers=("u1", "u2"))
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
        ({"width": 4.0}, "width 4.0: must be an integer of at least 1"),
        ({"width": True}, "width True: must be an integer"),
        ({"width": "4"}, "width '4': must be an integer"),
        ({"width": -1}, "width -1: must be an integer"),
        ({"scale": 4.0}, "scale 4.0: must be 2, 3 or 4"),
        ({"scale": "4"}, "scale '4': must be"),
        ({"scale": None}, "scale None: must be"),
    ],
)
def test_a_space_that_cannot_be_is_refused_at_once(change, says):
    right = {"body": (("id",),), "upsamplers": ("u1",), "width": 4, "scale": 2}
    with pytest.raises(InputError) as error:
        SearchSpace(**(right | change))
    assert says in str(error.value)


class Reads(Branch):
    """Reads one kernel."""

    def __init__(self, spec):
        self.spec = spec

    def reads(self, width, scale):
        return {"conv": self.spec}

    def __call__(self, kernels, x, layers):
        return x


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (KernelSpec((3, 3, 4, 4), 2.0), "share kernel 'conv', but gain is 0.1 and 2.0"),
        (KernelSpec((3, 3, 4), 0.1), "shapes (5, 5, 4, 4) and (3, 3, 4) differ in rank"),
        (KernelSpec((3, 3, 4, 4), 0.1, per_pixel=False), "per_pixel is True and False"),
        (KernelSpec((3, 3, 4, 0), 0.1), "shape (3, 3, 4, 0) must be 1 to 4 integers"),
        (KernelSpec((), 0.1), "shape () must be"),
        (KernelSpec((3, 3, 4.0, 4), 0.1), "must be 1 to 4 integers"),
        (KernelSpec((3, 3, 4, 4), -1.0), "gain -1.0 must be finite"),
        (KernelSpec((3, 3, 4, 4), math.nan), "gain nan must be finite"),
    ],
)
@pytest.mark.parametrize("body", [(("c5", "mine"),), (("c5",), ("mine",))])
def test_branches_that_cannot_share_a_kernel_are_named(monkeypatch, spec, says, body):
    """In one slot, which stores one array, or in two, whose arrays a population stacks."""
    monkeypatch.setitem(BODY, "mine", Reads(spec))
    with pytest.raises(InputError) as error:
        SearchSpace(body, ("u1",), 4, 2)
    message = str(error.value)
    assert message.startswith("body: branch")
    assert "'mine'" in message and "'conv'" in message and says in message
    assert "\n" not in message


def test_branches_that_can_share_a_kernel_do(monkeypatch):
    monkeypatch.setitem(BODY, "mine", Reads(KernelSpec((7, 7, 4, 4), 0.1)))
    space = SearchSpace((("c3", "mine"),), ("u1",), 4, 2)
    assert stored_kernels(space, 0)["conv"] == KernelSpec((7, 7, 4, 4), 0.1)


@pytest.mark.parametrize("branch", [Reads, None, "c3"])
def test_only_instances_of_branches_are_registered(branch):
    registry = {}
    with pytest.raises(InputError, match="must be an instance of a subclass of Branch"):
        register_branch(registry, "mine", branch)
    with pytest.raises(InputError, match="branch name 3: must be text"):
        register_branch(registry, 3, Reads(KernelSpec((1,))))
    assert registry == {}


# --- spellings ------------------------------------------------------------------------------------------


@given(st.data())
def test_every_spelling_of_an_arch_is_the_same_name(data):
    space = uniform_space(slots=6, width=4, scale=2, branches=("id", "c3", "r1"))
    arch = tuple(data.draw(st.integers(0, len(names) - 1)) for names in space.slots)
    tokens, left = [], [space.slots[slot][index] for slot, index in enumerate(arch)]
    while left:  # a run in pieces, with or without their counts
        run = next((i for i, name in enumerate(left) if name != left[0]), len(left))
        piece = data.draw(st.integers(1, run))
        counted = piece > 1 or data.draw(st.booleans())
        tokens.append(f"{piece if counted else ''}{left[0]}")
        left = left[piece:]
    spelled = "-".join(tokens)
    assert canonical_name(spelled) == arch_name(space, arch)
    assert parse_arch(space, spelled) == arch


@pytest.mark.parametrize("name", ["fastest", "best", "", "2", "no such-thing", "C3-u1", "0id-u1"])
def test_what_is_no_other_spelling_stays(name):
    assert canonical_name(name) == name
