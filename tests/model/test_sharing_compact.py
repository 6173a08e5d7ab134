"""Compacted parameters: they serve their archs as the whole does, hold what was promised, refuse others."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dysr_jax.errors import InputError
from dysr_jax.model.branches import BODY
from dysr_jax.model.kernels import cut_kernels
from dysr_jax.model.names import arch_name, parse_arch
from dysr_jax.model.sharing import (
    compact_params,
    ensemble_weight_bytes,
    held_branches,
    kept_branches,
    union_weight_bytes,
)
from dysr_jax.model.space import at_width, gene_counts, uniform_space, with_width
from dysr_jax.model.supernet import Supernet, cut_params, init_params, narrow_supernet, slot_name

LR = np.random.default_rng(0).random((2, 6, 5, 3), np.float32)
SPACE = uniform_space(slots=2, widths=4, scale=2)

arch_sets = st.lists(st.tuples(*(st.integers(0, n - 1) for n in gene_counts(SPACE))), min_size=1, max_size=5)
quick = settings(deadline=None, max_examples=50)


@pytest.fixture(scope="module")
def params():
    """Random NumPy arrays: slicing them compiles nothing."""
    shapes = jax.eval_shape(lambda key: init_params(key, SPACE), jax.random.key(0))
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda s: 0.3 * rng.normal(size=s.shape).astype(np.float32), shapes)


def archs_named(*names):
    return [parse_arch(SPACE, name) for name in names]


def nbytes(tree):
    return sum(leaf.nbytes for leaf in jax.tree.leaves(tree))


def run(net, params, arch):
    return jax.jit(net.apply, static_argnums=2)({"params": params}, LR, arch)


SETS = {
    "one": ("s3-id-u1",),
    "narrow parts of wide kernels": ("c3-r1-u1", "s3-a1-u1"),
    "parts beside the whole": ("c3-r2-u2", "c5-a1-u1"),
}


@pytest.mark.parametrize("names", SETS.values(), ids=SETS)
def test_a_compacted_arch_computes_what_it_did(params, names):
    archs = archs_named(*names)
    small = compact_params(params, SPACE, archs)
    # The sides differ in what they read from.
    assert nbytes(small) < 0.8 * nbytes(params)
    net = Supernet(SPACE, kept=kept_branches(SPACE, archs))
    wholes = [run(Supernet(SPACE), params, arch) for arch in archs]
    assert len({np.asarray(out).tobytes() for out in wholes}) == len(archs)
    for arch, whole in zip(archs, wholes, strict=True):
        # The slices are cut ahead of time instead of inside the program: fusions may differ.
        np.testing.assert_allclose(run(net, small, arch), whole, rtol=1e-5, atol=1e-5)


def test_kept_branches_are_those_that_occur():
    archs = archs_named("c3-id-u2", "s3-id-u1", "c3-a2-u2")
    names = SPACE.body[0]
    kept = kept_branches(SPACE, archs)
    indices = ((names.index("s3"), names.index("c3")), (names.index("id"), names.index("a2")), (0, 1))
    assert kept == tuple(tuple((index, 4) for index in slot) for slot in indices)


def test_archs_that_mix_what_was_kept_are_served_too(params):
    """Kept is a set of branches a slot, so children of the kept archs need no weights of their own."""
    parents = archs_named("c3-s3-u1", "s3-c5-u2")
    small, kept = compact_params(params, SPACE, parents), kept_branches(SPACE, parents)
    (child,) = archs_named("c3-c5-u2")
    out = run(Supernet(SPACE, kept=kept), small, child)
    np.testing.assert_allclose(out, run(Supernet(SPACE), params, child), rtol=1e-5, atol=1e-5)


@quick
@given(arch_sets)
def test_union_bytes_are_those_of_the_arrays(params, archs):
    small = compact_params(params, SPACE, archs)
    assert union_weight_bytes(SPACE, archs) == nbytes(small)
    assert jax.tree.all(jax.tree.map(lambda leaf: leaf.dtype == np.float32, small))


@quick
@given(arch_sets)
def test_the_union_is_at_most_the_ensemble_and_the_whole(params, archs):
    union = union_weight_bytes(SPACE, archs)
    assert union <= ensemble_weight_bytes(SPACE, archs)
    assert union <= nbytes(params)
    assert union >= max(ensemble_weight_bytes(SPACE, [arch]) for arch in archs)


@quick
@given(arch_sets)
def test_the_ensemble_is_one_compacted_model_an_arch(params, archs):
    separate = sum(nbytes(compact_params(params, SPACE, [arch])) for arch in archs)
    assert ensemble_weight_bytes(SPACE, archs) == separate


@quick
@given(arch_sets)
def test_neither_order_nor_repetition_matters(params, archs):
    again = [*reversed(archs), archs[0]]
    assert kept_branches(SPACE, again) == kept_branches(SPACE, archs)
    small, other = compact_params(params, SPACE, archs), compact_params(params, SPACE, again)
    assert jax.tree.structure(small) == jax.tree.structure(other)
    jax.tree.map(np.testing.assert_array_equal, small, other)


def test_shared_kernels_make_the_union_smaller_than_the_ensemble():
    archs = archs_named("c3-r1-u1", "c5-a2-u2")
    # By hand, in weights of width 4: everything of the first lies within the second.
    second = 28 * 4 + (25 * 16 + 4) + (2 * 9 * 32 + 8 + 4 + 4 + 1 + 4 + 4)
    second += (9 * 16 + 4) + (9 * 4 * 12 + 12)
    first = 28 * 4 + (9 * 16 + 4) + (2 * 9 * 16 + 8) + (9 * 4 * 12 + 12)
    assert union_weight_bytes(SPACE, archs) == 4 * second
    assert ensemble_weight_bytes(SPACE, archs) == 4 * (first + second)


def test_the_supernet_and_compact_agree_on_the_parameters(params):
    """A compacted module would initialise exactly the tree that `compact` cuts."""
    archs = archs_named("id-s3-u1", "id-r1-u1")
    net = Supernet(SPACE, kept=kept_branches(SPACE, archs))
    fresh = jax.eval_shape(lambda key: net.init(key, LR, archs[0]), jax.random.key(0))["params"]
    small = compact_params(params, SPACE, archs)
    assert jax.tree.map(np.shape, small) == jax.tree.map(lambda leaf: leaf.shape, fresh)
    assert "slot00" not in small  # identity reads nothing


@pytest.mark.parametrize("name", ["c5-r1-u1", "c3-r2-u1", "c3-r1-u2", "id-r1-u1"])
def test_an_arch_that_was_not_kept_is_refused(params, name):
    archs = archs_named("c3-r1-u1")
    (other,) = archs_named(name)
    slot = [a == b for a, b in zip(archs[0], other, strict=True)].index(False)
    branch = name.split("-")[slot]
    net, small = Supernet(SPACE, kept=kept_branches(SPACE, archs)), compact_params(params, SPACE, archs)
    assert arch_name(SPACE, other) == name
    with pytest.raises(InputError, match=f"slot {slot}: the weights of branch '{branch}' were not"):
        run(net, small, other)


@given(arch_sets)
@quick
def test_what_was_kept_is_held_and_computes_what_it_did(params, archs):
    small = compact_params(params, SPACE, archs)
    held = held_branches(SPACE, small)
    for slot, (kept, here) in enumerate(zip(kept_branches(SPACE, archs), held, strict=True)):
        assert set(kept) <= set(here)
        assert {width for _, width in here} == {4}
        name = slot_name(SPACE, slot)
        for index, branch in enumerate(SPACE.branches(slot)):
            reads = branch.reads(SPACE.width, SPACE.scale)
            if (index, 4) in here:
                cuts = cut_kernels(small.get(name, {}), reads)
                jax.tree.map(np.testing.assert_array_equal, cuts, cut_kernels(params[name], reads))


def test_wide_branches_hold_narrow_ones_and_not_the_reverse(params):
    def names(*archs):
        held = held_branches(SPACE, compact_params(params, SPACE, archs_named(*archs)))
        return [
            " ".join(branches[index] for index, _ in indices)
            for branches, indices in zip(SPACE.slots, held, strict=True)
        ]

    assert names("id-c5-u2") == ["id", "id c3 c5", "u1 u2"]
    assert names("c3-s5-u1") == ["id c3", "id s3 s5", "u1"]
    assert names("r1-a1-u1") == ["id rq rh r1", "id rq rh r1 a1", "u1"]
    assert names("bh-a2-u1") == ["id bq bh", "id rq rh r1 r2 a1 a2", "u1"]


@pytest.mark.parametrize(
    ("space", "says"),
    [
        (uniform_space(slots=2, widths=5, scale=2), "the head's weights are not those of this space"),
        (uniform_space(slots=2, widths=4, scale=3), "the weights of slot 2 are not those of this space"),
        (uniform_space(slots=4, widths=4, scale=2), "slot02, slot03: this space has no such slot"),
    ],
)
def test_weights_of_another_space_hold_nothing(params, space, says):
    shapes = jax.eval_shape(lambda: init_params(jax.random.key(0), space))
    with pytest.raises(InputError, match=f"params: {says}"):
        held_branches(SPACE, shapes)


def test_a_slot_without_weights_or_identity_is_refused(params):
    bare = {name: kernels for name, kernels in params.items() if name != "slot01"}
    assert held_branches(SPACE, bare)[1] == ((0, 4),)
    with pytest.raises(InputError, match="slot 2 has the weights of none of its branches"):
        held_branches(SPACE, params | {"upsampler": {}})


def test_compacted_weights_have_no_search_program(params):
    archs = archs_named("c3-r1-u1")
    net, small = Supernet(SPACE, kept=kept_branches(SPACE, archs)), compact_params(params, SPACE, archs)
    with pytest.raises(InputError, match="arch must be a tuple"):
        jax.jit(net.apply)({"params": small}, LR, np.array(archs[0]))


@pytest.mark.parametrize("fn", [kept_branches, union_weight_bytes])
def test_no_arch_at_all_is_refused(fn):
    with pytest.raises(InputError, match="archs is empty"):
        fn(SPACE, [])


def test_compacting_to_no_arch_or_a_foreign_one_is_refused(params):
    with pytest.raises(InputError, match="archs is empty"):
        compact_params(params, SPACE, [])
    over = len(BODY)
    with pytest.raises(InputError, match=f"slot 0 takes 0 to {over - 1}, not {over}"):
        compact_params(params, SPACE, [(0, 0, 0), (over, 0, 0)])


@pytest.mark.parametrize("width", [3, 4, 6])
def test_the_parameters_of_a_width_are_the_union_of_its_archs(width):
    """`compact_params` of one arch per branch, and shapes that are those of the width's own supernet."""
    space = uniform_space(slots=2, widths=(3, 4, 6), scale=2)
    shapes = jax.eval_shape(lambda key: init_params(key, space), jax.random.key(0))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda s: rng.normal(size=s.shape).astype(np.float32), shapes)
    narrow = at_width(space, width)
    archs = [
        with_width(space, (*[min(i, n - 1) for n in gene_counts(narrow)],), width)
        for i in range(max(gene_counts(narrow)))
    ]
    found = cut_params(params, narrow)
    jax.tree.map(np.testing.assert_array_equal, found, compact_params(params, space, archs))
    own = jax.eval_shape(lambda key: init_params(key, narrow), jax.random.key(0))
    assert jax.tree.map(np.shape, found) == jax.tree.map(lambda s: s.shape, own)
    net = narrow_supernet(Supernet(space), width)
    np.testing.assert_allclose(
        run(net, found, archs[5][:3]), run(Supernet(space), params, archs[5]), rtol=0, atol=1e-6
    )
