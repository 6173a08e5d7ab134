"""What archs of several widths share: weights marked one by one, and compacted parameters."""

import itertools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dysr_jax.errors import InputError
from dysr_jax.model.names import parse_arch
from dysr_jax.model.programs import lower_static
from dysr_jax.model.sharing import (
    changed_slots,
    compact_params,
    ensemble_weight_bytes,
    held_branches,
    kept_branches,
    shared_weight_bytes,
    step_costs,
    union_weight_bytes,
    unshared_weight_bytes,
)
from dysr_jax.model.space import arch_parameters, arch_width, gene_counts, uniform_space
from dysr_jax.model.supernet import Supernet, arch_params, init_params, slot_name

SPACE = uniform_space(slots=2, widths=(4, 6, 8), scale=2)
LR = np.random.default_rng(0).random((1, 6, 5, 3), np.float32)
arch_sets = st.lists(st.tuples(*(st.integers(0, n - 1) for n in gene_counts(SPACE))), min_size=1, max_size=4)
quick = settings(max_examples=40)


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


def marked(params, arch):
    """All weights in one row, true where the arch reads: the middle of a 5x5, the first channels."""
    width = arch_width(SPACE, arch)
    read = jax.tree.map(lambda leaf: np.zeros(leaf.shape, bool), params)
    read["head"]["kernel"][:, :width] = read["head"]["bias"][:width] = True
    for slot in range(3):
        for name, spec in SPACE.branches(slot)[arch[slot]].reads(width, 2).items():
            mask = read[slot_name(SPACE, slot)][name]
            cut = [
                slice(1, 4) if n == 5 and m == 3 else slice(m)
                for n, m in zip(mask.shape, spec.shape, strict=True)
            ]
            mask[tuple(cut)] = True
    return np.concatenate([mask.reshape(-1) for mask in jax.tree.leaves(read)])


@quick
@given(arch_sets)
def test_shared_weights_are_those_that_both_read(params, archs):
    shared = shared_weight_bytes(SPACE, archs)
    rows = [marked(params, arch) for arch in archs]
    for (i, first), (j, second) in itertools.product(enumerate(rows), repeat=2):
        assert shared[i, j] == 4 * np.sum(first & second)
        assert unshared_weight_bytes(shared)[i, j] == 4 * np.sum(first ^ second)
    assert [4 * arch_parameters(SPACE, arch) for arch in archs] == list(np.diag(shared))
    assert ensemble_weight_bytes(SPACE, archs) == np.diag(shared).sum()
    # Kernels are boxes: a wide 3x3 beside a narrow 5x5 stores a wide 5x5.
    assert 4 * np.sum(np.any(rows, axis=0)) <= union_weight_bytes(SPACE, archs) <= nbytes(params)


def test_a_narrow_arch_is_a_part_of_the_same_at_full_width():
    archs = archs_named("w4-c5-r2-u2", "w6-c5-r2-u2", "w8-c5-r2-u2")
    shared = shared_weight_bytes(SPACE, archs)
    for narrow, wide in itertools.combinations(range(3), 2):
        assert shared[narrow, wide] == shared[narrow, narrow] < shared[wide, wide]
    assert union_weight_bytes(SPACE, archs) == ensemble_weight_bytes(SPACE, archs[2:])


def test_another_width_changes_every_slot():
    archs = archs_named("w4-c3-id-u1", "w4-c3-r1-u1", "w8-c3-id-u1", "w8-c5-r1-u2")
    assert changed_slots(SPACE, archs).tolist() == [[0, 1, 3, 3], [1, 0, 3, 3], [3, 3, 0, 3], [3, 3, 3, 0]]
    costs = step_costs(SPACE, archs)
    # By hand: all slots, and the weights that the wide one adds, of all that it reads.
    narrow, wide = (arch_parameters(SPACE, archs[i]) for i in (0, 2))
    assert costs[0, 2] == pytest.approx((1 + (wide - narrow) / wide) / 2)
    assert costs[0, 1] < costs[0, 2]


@quick
@given(arch_sets)
def test_costs_are_distances_in_the_unit_interval(archs):
    costs = step_costs(SPACE, archs)
    np.testing.assert_array_equal(costs, costs.T)
    assert (costs >= 0).all() and (costs < 1).all()  # the head is always shared
    np.testing.assert_array_equal(costs == 0, [[a == b for b in archs] for a in archs])


# --- compaction -----------------------------------------------------------------------------------------


def run(net, params, arch):
    return jax.jit(net.apply, static_argnums=2)({"params": params}, LR, arch)


