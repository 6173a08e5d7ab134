"""Initial parameters: every kernel has some, spread as variance scaling says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dysr_jax.model.space import SearchSpace
from dysr_jax.model.supernet import Supernet, init_params, slot_name, stored_kernels

LR = np.random.default_rng(0).random((2, 6, 5, 3), np.float32)


def random_params(space, seed=0):
    """Every weight random: fresh ones have zero biases and an upsampler that is almost silent."""
    shapes = jax.eval_shape(lambda key: init_params(key, space), jax.random.key(0))
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda s: 0.3 * rng.normal(size=s.shape).astype(np.float32), shapes)


@pytest.fixture(scope="module")
def params(full_space):
    params = random_params(full_space)
    for slot in ("slot00", "slot01"):
        # A gate of width 4 has one hidden unit: below zero it would be deaf to its input.
        params[slot]["gate_in_bias"][:] = 2
    return params


def test_every_kernel_is_initialised_whatever_the_first_arch(full_space):
    init = jax.jit(Supernet(full_space).init, static_argnums=2)
    key, other_key = jax.random.split(jax.random.key(0))
    # `init_params` initialises with the first branch of each slot, identity in the body.
    params, same = init_params(key, full_space), init(key, LR, (8, 7, 1))["params"]
    assert jax.tree.structure(params) == jax.tree.structure(same)
    jax.tree.map(np.testing.assert_array_equal, params, same)
    assert set(params) == {"head", "slot00", "slot01", "upsampler"}
    for slot in range(3):
        kernels = params[slot_name(full_space, slot)]
        specs = stored_kernels(full_space, slot)
        assert set(kernels) == set(specs)
        for name, spec in specs.items():
            assert kernels[name].shape == spec.shape
            assert kernels[name].dtype == jnp.float32
            assert (np.var(kernels[name]) > 0) == (spec.gain > 0), name
    # Neither another slot of the same branches nor another key starts with the same weights.
    one = params["slot00"]["conv"]
    for another in (params["slot01"], init(other_key, LR, (8, 7, 1))["params"]["slot00"]):
        assert np.abs(one - another["conv"]).max() > 0.01


def test_initial_weights_have_the_spread_of_variance_scaling():
    """He et al. 2015 by hand: variance times fan-in is the gain."""
    space = SearchSpace((("s5", "c3", "r2", "a1", "bh"),), ("u2",), widths=32, scale=2)
    params = init_params(jax.random.key(0), space)
    body, upsampler = params["slot00"], params["upsampler"]
    for kernel, fan_in, gain in [
        (params["head"]["kernel"], 27, 1),
        (body["depthwise"], 25, 1),
        (body["pointwise"], 32, 0.1),
        (body["conv"], 9 * 32, 0.1),
        (body["pair_in"], 9 * 32, 2),
        (body["pair_out"], 9 * 64, 0.1),
        (body["shrink"], 32, 2),
        (body["map"], 9 * 16, 2),
        (body["expand"], 16, 0.1),
        (body["gate_in"], 32, 2),
        (body["gate_out"], 8, 1),
        (upsampler["hidden0"], 9 * 32, 2),
        (upsampler["subpixel"], 9 * 32, 1e-4),
    ]:
        # The relative error of a variance is at most sqrt(2 / size); here five of them.
        np.testing.assert_allclose(np.mean(kernel**2) * fan_in, gain, rtol=5 * np.sqrt(2 / kernel.size))
