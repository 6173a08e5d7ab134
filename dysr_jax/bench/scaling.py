"""How the training step and the evaluation of candidates scale over the devices of this machine."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dysr_jax import parallel
from dysr_jax.bench.setup import Setup, describe_space, make_setup
from dysr_jax.config import RunConfig
from dysr_jax.data import Pool, build_pool
from dysr_jax.device import device_name
from dysr_jax.errors import InputError
from dysr_jax.model import init_params, largest_arch, sample_archs, smallest_arch
from dysr_jax.search import Evaluator, branch_ms, computed_share, device_table, grid_patches
from dysr_jax.timing import median_ms
from dysr_jax.train import TrainConfig, draw_archs, init_state, make_train_chunk


def _training(
    setup: Setup, recipe: TrainConfig, pool: Pool, devices: int, costs: np.ndarray
) -> Callable[[], object]:
    """A call that trains one chunk, a group a device."""
    mesh = parallel.device_mesh(devices)
    state = parallel.replicate(init_state(jax.random.key(0), setup.net.space, recipe), mesh)
    chunk = make_train_chunk(setup.net, recipe, mesh, costs)
    pool, key = parallel.replicate(pool, mesh), jax.random.key(1)
    held = [state]

    def call() -> object:
        held[0], metrics = chunk(held[0], pool, key)
        return metrics

    return call


def _population(setup: Setup, config: RunConfig, devices: int) -> np.ndarray:
    """Random archs, as many a device whatever their number: int32 `[N, slots]`."""
    shape = (devices * config.search.population,)
    return np.asarray(sample_archs(jax.random.key(1), setup.net.space, shape))


def _evaluation(setup: Setup, config: RunConfig, devices: int, costs: np.ndarray) -> Callable[[], object]:
    """A call that evaluates a population."""
    space, search = setup.net.space, config.search
    mesh = parallel.device_mesh(devices)
    params = parallel.replicate(init_params(jax.random.key(0), space), mesh)
    patches = grid_patches(setup.validation, search.patches, search.patch)
    genes = _population(setup, config, devices)
    evaluate = Evaluator(setup.net, patches, mesh, costs=costs)
    evaluate.prepare(params, genes)
    return functools.partial(evaluate, params, genes)


def _arch_wait(setup: Setup, recipe: TrainConfig, groups: int, costs: np.ndarray) -> float:
    """Part of a step that waits for the group whose archs are slowest, going by a latency table.

    The largest and the smallest arch take the same time in every group; 1,000 steps are drawn. Where each
    patch has its own arch, all groups take the same time.
    """
    if recipe.archs == "patch":
        return 0.0
    space, count = setup.net.space, recipe.random_archs
    keys = jax.random.split(jax.random.key(2), 1000)
    drawn = jax.vmap(lambda key: draw_archs(key, space, groups, count, costs, recipe.sampling))(keys)
    slots = np.arange(len(space.slots))
    both = costs[slots, largest_arch(space)].sum() + costs[slots, smallest_arch(space)].sum()
    work = both + costs[slots, np.asarray(drawn)].sum((-1, -2))
    most = work.max(1)  # 0 where a table tells nothing of so little work
    return float(1.0 - np.mean(np.divide(work.mean(1), most, out=np.ones_like(most), where=most > 0)))


def _device_counts(devices: int) -> list[int]:
    """1, 2, 4, ... and all."""
    available = devices or len(jax.devices())
    return sorted({2**i for i in range(available.bit_length()) if 2**i <= available} | {available})


def bench_scaling(config: RunConfig, *, steps: int = 20, rounds: int = 5) -> dict[str, Any]:
    """Training steps and candidates a second on 1, 2, 4, ... and all devices, in turn.

    Work grows with the devices: a group of archs and patches a device at a step, a population a device in
    a dispatch. Efficiency is the work a second on n devices over n times that on one; a larger population
    shares more (`computed`), and what is shared does not count as work done. `arch_wait` is the part of a
    step in which devices wait for the one whose archs are slowest, going by the latency table.

    Args:
        config: space, recipe, patches and precision; `devices` is the largest number.
        steps: training steps in a dispatch.
        rounds: timed rounds; medians count.

    Raises:
        InputError: `steps` under 1, or fewer devices than `config.devices`.
    """
    if steps < 1:
        raise InputError(f"steps {steps}: allowed is 1 or more")
    counts = _device_counts(parallel.device_mesh(config.devices).devices.size)
    setup = make_setup(dataclasses.replace(config, devices=1), rounds)
    recipe = dataclasses.replace(config.train, groups=0, chunk=steps, steps=steps)
    pool = build_pool(setup.training, config.data.patch)
    params = init_params(jax.random.key(0), setup.net.space)
    table, _ = device_table(setup.net, params, config.search.frame, config.search.rounds)
    costs = branch_ms(table, setup.net.space)
    calls: dict[str, Callable[[], object]] = {}
    for count in counts:
        calls[f"step {count}"] = _training(setup, recipe, pool, count, costs)
        calls[f"candidates {count}"] = _evaluation(setup, config, count, costs)
    measured = median_ms(calls, rounds)
    computed = {count: computed_share(setup.net.space, _population(setup, config, count)) for count in counts}
    rows = []
    for count in counts:
        step, population = measured[f"step {count}"] / steps, measured[f"candidates {count}"]
        rows.append(
            {
                "devices": count,
                "step_ms": step,
                "groups_per_second": count / step * 1e3,
                "step_efficiency": measured["step 1"] / steps / step,
                "arch_wait": _arch_wait(setup, recipe, count, costs),
                "candidates_per_second": count * config.search.population / population * 1e3,
                "computed": computed[count],
                "candidate_efficiency": measured["candidates 1"] / population * computed[count] / computed[1],
            }
        )
    return {
        "device": device_name(),
        "space": describe_space(setup.net),
        "batch": f"{recipe.batch} patches of {config.data.patch}x{config.data.patch} a device",
        "population": f"{config.search.population} a device",
        "dtype": jnp.dtype(setup.net.dtype).name,
        "scaling": rows,
    }