def test_branches_are_kept_up_to_their_widest_trunk():
    archs = archs_named("w4-c3-id-u2", "w8-s3-id-u1", "w6-c3-r1-u2")
    index = SPACE.body[0].index
    first = tuple(sorted([(index("c3"), 6), (index("s3"), 8)]))
    second = tuple(sorted([(index("id"), 8), (index("r1"), 6)]))
    assert kept_branches(SPACE, archs) == (first, second, ((0, 8), (1, 6)))


SETS = {
    "narrow alone": ("w4-c3-a2-u1", "w4-s5-r1-u2"),
    "one branch at two widths": ("w4-c5-r2-u1", "w6-c5-id-u1"),
    "a narrow 5x5 beside a wide 3x3": ("w4-c5-rh-u2", "w8-c3-bq-u1"),
}


@pytest.mark.parametrize("names", SETS.values(), ids=SETS)
def test_a_compacted_arch_computes_what_it_did(params, names):
    archs = archs_named(*names)
    small, net = compact_params(params, SPACE, archs), Supernet(SPACE, kept=kept_branches(SPACE, archs))
    assert nbytes(small) == union_weight_bytes(SPACE, archs) < 0.8 * nbytes(params)
    assert small["head"]["bias"].shape == (max(arch_width(SPACE, arch) for arch in archs),)
    wholes = [run(Supernet(SPACE), params, arch) for arch in archs]
    assert np.abs(wholes[0] - wholes[1]).max() > 0.1
    for arch, whole in zip(archs, wholes, strict=True):
        np.testing.assert_allclose(run(net, small, arch), whole, rtol=1e-5, atol=1e-5)


@settings(max_examples=15)
@given(arch_sets)
def test_union_bytes_and_what_is_held(params, archs):
    small = compact_params(params, SPACE, archs)
    assert union_weight_bytes(SPACE, archs) == nbytes(small)
    fresh = jax.eval_shape(
        lambda key: Supernet(SPACE, kept=kept_branches(SPACE, archs)).init(key, LR, archs[0]),
        jax.random.key(0),
    )["params"]
    assert jax.tree.map(np.shape, small) == jax.tree.map(lambda leaf: leaf.shape, fresh)
    held = held_branches(SPACE, small)
    for kept, here in zip(kept_branches(SPACE, archs), held, strict=True):
        widest = dict(here)
        assert all(width <= widest[index] for index, width in kept)
    assert max(width for slot in held for _, width in slot) == max(arch_width(SPACE, a) for a in archs)
    assert compact_params(small, SPACE, archs).keys() == small.keys()


def test_the_widest_trunk_of_what_is_held(params):
    def names(*archs):
        held = held_branches(SPACE, compact_params(params, SPACE, archs_named(*archs)))
        return [
            " ".join(f"{names[i]}{w}" for i, w in kept) for names, kept in zip(SPACE.slots, held, strict=True)
        ]

    assert names("w4-id-c5-u2") == ["id4", "id4 c34 c54", "u14 u24"]
    # A narrow 5x5 beside a wide 3x3: both wide. Beside a wide u1 the narrow u2 stays narrow.
    assert names("w8-id-c3-u1", "w4-r2-c5-u2") == ["id8 rq4 rh4 r14 r24", "id8 c38 c58", "u18 u24"]


def test_a_width_that_was_not_kept_is_refused(params):
    archs = archs_named("w4-c3-r1-u1", "w8-c5-id-u1")
    small, kept = compact_params(params, SPACE, archs), kept_branches(SPACE, archs)
    net, (child, wide) = Supernet(SPACE, kept=kept), archs_named("w6-c5-id-u1", "w8-c5-r1-u1")
    np.testing.assert_allclose(
        run(net, small, child), run(Supernet(SPACE), params, child), rtol=1e-5, atol=1e-5
    )
    says = r"^slot 1: the weights of branch 'r1' at 8 channels were not kept"
    for refused in (
        lambda: run(net, small, wide),
        lambda: arch_params(small, SPACE, wide),
        lambda: lower_static(Supernet(SPACE), wide, small, (6, 5)),
    ):
        with pytest.raises(InputError, match=says):
            refused()
    narrow = compact_params(params, SPACE, archs_named("w4-id-id-u1"))
    with pytest.raises(InputError, match="slot 2: the weights of branch 'u1' at 6 channels"):
        arch_params(narrow, SPACE, archs_named("w6-id-id-u1")[0])


def test_weights_of_other_widths_hold_nothing(params):
    other = jax.eval_shape(lambda: init_params(jax.random.key(0), uniform_space(slots=2, widths=5, scale=2)))
    with pytest.raises(InputError, match="params: the head's weights are not those of this space"):
        held_branches(SPACE, other)
