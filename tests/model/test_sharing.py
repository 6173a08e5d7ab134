"""What pairs of archs share, against the weights that compacting such a pair keeps."""

import itertools

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dysr_jax.errors import InputError
from dysr_jax.model.branches import BODY, Branch, KernelSpec, register_branch
from dysr_jax.model.names import parse_arch
from dysr_jax.model.sharing import (
    changed_slots,
    compact_params,
    shared_weight_bytes,
    step_costs,
    union_weight_bytes,
    unshared_weight_bytes,
)
from dysr_jax.model.space import arch_parameters, gene_counts, uniform_space
from dysr_jax.model.supernet import init_params

SPACE = uniform_space(slots=3, widths=4, scale=2)
arch_lists = st.lists(st.tuples(*(st.integers(0, n - 1) for n in gene_counts(SPACE))), min_size=1, max_size=5)


def named(*names):
    return [parse_arch(SPACE, name) for name in names]


@pytest.fixture(scope="module")
def whole():
    """Shapes of the supernet's parameters."""
    return jax.eval_shape(lambda: init_params(jax.random.key(0), SPACE))


def resident_bytes(whole, *archs):
    """Of the pytree that serves these archs."""
    kept = jax.eval_shape(lambda params: compact_params(params, SPACE, archs), whole)
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(kept))


def test_shared_weights_are_those_that_a_compacted_pair_saves(whole):
    archs = named("c3-id-r1-u1", "c5-s3-r2-u1", "s5-s3-id-u2", "c3-id-r1-u2")
    shared = shared_weight_bytes(SPACE, archs)
    alone = [resident_bytes(whole, arch) for arch in archs]
    for (i, first), (j, second) in itertools.product(enumerate(archs), repeat=2):
        saved = alone[i] + alone[j] - resident_bytes(whole, first, second)
        assert shared[i, j] == saved
    assert len(set(shared[np.triu_indices(4)])) > 6  # the pairs differ


@given(arch_lists)
def test_bytes_of_random_archs(archs):
    shared = shared_weight_bytes(SPACE, archs)
    unshared = unshared_weight_bytes(shared)
    for (i, first), (j, second) in itertools.product(enumerate(archs), repeat=2):
        assert shared[i, j] + unshared[i, j] == union_weight_bytes(SPACE, (first, second))
    np.testing.assert_array_equal(np.diag(shared), [4 * arch_parameters(SPACE, a) for a in archs])
    assert not np.diag(unshared).any()


@given(arch_lists)
def test_costs_are_distances_in_the_unit_interval(archs):
    costs = step_costs(SPACE, archs)
    np.testing.assert_array_equal(costs, costs.T)
    assert (costs >= 0).all() and (costs < 1).all()  # the head is always shared
    same = [[first == second for second in archs] for first in archs]
    np.testing.assert_array_equal(costs == 0, same)


def test_a_cost_by_hand():
    archs = named("3id-u1", "c3-2id-u1", "3c3-u2")
    np.testing.assert_array_equal(changed_slots(SPACE, archs), [[0, 1, 4], [1, 0, 3], [4, 3, 0]])
    # A trunk of 4 channels: 3x3x4x4 + 4 weights a c3, which 3id-u1 lacks.
    added = 3 * 3 * 4 * 4 + 4
    expected = (1 / 4 + added / arch_parameters(SPACE, archs[1])) / 2
    assert step_costs(SPACE, archs)[0, 1] == pytest.approx(expected)


class Lopsided(Branch):
    """Reads a kernel that is narrow in one direction: neither of two such holds the other."""

    def __init__(self, shape):
        self.shape = shape

    def reads(self, width, scale):
        return {"lopsided": KernelSpec(self.shape)}

    def __call__(self, kernels, x, layers):
        return x


def test_branches_of_which_neither_reads_all_that_the_other_does():
    try:
        register_branch(BODY, "x1", Lopsided((1, 64)))
        register_branch(BODY, "x2", Lopsided((64, 1)))
        space = uniform_space(slots=1, widths=1, scale=2, branches=("x1", "x2"))
        archs = [(0, 0), (1, 0)]
        head_and_upsampler = arch_parameters(space, archs[0]) - 64
        shared = shared_weight_bytes(space, archs)
        assert shared[0, 1] == 4 * (head_and_upsampler + 1)
        assert unshared_weight_bytes(shared)[0, 1] == 4 * 2 * 63
        assert 0 < step_costs(space, archs)[0, 1] < 1
    finally:
        BODY.pop("x1", None)
        BODY.pop("x2", None)


@pytest.mark.parametrize("function", [shared_weight_bytes, changed_slots, step_costs])
def test_what_is_refused(function):
    with pytest.raises(InputError, match="archs is empty"):
        function(SPACE, [])
    with pytest.raises(InputError, match="takes 0 to 1, not 9"):
        function(SPACE, [(0, 0, 0, 0), (0, 0, 0, 9)])
