"""A training step and a population on an accelerator against the same on the CPU."""

import dataclasses

import jax
import numpy as np
import pytest

from dysr_jax import parallel
from dysr_jax.config import load_config
from dysr_jax.data.examples import Pair
from dysr_jax.data.pool import build_pool
from dysr_jax.model.programs import make_supernet
from dysr_jax.model.space import sample_archs, uniform_space
from dysr_jax.model.supernet import init_params
from dysr_jax.search.evaluator import Evaluator
from dysr_jax.search.population import grid_patches
from dysr_jax.train.state import init_state
from dysr_jax.train.step import make_train_chunk

SPACE = uniform_space(slots=2, widths=(8, 16), scale=2)
"""Every registered branch in every slot, at two widths."""


@pytest.fixture(scope="module")
def pairs():
    """Two LR and HR images that are smooth and have edges."""
    grid = np.indices((96, 120)).sum(0)
    wave = np.stack([grid * k % 256 for k in (1, 2, 3)], 2).astype(np.uint8)
    return [Pair(str(n), x[::2, ::2], x) for n, x in enumerate([wave, 255 - wave[::-1]])]


@pytest.fixture(scope="module")
def params():
    """With noise, so that branches differ; on the host."""
    rng = np.random.default_rng(0)
    fresh = jax.device_get(init_params(jax.random.key(0), SPACE))
    return jax.tree.map(lambda x: x + 0.05 * rng.normal(size=x.shape).astype(x.dtype), fresh)


@pytest.mark.parametrize(
    ("dtype", "precision", "most_db"), [("float32", "highest", 2e-3), ("bfloat16", None, 0.1)]
)
def test_a_population_is_worth_what_the_cpu_says(params, pairs, host, dtype, precision, most_db):
    genes = np.asarray(sample_archs(jax.random.key(1), SPACE, (24,)))
    patches = grid_patches(pairs, 4, 24)

    def evaluated(mesh, dtype):
        evaluate = Evaluator(make_supernet(SPACE, dtype), patches, mesh)
        return evaluate(parallel.replicate(params, mesh), genes)

    with jax.default_matmul_precision(precision):
        found = evaluated(parallel.device_mesh(1), dtype)
    expected = evaluated(host.mesh, "float32")
    assert np.ptp(expected) > 1.0  # the candidates differ
    np.testing.assert_allclose(found, expected, atol=most_db)


TRAINED = uniform_space(slots=2, widths=(4, 8), scale=2, branches=("id", "s3", "c3", "r1"))


@pytest.mark.parametrize("archs", ["group", "patch"])
def test_training_steps_are_the_cpus(pairs, host, archs):
    recipe = load_config("quickstart").train
    config = dataclasses.replace(
        recipe, archs=archs, steps=4, chunk=2, batch=4, warmup=1, groups=1, random_archs=2
    )
    net, pool = make_supernet(TRAINED, "float32"), build_pool(pairs, patch=12)

    def trained(mesh):
        state = parallel.replicate(init_state(jax.random.key(0), TRAINED, config), mesh)
        data = parallel.replicate(jax.tree.map(np.asarray, pool), mesh)
        state, metrics = make_train_chunk(net, config, mesh)(state, data, jax.random.key(1))
        return jax.device_get((state.params, metrics))

    with jax.default_matmul_precision("highest"):
        params, metrics = trained(parallel.device_mesh(1))
    expected, expected_metrics = trained(host.mesh)
    np.testing.assert_allclose(metrics["loss"], expected_metrics["loss"], rtol=1e-4)
    np.testing.assert_allclose(metrics["gradient_norm"], expected_metrics["gradient_norm"], rtol=1e-3)
    # Adam divides by the gradient's size: tiny gradients may go another way, by two rates at most.
    most = 2 * config.learning_rate * config.chunk
    apart = [np.abs(a - b) for a, b in zip(*map(jax.tree.leaves, (params, expected)), strict=True)]
    assert max(leaf.max() for leaf in apart) <= most
    assert np.mean(np.concatenate([leaf.ravel() for leaf in apart])) < 0.02 * most
