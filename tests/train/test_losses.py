"""The losses of images against NumPy, and the loss of a step against the archs' own static programs."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dysr_jax.model.space import largest_arch, smallest_arch, uniform_space
from dysr_jax.model.supernet import Supernet
from dysr_jax.train.config import TrainConfig
from dysr_jax.train.losses import group_loss, l1_loss, passages_design
from dysr_jax.train.passages import draw_passages

# One program each: operations that are called one by one are compiled one by one.
loss_of_group = jax.jit(group_loss, static_argnames=("net", "config"))
drawn = jax.jit(draw_passages, static_argnums=1)

PATCHES = 16
SMALLS = 2
"""Patches of 16 that pass the smallest arch."""
DISTILLED = TrainConfig(distill=0.3, batch=PATCHES)
OWN = dataclasses.replace(DISTILLED, archs="patch")
PLAIN = dataclasses.replace(OWN, distill=0.0)
THIN = dataclasses.replace(PLAIN, sandwich_share=0.25)
MODES = {"group": DISTILLED, "patch": OWN}


@pytest.fixture(scope="module")
def space():
    return uniform_space(slots=1, widths=4, scale=2, branches=("id", "s3", "r1"), upsamplers=("u1",))


@pytest.fixture(scope="module")
def case(space, noisy_params):
    rng = np.random.default_rng(2)
    lr, hr = (rng.random((PATCHES, side, side, 3), np.float32) for side in (4, 8))
    return Supernet(space), noisy_params(space), lr, hr


@pytest.fixture(scope="module")
def archs(space):
    """Random ones: `[2, genes]` for a group, a draw for its patches."""
    own = np.asarray(drawn(jax.random.key(4), passages_design(space, OWN)))
    assert len(np.unique(own, axis=0)) == 3
    return {"group": jnp.asarray([(1, 0), (2, 0)], jnp.int32), "patch": own}


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


def passages(space, config, archs):
    """Of every passage its branch, its patch and its weight, the largest arch's first."""
    patches, small = np.arange(PATCHES), np.full(PATCHES, smallest_arch(space)[0])
    largest = np.full(int(PATCHES * config.sandwich_share), largest_arch(space)[0])
    if config.archs == "group":
        rows = [largest, small, *(np.full(PATCHES, index) for index in np.asarray(archs)[:, 0])]
        count = len(rows)
        return np.concatenate(rows), np.tile(patches, count), np.full(count * PATCHES, 1 / count / PATCHES)
    random = np.asarray(archs)[:, 0]
    after = (SMALLS + np.arange(len(random))) % PATCHES
    parts = [
        (largest, patches[: len(largest)], 1 / 2),
        (small[:SMALLS], patches[:SMALLS], 1 / 16),
        (random, after, 7 / 16),
    ]
    weights = [np.full(len(rows), weight / len(rows)) for rows, _, weight in parts]
    return *(np.concatenate([part[i] for part in parts]) for i in (0, 1)), np.concatenate(weights)


def padded(values):
    """As many for every mode, so that one program serves all."""
    return np.pad(np.asarray(values), (0, 64 - len(values)))


@pytest.fixture(scope="module")
def by_hand(case, outputs):
    """The weighted mean over the passages of all patches, from the static programs, and its gradient."""
    net, params, _, hr = case
    each, largest = jax.vmap(l1_loss), largest_arch(net.space)[0]

    @jax.jit
    @jax.value_and_grad
    def mean(params, distill, larges, branch, patch, weight):
        outs = outputs(params)
        teacher = jax.lax.stop_gradient(outs[largest])
        own = [(1 - distill) * each(o, hr) + distill * each(o, teacher) for o in outs]
        students = jnp.stack(own)[branch, patch]
        first = jnp.concatenate([each(outs[largest], hr), students[PATCHES:]])
        return jnp.sum(weight * jnp.where(jnp.arange(len(weight)) < larges, first, students))

    def of(config, own):
        larges = int(PATCHES * config.sandwich_share)
        return mean(params, config.distill, larges, *map(padded, passages(net.space, config, own)))

    return of


@pytest.fixture(scope="module")
def found(case, archs):
    """`(config) -> loss, metrics, gradient` of a step, each compiled once."""
    net, params, lr, hr = case
    run = jax.value_and_grad(group_loss, has_aux=True)

    @functools.cache
    def of(config):
        (loss, metrics), grads = jax.jit(lambda p: run(p, net, lr, hr, archs[config.archs], config))(params)
        return loss, metrics, grads

    return of


