"""How the training step and the evaluation of candidates scale over the devices of this machine."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from dysr_jax import parallel
from dysr_jax.bench.setup import BenchResult, Setup, chunk_trainer, describe, make_setup
from dysr_jax.config import RunConfig
from dysr_jax.data import CropPool, build_pool
from dysr_jax.fields import require
from dysr_jax.model import init_params, largest_arch, sample_archs, smallest_arch
from dysr_jax.search import Evaluator, branch_ms, computed_share, device_table, grid_patches, predict
from dysr_jax.timing import median_ms
from dysr_jax.train import Costs, TrainConfig, draw_archs

WAIT_STEPS = 1000  # steps that are drawn for `arch_wait`


@dataclasses.dataclass(frozen=True)
class ScalingRow:
    """Rates on some devices."""

    devices: int
    step_ms: float
    groups_per_second: float
    step_efficiency: float  # work per second over that of one device times their number
    arch_wait: float  # share of a step in which devices wait for the slowest group, by the latency table
    candidates_per_second: float
    computed: float  # share of the branches' work; the rest is shared between candidates
    candidate_efficiency: float  # without what a larger population shares


@dataclasses.dataclass(frozen=True)
class ScalingResult(BenchResult):
    """What `bench_scaling` found."""

    device: str
    space: str
    batch: str
    population: str
    dtype: str
    scaling: tuple[ScalingRow, ...]


def _training(
    setup: Setup, recipe: TrainConfig, pool: CropPool, devices: int, costs: Costs
) -> Callable[[], object]:
    mesh = parallel.device_mesh(devices)
    train = chunk_trainer(setup.net, recipe, mesh, costs=costs)
    return functools.partial(train, parallel.replicate(pool, mesh))


def _population(setup: Setup, config: RunConfig, devices: int) -> np.ndarray:
    """Random archs, as many per device whatever their number: int32 `[N, genes]`."""
    count = devices * config.search.population
    return np.asarray(sample_archs(jax.random.key(1), setup.net.space, (count,)))


def _evaluation(
    setup: Setup, config: RunConfig, devices: int, costs: Callable[[int], np.ndarray]
) -> Callable[[], object]:
    search, mesh = config.search, parallel.device_mesh(devices)
    params = parallel.replicate(init_params(jax.random.key(0), setup.net.space), mesh)
    patches = grid_patches(setup.validation, search.patches, search.patch)
    genes = _population(setup, config, devices)
    evaluate = Evaluator(setup.net, patches, mesh, costs=costs)
    evaluate.prepare(params, genes)
    return functools.partial(evaluate, params, genes)


def _arch_wait(setup: Setup, recipe: TrainConfig, groups: int, costs: Costs) -> float:
    """See `ScalingRow.arch_wait`. All groups take the same time where each patch has its own arch."""
    if recipe.archs == "patch":
        return 0.0
    space, count = setup.net.space, recipe.random_archs
    keys = jax.random.split(jax.random.key(2), WAIT_STEPS)
    drawn = jax.vmap(lambda key: draw_archs(key, space, groups, count, costs, recipe.sampling))(keys)
    ends = costs(jnp.array([largest_arch(space), smallest_arch(space)]))
    work = np.asarray(ends.sum() + costs(drawn).sum(-1))
    most = work.max(1)  # 0 where a table tells nothing of so little work
    return float(1.0 - np.mean(np.divide(work.mean(1), most, out=np.ones_like(most), where=most > 0)))


def bench_scaling(config: RunConfig, *, steps: int = 20, rounds: int = 5) -> ScalingResult:
    """Training steps and candidates per second on 1, 2, 4, ... and all devices, in turn.

    Work grows with the devices: a group of archs and patches per device in a step, a population per device in
    a dispatch. Efficiency is the work per second on n devices over n times that on one; a larger population
    shares more, and what is shared does not count as work done. `config.devices` is the largest number,
    `steps` are training steps per dispatch.

    Raises InputError: `steps` or `rounds` under 1, or fewer devices than `config.devices`.
    """
    require(steps >= 1, "steps", steps, "at least 1")
    available = parallel.device_mesh(config.devices).devices.size
    counts = sorted({2**i for i in range(available.bit_length()) if 2**i <= available} | {available})
    setup = make_setup(dataclasses.replace(config, devices=1), rounds)
    space, pool = setup.net.space, build_pool(setup.training, config.data.patch)
    recipe = dataclasses.replace(config.train, groups=None, chunk=steps, steps=steps)
    params = init_params(jax.random.key(0), space)
    table, _ = device_table(setup.net, params, config.search.frame, config.search.rounds)
    costs = functools.partial(predict, table, space)
    calls: dict[str, Callable[[], object]] = {}
    for count in counts:
        calls[f"step {count}"] = _training(setup, recipe, pool, count, costs)
        calls[f"candidates {count}"] = _evaluation(
            setup, config, count, functools.partial(branch_ms, table, space)
        )
    ms = median_ms(calls, rounds)
    computed = {count: computed_share(space, _population(setup, config, count)) for count in counts}

    def row(count: int) -> ScalingRow:
        step, population = ms[f"step {count}"] / steps, ms[f"candidates {count}"]
        return ScalingRow(
            devices=count,
            step_ms=step,
            groups_per_second=count / step * 1e3,
            step_efficiency=ms["step 1"] / steps / step,
            arch_wait=_arch_wait(setup, recipe, count, costs),
            candidates_per_second=count * config.search.population / population * 1e3,
            computed=computed[count],
            candidate_efficiency=ms["candidates 1"] / population * computed[count] / computed[1],
        )

    return ScalingResult(
        **describe(setup.net),
        batch=f"{recipe.batch} patches of {config.data.patch}x{config.data.patch} per device",
        population=f"{config.search.population} per device",
        scaling=tuple(map(row, counts)),
    )
