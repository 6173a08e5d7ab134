"""The losses of images against NumPy, and the loss of a step against the archs' own static programs."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dysr_jax.model.space import largest_arch, sample_archs, smallest_arch, uniform_space
from dysr_jax.model.supernet import Supernet
from dysr_jax.train.config import TrainConfig
from dysr_jax.train.losses import _students, group_loss, l1_loss

# One program each: operations that are called one by one are compiled one by one.
loss_of_group = jax.jit(group_loss, static_argnames=("net", "config"))

PATCHES, PASSAGES = 16, 2
SMALLS = 2
"""Patches of 16 that pass the smallest arch."""
DISTILLED = TrainConfig(distill=0.3)


@pytest.fixture(scope="module")
def space():
    return uniform_space(slots=1, widths=4, scale=2, branches=("id", "s3", "r1"), upsamplers=("u1",))


@pytest.fixture(scope="module")
def case(space, noisy_params):
    lr = jax.random.uniform(jax.random.key(2), (PATCHES, 4, 4, 3))
    hr = jax.random.uniform(jax.random.key(3), (PATCHES, 8, 8, 3))
    return Supernet(space), noisy_params(space), lr, hr


@pytest.fixture(scope="module")
def archs(space):
    """Random ones: `[2, slots]` for a group, `[2, B, slots]` for its patches."""
    found = {
        "group": jnp.asarray([(1, 0), (2, 0)], jnp.int32),
        "patch": sample_archs(jax.random.key(4), space, (PASSAGES, PATCHES)),
    }
    assert len(np.unique(found["patch"], axis=1)) > 1
    return found


@pytest.fixture(scope="module")
def outputs(case):
    """The static programs: `(params) -> [3, B, ...]`, the archs in the order of their branches."""
    net, _, lr, _ = case
    return jax.jit(lambda params: [net.apply({"params": params}, lr, (i, 0)) for i in range(3)])


# --- images against images --------------------------------------------------------------------------

OUTPUT, TARGET = np.random.default_rng(0).normal(size=(2, 3, 6, 5, 3)).astype(np.float32)


def np_l1(a, b):
    return np.mean(np.abs(np.asarray(a, np.float64) - b))


def test_l1_is_numpy_s():
    np.testing.assert_allclose(l1_loss(OUTPUT, TARGET), np_l1(OUTPUT, TARGET), rtol=1e-5)
    assert np_l1(OUTPUT, TARGET) > 0.1


# --- the archs of a step ----------------------------------------------------------------------------


def passages(space, archs):
    """Branch indices `[passage, patch]` of the students of a step in either mode."""
    small = smallest_arch(space)[0]
    if archs.ndim == 2:
        rows = [np.full(PATCHES, index) for index in (small, *np.asarray(archs)[:, 0])]
        return np.stack(rows)
    rows = np.array(archs[..., 0])
    rows[0, :SMALLS] = small
    return rows


def by_hand(config, case, archs, outputs):
    """The mean over the passages of all patches, from the static programs: `(params) -> loss`."""
    net, _, _, hr = case
    students = passages(net.space, archs)
    each = jax.vmap(l1_loss)

    def mean(params):
        outs = outputs(params)
        first = outs[largest_arch(net.space)[0]]
        teacher = jax.lax.stop_gradient(first)
        own = [(1 - config.distill) * each(o, hr) + config.distill * each(o, teacher) for o in outs]
        losses = jnp.take_along_axis(jnp.stack(own), students, 0)
        return jnp.mean(jnp.concatenate([each(first, hr)[None], losses]))

    return mean


@pytest.mark.parametrize(
    ("mode", "config"),
    [("group", DISTILLED), ("patch", DISTILLED), ("patch", TrainConfig(distill=0.0))],
    ids=["group", "patch", "not distilled"],
)
def test_the_sandwich_is_the_mean_over_all_passages(mode, config, case, archs, outputs):
    net, params, lr, hr = case
    outs = np.stack(outputs(params))
    assert min(np_l1(outs[i], outs[j]) for i in range(3) for j in range(i)) > 0.01
    run = jax.value_and_grad(group_loss, has_aux=True)
    (loss, _), grads = jax.jit(lambda p: run(p, net, lr, hr, archs[mode], config))(params)
    expected, gradient = jax.jit(jax.value_and_grad(by_hand(config, case, archs[mode], outputs)))(params)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    for mine, theirs in zip(jax.tree.leaves(grads), jax.tree.leaves(gradient), strict=True):
        limit = 1e-4 * float(jnp.abs(theirs).max())
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=limit)
        assert limit > 0


@pytest.mark.parametrize("mode", ["group", "patch"])
def test_the_metrics_are_l1_of_each_kind(mode, case, archs, outputs):
    net, params, lr, hr = case
    _, metrics = loss_of_group(params, net, lr, hr, archs[mode], DISTILLED)
    outs = np.stack(outputs(params))
    errors = np.abs(outs - hr).mean((2, 3, 4))  # [arch, patch]
    students = passages(net.space, archs[mode])
    drawn = np.ones(students.shape, bool)
    drawn[0, : PATCHES if mode == "group" else SMALLS] = False
    small = errors[smallest_arch(net.space)[0]]
    expected = {
        "largest": errors[largest_arch(net.space)[0]].mean(),
        "smallest": small.mean() if mode == "group" else small[:SMALLS].mean(),
        "random": np.take_along_axis(errors, students, 0)[drawn].mean(),
    }
    assert {*metrics} == {*expected}
    for name, value in expected.items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("mode", ["group", "patch"])
def test_without_the_sandwich_only_random_archs_count(mode, case, archs, outputs):
    net, params, lr, hr = case
    config = dataclasses.replace(DISTILLED, sandwich=False)
    loss, metrics = loss_of_group(params, net, lr, hr, archs[mode], config)
    errors = np.abs(np.stack(outputs(params)) - hr).mean((2, 3, 4))
    rows = np.broadcast_to(archs[mode][..., 0].reshape(PASSAGES, -1), (PASSAGES, PATCHES))
    expected = np.mean([errors[row, np.arange(PATCHES)] for row in rows])
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    assert {*metrics} == {"random"}  # no other kind was trained
    np.testing.assert_allclose(metrics["random"], expected, rtol=1e-5)


@pytest.mark.parametrize("count", [1, 2])
def test_a_single_patch_passes_its_random_archs_too(count, case, archs):
    """There both ways are the same sandwich: the largest, the smallest and every random arch once."""
    net, params, lr, hr = case
    own = archs["group"][:count]
    grads = []
    for drawn in (own, own[:, None]):
        run = jax.value_and_grad(group_loss, has_aux=True)
        found, grad = run(params, net, lr[:1], hr[:1], drawn, DISTILLED)
        grads.append((found, grad))
    assert float(jnp.abs(grads[0][1]["slot00"]["depthwise"]).max()) > 0  # only a random one reads it
    for group, patch in zip(*map(jax.tree.leaves, grads), strict=True):
        limit = 1e-5 * float(jnp.abs(group).max())
        np.testing.assert_allclose(patch, group, rtol=1e-5, atol=limit)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("batch", [1, 2, 3, 7, 8, 16, 24])
def test_random_archs_pass_at_least_as_often_as_the_smallest(space, batch, count):
    """Whatever the recipe: over many steps every arch of the space is trained as a random one."""
    rng = np.random.default_rng(batch)
    branches = [rng.integers(0, 3, (count, batch, 1), np.int32) for _ in range(40)]
    drawn = [np.concatenate([branch, np.zeros_like(branch)], 2) for branch in branches]
    passed = [_students(space, one) for one in drawn]
    given = passed[0][1]
    assert given.sum() == max(1, batch // 8) <= (~given).sum()
    assert {tuple(arch) for archs, _ in passed for arch in np.asarray(archs)[~given]} == {
        (i, 0) for i in range(3)
    }
    for (archs, _), one in zip(passed, drawn, strict=True):
        np.testing.assert_array_equal(np.asarray(archs)[given], [smallest_arch(space)] * given.sum())
        kept = one[given[-count:] == 0] if batch > 1 else one.reshape(-1, 2)
        np.testing.assert_array_equal(np.asarray(archs)[~given], kept)


@pytest.mark.parametrize(("mode", "share"), [("group", 3), ("patch", 2)])
def test_the_teacher_is_not_trained_towards_its_students(mode, share, case):
    """With distillation alone, what only the largest arch reads has the gradient of its own loss."""
    net, params, lr, hr = case
    only = jnp.asarray([smallest_arch(net.space)], jnp.int32)
    if mode == "patch":
        only = jnp.broadcast_to(only, (1, PATCHES, 2))
    config = TrainConfig(distill=1.0)

    def own(params):
        return l1_loss(net.apply({"params": params}, lr, largest_arch(net.space)), hr)

    grads = jax.jit(jax.grad(lambda p: group_loss(p, net, lr, hr, only, config)[0]))(params)
    alone = jax.jit(jax.grad(own))(params)
    mine = grads["slot00"]["pair_in"]
    assert float(jnp.abs(mine).max()) > 0
    np.testing.assert_allclose(mine, alone["slot00"]["pair_in"] / share, rtol=1e-4, atol=1e-8)
