"""The sandwich loss: what is trained, towards what."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dysr_jax.model.supernet import Supernet, init_params
from dysr_jax.space import largest, sample, smallest, uniform
from dysr_jax.train.losses import distilled_l1, l1, sandwich


def noisy_params(space):
    """Weights under which every arch gives another output (fresh ones give none at the end)."""
    params = init_params(jax.random.key(0), space)
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    noisy = [x + 0.1 * jax.random.normal(k, x.shape) for x, k in zip(leaves, keys, strict=True)]
    return jax.tree.unflatten(tree, noisy)


@pytest.fixture(scope="module")
def space():
    return uniform(slots=1, width=4, scale=2, branches=("id", "s3", "r1"), upsamplers=("u1",))


@pytest.fixture(scope="module")
def case(space):
    net = Supernet(space)
    lr = jax.random.uniform(jax.random.key(2), (2, 6, 6, 3))
    hr = jax.random.uniform(jax.random.key(3), (2, 12, 12, 3))
    archs = sample(jax.random.key(4), space, (2,))
    return net, noisy_params(space), lr, hr, archs


def test_distilled_l1_mixes_both_targets():
    output, target, teacher = jnp.zeros(4), jnp.ones(4), jnp.full(4, 3.0)
    assert float(distilled_l1(output, target, teacher, 0.0)) == 1.0
    assert float(distilled_l1(output, target, teacher, 1.0)) == 3.0
    assert float(distilled_l1(output, target, teacher, 0.25)) == 1.5


def test_sandwich_is_the_mean_over_largest_smallest_and_random_archs(case):
    net, params, lr, hr, archs = case

    def out(arch):
        return net.apply({"params": params}, lr, arch)

    teacher = out(largest(net.space))
    students = [out(smallest(net.space)), *(out(arch) for arch in archs)]
    expected = [l1(teacher, hr), *(distilled_l1(s, hr, teacher, 0.3) for s in students)]
    loss, metrics = sandwich(params, net, lr, hr, archs, 0.3)
    np.testing.assert_allclose(loss, np.mean(expected), rtol=1e-5)
    np.testing.assert_allclose(metrics["largest"], l1(teacher, hr), rtol=1e-5)
    np.testing.assert_allclose(metrics["smallest"], l1(students[0], hr), rtol=1e-5)
    random = np.mean([float(l1(s, hr)) for s in students[1:]])
    np.testing.assert_allclose(metrics["random"], random, rtol=1e-5)


def test_the_teacher_is_not_trained_towards_its_students(case):
    """With distillation alone, what only the largest arch reads has the gradient of its own loss."""
    net, params, lr, hr, _ = case
    archs = jnp.asarray([smallest(net.space)], jnp.int32)
    grads = jax.grad(lambda p: sandwich(p, net, lr, hr, archs, 1.0)[0])(params)
    alone = jax.grad(lambda p: l1(net.apply({"params": p}, lr, largest(net.space)), hr))(params)
    mine = grads["slot00"]["pair_in"]
    assert float(jnp.abs(mine).max()) > 0
    np.testing.assert_allclose(mine, alone["slot00"]["pair_in"] / 3, rtol=1e-4, atol=1e-8)
