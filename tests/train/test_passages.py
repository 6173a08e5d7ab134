"""Draws of balanced archs: each as it were drawn alone, all together with counts that never change."""

import functools
import math

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dysr_jax.model.branches import BODY
from dysr_jax.model.space import SearchSpace, smallest_arch, to_archs, uniform_space
from dysr_jax.model.supernet import Supernet
from dysr_jax.model.upsamplers import UPSAMPLERS
from dysr_jax.train.passages import draw_passages, make_design, run_passages
from dysr_jax.train.step import sample_training_archs

SLOTS, DRAWS = 7, 600
SPACE = uniform_space(slots=SLOTS, widths=4, scale=2, branches=("r1", "id", "c3"), upsamplers=("u2", "u1"))
"""The cheapest branch is not the first, nor is the cheapest upsampler."""
WAYS = ("uniform", "spread", "nested")

names = st.lists(st.sampled_from(sorted(BODY)), min_size=1, max_size=4, unique=True).map(tuple)
spaces = st.builds(
    SearchSpace,
    body=st.lists(names, min_size=1, max_size=5).map(tuple),
    upsamplers=st.sampled_from([("u1",), ("u2", "u1"), tuple(UPSAMPLERS)]),
    widths=st.just(4),
    scale=st.just(2),
)


@functools.cache
def drawn(how, archs=40):
    """Archs of many draws `[draws, archs, slots]`, and as many that were drawn one by one."""
    design = make_design(SPACE, archs, how)
    keys = jax.random.split(jax.random.key(1), DRAWS)
    together = jax.jit(jax.vmap(lambda key: draw_passages(key, design)))(keys)
    alone = jax.jit(lambda key: sample_training_archs(key, SPACE, DRAWS * design.archs, how))
    return np.asarray(together), np.asarray(alone(jax.random.key(2)))


@settings(deadline=None, derandomize=True, database=None, max_examples=6)
@given(space=spaces, seed=st.integers(0, 2**32 - 1), how=st.sampled_from(WAYS), archs=st.integers(1, 40))
def test_no_draw_has_more_of_a_branch_than_places(space, seed, how, archs):
    design = make_design(space, archs, how)
    assert {sum(places) for places in design.places} == {design.rows}
    draw = jax.jit(jax.vmap(lambda key: draw_passages(key, design)))
    for genes in np.asarray(draw(jax.random.split(jax.random.key(seed), 5))):
        assert len(to_archs(space, genes)) == design.archs
        for places, column in zip(design.places, genes.T, strict=True):
            assert (np.bincount(column, minlength=len(places)) <= places).all()


def test_places_are_hardly_more_than_are_taken():
    """Of the space that is trained for accelerators, with rows of the same number in runs of slots."""
    branches = ("id", "bq", "rq", "rh", "r1")
    design = make_design(uniform_space(slots=19, widths=(16, 64), scale=4, branches=branches), 168, "nested")
    assert abs(design.archs - 168) <= 8
    assert design.rows <= 1.25 * design.archs
    assert len({*design.places[:-1]}) == 2


def active_of(genes):
    return genes[..., :-1] != np.array(smallest_arch(SPACE)[:-1])


def features(genes):
    """Of each arch: its branches as ones, its number of active slots, whether it is a beginning or alike."""
    active, body = active_of(genes), genes[:, :-1]
    number = active.sum(1)
    beginning = (np.diff(active.astype(int), axis=1) <= 0).all(1)
    first = body[np.arange(len(body)), active.argmax(1)]
    alike = ((body == first[:, None]) | ~active).all(1)
    columns = [genes[:, slot] == index for slot in range(SLOTS + 1) for index in range(2)]
    columns += [number == n for n in range(SLOTS + 1)]
    columns += [(number == n) & (genes[:, -1] == 0) for n in range(SLOTS + 1)]
    columns += [beginning & (number == n) for n in range(SLOTS + 1)]
    columns += [alike & (number == n) for n in range(SLOTS + 1)]
    columns += [active[:, i] & active[:, j] for i in range(SLOTS) for j in range(i)]
    columns += [
        (body[:, i] == body[:, j]) & active[:, i] & active[:, j] for i in range(SLOTS) for j in range(i)
    ]
    return np.stack(columns, 1)