@pytest.mark.parametrize(
    "config", [DISTILLED, OWN, PLAIN, THIN], ids=["group", "patch", "not distilled", "few of the largest"]
)
def test_the_sandwich_is_the_mean_over_all_passages(config, case, archs, outputs, found, by_hand):
    outs = np.stack(outputs(case[1]))
    assert min(np_l1(outs[i], outs[j]) for i in range(3) for j in range(i)) > 0.01
    loss, _, grads = found(config)
    expected, gradient = by_hand(config, archs[config.archs])
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    for mine, theirs in zip(jax.tree.leaves(grads), jax.tree.leaves(gradient), strict=True):
        limit = 1e-4 * np.abs(np.asarray(theirs)).max()
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=limit)
        assert limit > 0


@pytest.mark.parametrize("mode", MODES)
def test_the_metrics_are_l1_of_each_kind(mode, case, archs, outputs, found):
    net, params, _, hr = case
    metrics = found(MODES[mode])[1]
    outs = np.stack(outputs(params))
    errors = np.abs(outs - hr).mean((2, 3, 4))  # [arch, patch]
    branch, patch, _ = passages(net.space, MODES[mode], archs[mode])
    smalls = PATCHES if mode == "group" else SMALLS
    each = np.split(errors[branch, patch], [PATCHES, PATCHES + smalls])
    assert {*metrics} == {"largest", "smallest", "random"}
    for name, values in zip(("largest", "smallest", "random"), each, strict=True):
        np.testing.assert_allclose(metrics[name], values.mean(), rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("mode", MODES)
def test_without_the_sandwich_only_random_archs_count(mode, case, archs, outputs):
    net, params, lr, hr = case
    config, own = dataclasses.replace(MODES[mode], sandwich=False), archs[mode]
    if mode == "patch":
        own = drawn(jax.random.key(5), passages_design(net.space, config))
    loss, metrics = loss_of_group(params, net, lr, hr, own, config)
    errors, branch = np.abs(np.stack(outputs(params)) - hr).mean((2, 3, 4)), np.asarray(own)[:, 0]
    each = errors[branch] if mode == "group" else errors[branch, np.arange(len(branch)) % PATCHES]
    np.testing.assert_allclose(loss, np.mean(each), rtol=1e-5)
    assert {*metrics} == {"random"}  # no other kind was trained
    np.testing.assert_allclose(metrics["random"], np.mean(each), rtol=1e-5)


@pytest.mark.parametrize("random_archs", [1, 2])
def test_a_single_patch_passes_its_random_archs_too(random_archs, case, outputs):
    """The largest and the smallest pass it once, and so many random archs of a draw on average."""
    net, params, lr, hr = case
    config = dataclasses.replace(OWN, distill=0.0, batch=1, random_archs=random_archs)
    own = np.asarray(drawn(jax.random.key(6), passages_design(net.space, config)))
    loss, _ = loss_of_group(params, net, lr[:1], hr[:1], own, config)
    errors = np.abs(np.stack(outputs(params))[:, 0] - hr[0]).mean((1, 2, 3))
    ends = errors[largest_arch(net.space)[0]] + errors[smallest_arch(net.space)[0]]
    random = random_archs * errors[own[:, 0]].mean()
    np.testing.assert_allclose(loss, (ends + random) / (2 + random_archs), rtol=1e-5)


@pytest.fixture(scope="module")
def towards_the_teacher(case, outputs):
    """The gradient of a share of the largest arch's own loss and of weighted passages towards a teacher."""
    net, params, _, hr = case
    largest = largest_arch(net.space)[0]

    @jax.jit
    @jax.grad
    def expected(params, teacher, share, branch, patch, weight):
        outs = jnp.stack(outputs(params))
        told = jax.vmap(l1_loss)(outs[branch, patch], teacher[patch])
        return l1_loss(outs[largest], hr) / share + jnp.sum(weight * told)

    teacher = outputs(params)[largest]
    return lambda share, *students: expected(params, teacher, share, *map(padded, students))


@pytest.mark.parametrize(("mode", "share"), [("group", 3), ("patch", 2)])
def test_the_teacher_is_not_trained_towards_its_students(mode, share, case, towards_the_teacher):
    """With distillation alone, what the largest arch reads has the gradient of its own loss and of its own
    part as a student.
    """
    net, params, lr, hr = case
    only = jnp.asarray([smallest_arch(net.space)], jnp.int32)
    config = dataclasses.replace(MODES[mode], distill=1.0)
    if mode == "patch":
        only = drawn(jax.random.key(4), passages_design(net.space, config))
    alone = towards_the_teacher(share, *(each[PATCHES:] for each in passages(net.space, config, only)))
    grads = jax.jit(jax.grad(lambda p: group_loss(p, net, lr, hr, only, config)[0]))(params)
    assert float(jnp.abs(grads["slot00"]["pair_in"]).max()) > 0
    np.testing.assert_allclose(grads["slot00"]["pair_in"], alone["slot00"]["pair_in"], rtol=1e-4, atol=1e-7)
