"""The training step on several devices, and what a chunk does to the state."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dysr_jax import parallel
from dysr_jax.data.examples import Pair
from dysr_jax.data.pool import build_pool
from dysr_jax.model.space import uniform_space
from dysr_jax.model.supernet import Supernet
from dysr_jax.train.config import TrainConfig
from dysr_jax.train.state import apply_gradients, init_state, to_vectors
from dysr_jax.train.step import draw_archs, draw_groups, make_train_chunk

CONFIG = TrainConfig(steps=24, batch=2, groups=4, chunk=3, warmup=1, learning_rate=1e-2)


@pytest.fixture(scope="module")
def space():
    return uniform_space(slots=1, widths=4, scale=2, branches=("id", "s3", "c3"), upsamplers=("u1",))


@pytest.fixture(scope="module")
def pool():
    rng = np.random.default_rng(0)
    hr = [rng.integers(0, 256, (40, 48, 3), np.uint8) for _ in range(3)]
    return build_pool([Pair(str(i), x[::2, ::2], x) for i, x in enumerate(hr)], patch=8)


BY_PATCH = dataclasses.replace(CONFIG, archs="patch", sampling="nested")
VARIED = dataclasses.replace(BY_PATCH, channel_shuffle=True, color_jitter=0.5)
"""Every patch with an arch of its own, and all that is done to patches."""


@functools.cache
def fresh_state(space, config):
    return jax.device_get(init_state(jax.random.key(0), space, config))  # a chunk takes what it is given


@functools.cache
def train_chunk(space, config, devices):
    return make_train_chunk(Supernet(space), config, parallel.device_mesh(devices))


def run_chunk(space, pool, config, devices):
    mesh = parallel.device_mesh(devices)
    state, pool = parallel.replicate((fresh_state(space, config), pool), mesh)
    return train_chunk(space, config, devices)(state, pool, jax.random.key(1))


def drawn(key, pool, net, config, numbers, costs=None):
    """What groups with these numbers, of four, are given; in one program, which compiles faster."""
    draw = jax.jit(lambda key, pool: draw_groups(key, pool, net, config, numbers, groups=4, costs=costs))
    return draw(key, pool)


DRAWN = uniform_space(slots=2, widths=4, scale=2, branches=("id", "s3", "c3", "a1"))


@functools.cache
def of_all_groups(pool, config, costs=None):
    return drawn(jax.random.key(1), pool, Supernet(DRAWN), config, jnp.arange(4), costs)


@pytest.fixture(scope="module")
def one_device(space, pool):
    return run_chunk(space, pool, CONFIG, 1)


@pytest.fixture(scope="module")
def one_device_by_patch(space, pool):
    return run_chunk(space, pool, BY_PATCH, 1)


@pytest.mark.parametrize(("config", "shape"), [(CONFIG, (1, 3)), (VARIED, (12, 3))])
def test_groups_differ_in_archs_and_patches(pool, config, shape):
    """What makes the next test one: every device trains something else."""
    (lr, _), archs = of_all_groups(pool, config)
    assert archs.shape == (4, *shape)
    assert len({arch.tobytes() for arch in np.asarray(archs)}) > 1
    assert len({patch.tobytes() for patch in np.asarray(lr)}) == 4


@pytest.mark.parametrize("mode", ["group", "patch"])
def test_n_devices_make_the_step_of_one(space, pool, mode, request):
    name = "one_device" if mode == "group" else "one_device_by_patch"
    expected, expected_metrics = request.getfixturevalue(name)
    state, metrics = run_chunk(space, pool, CONFIG if mode == "group" else BY_PATCH, 4)
    # Adam divides by the gradient's size, so sums in another order show where gradients are tiny.
    for mine, theirs in zip(jax.tree.leaves(state), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=2e-5)
    for name, values in metrics.items():
        np.testing.assert_allclose(values, expected_metrics[name], rtol=1e-4, err_msg=name)


def test_a_chunk_moves_every_kernel_and_counts_steps(space, one_device):
    before = fresh_state(space, CONFIG)
    after, metrics = one_device
    assert int(after.step) == CONFIG.chunk
    assert metrics["loss"].shape == (CONFIG.chunk,)
    for path, leaf in jax.tree_util.tree_leaves_with_path(after.params):
        old = before.params
        for key in path:
            old = old[key.key]
        assert np.abs(np.asarray(leaf) - old).max() > 0, jax.tree_util.keystr(path)


def test_the_same_key_gives_the_same_bits(space, pool, one_device):
    again = run_chunk(space, pool, CONFIG, 1)
    for mine, theirs in zip(jax.tree.leaves(again), jax.tree.leaves(one_device), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_the_moving_average_is_of_the_weights(space):
    """Three updates by hand: decays 1/10, 2/11 and 3/12 until the configured one is reached."""
    state, _ = to_vectors(fresh_state(space, CONFIG))
    expected, grads = state.params, jnp.ones_like(state.params)
    update = jax.jit(apply_gradients, static_argnums=2)
    for step in range(3):
        state = update(state, grads, CONFIG)
        decay = (1 + step) / (10 + step)
        expected = decay * expected + (1 - decay) * state.params
    np.testing.assert_allclose(state.ema, expected, rtol=1e-4, atol=1e-7)
    assert float(jnp.abs(expected - state.params).max()) > 0


def test_training_lowers_the_loss(space, pool):
    dark = pool.replace(lr=pool.lr // 8)  # there is something to learn
    state, dark = parallel.replicate((fresh_state(space, CONFIG), dark), parallel.device_mesh(1))
    losses = []
    for _ in range(CONFIG.steps // CONFIG.chunk):
        state, metrics = train_chunk(space, CONFIG, 1)(state, dark, jax.random.key(1))
        losses.append(metrics["loss"])
    loss = np.concatenate(losses)
    assert loss[-5:].mean() < loss[:5].mean()


SPREAD = uniform_space(slots=6, widths=4, scale=2, branches=("id", "s3", "c3", "a1"), upsamplers=("u1",))
COSTS = np.array([[0.0, 1.0, 3.0, 10.0]] * 6 + [[0.0] * 4])


def cost_of(archs):
    return jnp.asarray(COSTS)[jnp.arange(7), archs].sum(-1)


def archs_of_300_steps(costs):
    keys = jax.random.split(jax.random.key(7), 300)
    return np.asarray(jax.jit(jax.vmap(lambda key: draw_archs(key, SPREAD, 4, 2, costs)))(keys))


@pytest.fixture(scope="module")
def stratified():
    """Archs of 300 steps of 4 groups, `[300, 4, 2, slots]`."""
    return archs_of_300_steps(cost_of)


def test_archs_of_a_step_cost_alike(stratified):
    def spread(archs):
        cost = COSTS[np.arange(7), archs].sum(-1)
        return np.mean(cost.max(1) - cost.min(1))

    assert spread(stratified) < 0.25 * spread(archs_of_300_steps(None))


def test_stratified_archs_are_uniform_over_the_space(stratified):
    for slot in range(6):
        share = np.bincount(stratified[..., slot].ravel(), minlength=4) / stratified[..., 0].size
        np.testing.assert_allclose(share, 0.25, atol=0.04)  # 2,400 draws: four standard errors
    cost = COSTS[np.arange(7), stratified].sum(-1)
    exact = 6 * COSTS[0].std()  # of the sum of independent slots, times sqrt(6)
    np.testing.assert_allclose(cost.std(), exact / np.sqrt(6), rtol=0.1)


def gene_sum(archs):
    return archs.sum(-1)


@pytest.mark.parametrize(("config", "costs"), [(CONFIG, gene_sum), (VARIED, None)], ids=["group", "patch"])
def test_a_group_s_draw_does_not_depend_on_who_trains_it(pool, config, costs):
    whole = of_all_groups(pool, config, costs)
    part = drawn(jax.random.key(1), pool, Supernet(DRAWN), config, jnp.arange(2, 4), costs)
    np.testing.assert_array_equal(whole[1][2:], part[1])
    for mine, theirs in zip(whole[0], part[0], strict=True):  # color jitter: sums of other fusions
        np.testing.assert_allclose(mine[2:], theirs, rtol=0, atol=1e-6)


def test_channels_are_shuffled_whatever_the_symmetry(space):
    """Of one crop, over many keys: neither tells anything of the other."""
    side = np.arange(16)
    place = (64 * (side[:, None] >= 8) + 128 * (side >= 8)).astype(np.uint8)  # two of eight turns
    hr = place[..., None] + np.arange(0, 60, 20, dtype=np.uint8)
    one = build_pool([Pair("one", hr[::2, ::2], hr)], patch=8)
    config = dataclasses.replace(CONFIG, channel_shuffle=True, groups=1)
    keys = jax.random.split(jax.random.key(5), 600)

    @jax.jit
    @jax.vmap
    def corner(key):
        (lr, _), _ = draw_groups(key, one, Supernet(space), config, jnp.arange(1), groups=1)
        return lr[0, :, 0, 0]

    corners = np.asarray(corner(keys) * 255).round().astype(int)  # [key, patch, colour]
    order, turned = corners % 64 // 20, corners[..., 0] >= 128
    for patch in range(2):
        codes = order[:, patch] @ [9, 3, 1]
        assert len(np.unique(codes)) == 6
        for code in np.unique(codes):
            assert abs(turned[codes == code, patch].mean() - 0.5) < 0.25  # five standard errors