@pytest.mark.parametrize("how", WAYS)
def test_each_arch_is_distributed_as_if_drawn_alone(how):
    together, alone = drawn(how)
    both = [features(genes).mean(0) for genes in (together.reshape(-1, SLOTS + 1), alone)]
    error = np.sqrt(both[1] * (1 - both[1]) / len(alone))
    # Of a draw, archs of a block are not independent: its share varies by no more than of one arch a block.
    np.testing.assert_allclose(both[0], both[1], rtol=0, atol=5 * 2**0.5 * error.max() + 1e-9)


@pytest.mark.parametrize("how", ["spread", "nested"])
def test_active_slots_take_each_branch_equally_often(how):
    together, _ = drawn(how)
    for slot in range(SLOTS):
        taken = [np.bincount(each, minlength=3) for each in together[:, :, slot]]
        assert all(count[0] == count[2] > 0 for count in taken)


def test_keys_differ():
    design = make_design(SPACE, 24, "nested")
    draw = jax.jit(lambda key: draw_passages(key, design))
    first, again, other = (np.asarray(draw(jax.random.key(s))) for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize(("how", "upsamplers"), [("uniform", ("u1", "u2")), ("nested", ("u1",))])
def test_each_patch_passes_its_own_arch(how, upsamplers, noisy_params):
    """Value and gradient, of several widths: as the search program makes them, one patch after the other.

    `rq` and `r2` are one family, the others are alone.
    """
    branches = ("s3", "rq", "id", "r2", "a1")
    space = uniform_space(slots=2, widths=(5, 12), scale=2, branches=branches, upsamplers=upsamplers)
    net, params, design = Supernet(space), noisy_params(space), make_design(space, 1, how)
    for slot in ("slot00", "slot01"):
        params[slot]["gate_in_bias"] += 2  # below zero a gate would be deaf to its input
    genes = jax.jit(lambda key: draw_passages(key, design))(jax.random.key(3))
    rng = np.random.default_rng(4)
    width = rng.permutation(np.arange(len(genes)) % 2).astype(np.int32)[:, None]
    archs = np.concatenate([genes, width], 1)
    lr = rng.random((len(archs), 5, 4, 3), np.float32)
    weight = rng.normal(size=(len(archs), 10, 8, 3)).astype(np.float32)

    def one_by_one(params):
        return jax.lax.map(lambda at: net.apply({"params": params}, at[0][None], at[1])[0], (lr, archs))

    def at_once(params):
        return run_passages(net, params, lr, archs, design)

    def both(run):
        """The output, and the gradient of all kernels."""
        return jax.device_get(jax.jit(lambda p: with_gradient(run, p))(params))

    def with_gradient(run, params):
        out, pull = jax.vjp(run, params)
        return out, pull(weight)[0]

    (found, gradient), (expected, expected_gradient) = both(at_once), both(one_by_one)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)
    assert np.ptp(expected, 0).max() > 0.1
    moved = []
    for mine, theirs in zip(*map(jax.tree.leaves, (gradient, expected_gradient)), strict=True):
        limit = 1e-4 * np.abs(theirs).max()
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=limit)
        moved.append(limit > 0)
    assert np.mean(moved) > (0.9 if how == "uniform" else 0.2)  # the others leave branches out


def test_a_block_is_as_large_as_its_slots_need():
    """Where slots offer different numbers of branches each divides the block."""
    space = SearchSpace((("id", "c3", "r1"), ("id", "s3", "c3", "r1")), ("u1",), 4, 2)
    assert make_design(space, 1, "spread").block == math.lcm(2, 3)
    assert make_design(space, 1, "uniform").block == math.lcm(3, 4, 1)
