"""The state as vectors: the same weights, the same updates as Optax makes on the pytree; schedules."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from dysr_jax.model.space import uniform_space
from dysr_jax.train.config import TrainConfig
from dysr_jax.train.state import apply_gradients, init_state, make_schedule, to_pytrees, to_vectors

CONFIG = TrainConfig(steps=8, chunk=1, warmup=2, clip=0.5, learning_rate=1e-2, weight_decay=0.1)


@pytest.fixture(scope="module")
def state():
    space = uniform_space(slots=2, widths=4, scale=2, branches=("id", "c3", "bq"))
    fresh = init_state(jax.random.key(0), space, CONFIG)
    return dataclasses.replace(fresh, ema=jax.tree.map(lambda x: x + 1.0, fresh.params))


def same(first, second):
    assert jax.tree.structure(first) == jax.tree.structure(second)
    jax.tree.map(np.testing.assert_array_equal, first, second)


def test_vectors_and_back(state):
    vectors, unravel = to_vectors(state)
    count = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    assert vectors.params.shape == vectors.ema.shape == (count,)
    same(to_pytrees(vectors, unravel), state)


def _cosine(share):
    return 0.01 + 0.99 * (1 + jnp.cos(jnp.pi * share)) / 2


def test_an_update_of_vectors_is_optax_s_of_the_pytree(state):
    """Clipped ones and others: gradients shrink from step to step."""
    tree = optax.chain(
        optax.clip_by_global_norm(0.5),
        optax.adamw(
            lambda step: 1e-2 * jnp.where(step < 2, step / 2, _cosine((step - 2) / 6)), weight_decay=0.1
        ),
    )
    expected, opt_state = state.params, tree.init(state.params)
    vectors, unravel = to_vectors(state)
    rng = np.random.default_rng(0)
    update = jax.jit(apply_gradients, static_argnums=2)
    update_tree = jax.jit(tree.update)
    for size in (1.0, 0.1, 1e-3, 1e-3):
        grads = jax.tree.map(lambda x, s=size: s * rng.normal(size=x.shape).astype("f"), expected)
        updates, opt_state = update_tree(grads, opt_state, expected)
        expected = optax.apply_updates(expected, updates)
        vectors = update(vectors, ravel_pytree(grads)[0], CONFIG)
    found = to_pytrees(vectors, unravel)
    assert int(found.step) == 4
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), found.params, expected)
    moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), found.params, state.params)
    assert min(jax.tree.leaves(moved)) > 1e-3


@pytest.mark.parametrize(("steps", "warmup"), [(50, 10), (50, 0), (10, 100), (1, 3)])
def test_the_learning_rate_warms_up_and_decays(steps, warmup):
    """A warm-up longer than half of the training is cut to that."""
    learning_rate = make_schedule(TrainConfig(steps=steps, chunk=1, warmup=warmup, learning_rate=3e-3))
    warm = min(warmup, steps // 2)
    for step in range(steps + 1):
        share = (step - warm) / (steps - warm)
        decayed = 0.01 + 0.99 * (1 + np.cos(np.pi * share)) / 2
        expected = 3e-3 * (step / warm if step < warm else decayed)
        np.testing.assert_allclose(learning_rate(step), expected, rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(learning_rate(warm), 3e-3, rtol=1e-5)
    np.testing.assert_allclose(learning_rate(steps), 3e-5, rtol=1e-3)
