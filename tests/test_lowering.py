"""What runs on an accelerator lowers for a TPU and for CUDA on a machine that has neither."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from dysr_jax import parallel
from dysr_jax.data.examples import Pair
from dysr_jax.data.pool import build_pool
from dysr_jax.model.programs import frame_program, make_supernet
from dysr_jax.model.space import largest_arch, uniform_space
from dysr_jax.model.supernet import arch_params, init_params
from dysr_jax.search import nsga2
from dysr_jax.search.population import Patches, population_program
from dysr_jax.search.schedule import Plan, make_schedule
from dysr_jax.train.config import TrainConfig
from dysr_jax.train.state import init_state
from dysr_jax.train.step import make_train_chunk

SPACE = uniform_space(slots=1, widths=8, scale=2)
NET = make_supernet(SPACE, "bfloat16")
PLATFORMS = ("tpu", "cuda", "cpu")
each_platform = pytest.mark.parametrize("platform", PLATFORMS)


def lowered(function, platform, *arguments):
    """The StableHLO module of a jitted function for a platform."""
    return export.export(jax.jit(function), platforms=[platform])(*arguments).mlir_module()


@pytest.fixture(scope="module")
def params():
    return init_params(jax.random.key(0), SPACE)


@pytest.fixture(scope="module")
def training():
    """A chunk and what it takes, for all platforms: traced once."""
    mesh, config = parallel.device_mesh(2), TrainConfig(steps=2, batch=2, chunk=2)
    state = parallel.replicate(init_state(jax.random.key(0), SPACE, config), mesh)
    hr = np.zeros((32, 32, 3), np.uint8)
    pool = parallel.replicate(build_pool([Pair("blank", hr[::2, ::2], hr)], 8), mesh)
    chunk = make_train_chunk(NET, config, mesh, costs=lambda archs: archs.sum(-1))
    return chunk, (state, pool, jax.random.key(1))


@each_platform
def test_the_training_step_on_two_devices(platform, training):
    chunk, given = training
    exported = export.export(chunk, platforms=[platform])(*given)
    assert exported.nr_devices == 2
    assert "all_reduce" in exported.mlir_module()
    assert exported.mlir_module().count("stablehlo.case") >= 2


@each_platform
def test_the_population_evaluator(platform, params):
    pixels = jnp.zeros((2, 8, 8, 3), jnp.uint8)
    patches = Patches(lr=pixels, hr=pixels.repeat(2, 1).repeat(2, 2), image=jnp.arange(2))
    plan = Plan(SPACE, 6, 2)
    schedule = make_schedule(plan, np.asarray([largest_arch(SPACE)], np.int32))
    module = lowered(population_program(NET, plan), platform, params, schedule, patches)
    assert "stablehlo.case" in module
    assert "stablehlo.while" in module


@each_platform
def test_a_static_program(platform, params):
    arch = largest_arch(SPACE)
    frames = jnp.zeros((1, 12, 16, 3), jnp.uint8)

    def program(read, frames):
        return frame_program(NET)(read, frames, arch)

    module = lowered(program, platform, arch_params(params, SPACE, arch), frames)
    assert "stablehlo.convolution" in module
    assert "stablehlo.case" not in module


@each_platform
def test_a_generation_of_nsga2(platform):
    operators = nsga2.Operators(SPACE)
    state = nsga2.init(jax.random.key(0), operators, 8, 3)

    def generation(state, objectives):
        genes, state = nsga2.ask(state, operators)
        return nsga2.tell(state, genes, objectives)

    assert "stablehlo.sort" in lowered(generation, platform, state, jnp.ones((8, 3)))
