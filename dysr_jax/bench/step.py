"""The search program against static programs, in a training step and in evaluating candidates; and how many
updates of a recipe there are per second.
"""

import dataclasses
import functools
import statistics
import time
from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree

from dysr_jax import parallel
from dysr_jax.bench.search import matrix_flops
from dysr_jax.bench.setup import BenchResult, Setup, chunk_trainer, compile_evaluation, describe, make_setup
from dysr_jax.compiling import jit
from dysr_jax.config import RunConfig
from dysr_jax.data import build_pool, draw_batch
from dysr_jax.model import (
    Arch,
    SearchSpace,
    arch_mult_adds,
    arch_name,
    init_params,
    largest_arch,
    sample_archs,
    smallest_arch,
    to_archs,
)
from dysr_jax.search import Evaluator, grid_patches
from dysr_jax.timing import median_ms
from dysr_jax.train import (
    TrainState,
    apply_gradients,
    init_state,
    l1_loss,
    passage_counts,
    sample_training_archs,
    to_vectors,
)

SCANNED_STEPS = 4  # steps of a scan in one dispatch; its time is divided by them

Batch = tuple[chex.Array, chex.Array]
Update = Callable[[TrainState, Batch, Arch | chex.Array], TrainState]


@dataclasses.dataclass(frozen=True)
class ArchTimes:
    """Medians of one arch."""

    arch: str
    search_ms: float
    static_ms: float
    ratio: float = dataclasses.field(init=False)  # of the search program over the static one

    def __post_init__(self) -> None:
        object.__setattr__(self, "ratio", self.search_ms / self.static_ms)


@dataclasses.dataclass(frozen=True)
class RecipeRate:
    """Updates as the config trains, patches drawn and Adam included, one group on one device."""

    updates_per_second: float
    update_ms: float
    passages: int
    """Patches that pass an arch in an update, each with its gradient."""
    tflops: float
    """Of these passages: twice their mult-adds, three times for the gradient. Spare rows count nothing."""
    matrix_share: float
    """Of the rate of a large matrix product in the compute dtype: the model FLOPs utilisation."""
    compile_s: float


@dataclasses.dataclass(frozen=True)
class StepResult(BenchResult):
    """What `bench_step` found; `ratio` is the ratios' median."""

    device: str
    space: str
    batch: str
    dtype: str
    archs: tuple[ArchTimes, ...]
    ratio: float
    matrix_tflops: float
    recipe: tuple[RecipeRate, ...]


@dataclasses.dataclass(frozen=True)
class MethodRate:
    """A way to evaluate candidates."""

    name: str
    candidates_per_second: float


@dataclasses.dataclass(frozen=True)
class CandidatesResult(BenchResult):
    """What `bench_candidates` found: times are of one evaluation, `ratio` is the ratios' median."""

    device: str
    space: str
    patches: str
    dtype: str
    archs: tuple[ArchTimes, ...]
    methods: tuple[MethodRate, ...]
    ratio: float


def _scanned(update: Update) -> Update:
    """The update over a batch `[SCANNED_STEPS, ...]` per step, as training draws a new one."""

    def steps(state: TrainState, batches: Batch, arch: Arch | chex.Array) -> TrainState:
        return lax.scan(lambda state, batch: (update(state, batch, arch), None), state, batches)[0]

    return steps


def _compared(setup: Setup, times: Callable[[Arch], tuple[float, float]]) -> dict[str, Any]:
    """The fields of a result that compare its archs, from ms of the search and of the static program."""
    rows = tuple(ArchTimes(arch_name(setup.net.space, arch), *times(arch)) for arch in setup.archs)
    return {**describe(setup.net), "archs": rows, "ratio": statistics.median(row.ratio for row in rows)}


def _passage_mult_adds(space: SearchSpace, config: RunConfig) -> tuple[int, float]:
    """Passages of an update, and the expected mult-adds of them all."""
    recipe, side = config.train, space.scale * config.data.patch
    many = to_archs(space, sample_training_archs(jax.random.key(0), space, 1000, recipe.sampling))

    def cost(*archs: Arch) -> float:
        return statistics.mean(arch_mult_adds(space, arch, (side, side)) for arch in archs)

    counts = passage_counts(space, recipe)
    each = cost(largest_arch(space)), cost(smallest_arch(space)), cost(*many)
    return sum(counts), sum(n * mult_adds for n, mult_adds in zip(counts, each, strict=True))


def _recipe_rate(setup: Setup, config: RunConfig, rounds: int, matrix: float) -> RecipeRate:
    recipe = dataclasses.replace(config.train, groups=1, chunk=SCANNED_STEPS, steps=100 * SCANNED_STEPS)
    mesh = parallel.device_mesh(1)
    pool = parallel.replicate(build_pool(setup.training, config.data.patch), mesh)
    train = functools.partial(chunk_trainer(setup.net, recipe, mesh), pool)
    start = time.perf_counter()
    jax.block_until_ready(train())
    compile_s = time.perf_counter() - start
    ms = median_ms({"": train}, rounds)[""] / SCANNED_STEPS
    passages, mult_adds = _passage_mult_adds(setup.net.space, config)
    tflops = 6 * mult_adds / ms / 1e9
    return RecipeRate(1e3 / ms, ms, passages, tflops, tflops / matrix, compile_s)


def bench_step(config: RunConfig, *, archs: int = 4, rounds: int = 15) -> StepResult:
    """Milliseconds of a training step (L1, gradient, Adam) of single archs, in turn, on one device; and
    updates per second of the config's recipe.

    The search program runs inside `lax.switch` inside `lax.scan`, as in training. The static program is
    timed as a dispatch of its own, where XLA's CPU backend makes the fastest convolutions, and inside a
    scan, where an accelerator saves the dispatch; the faster of the two counts. `archs` are the smallest, the
    largest and random ones.
    """
    setup = make_setup(config, rounds, max(archs, 1))
    net, recipe = setup.net, config.train
    key_init, key_draw = jax.random.split(jax.random.key(config.seed))
    state, unravel = to_vectors(init_state(key_init, net.space, recipe))
    pool = build_pool(setup.training, config.data.patch)
    keys = jax.random.split(key_draw, SCANNED_STEPS)
    batches = jit(jax.vmap(lambda key: draw_batch(key, pool, recipe.batch)))(keys)
    batch = jax.tree.map(lambda leaf: leaf[0], batches)

    def update(state: TrainState, batch: Batch, arch: Arch | chex.Array) -> TrainState:
        lr, hr = batch
        gradient = jax.grad(lambda params: l1_loss(net.apply({"params": params}, lr, arch), hr))
        return apply_gradients(state, ravel_pytree(gradient(unravel(state.params)))[0], recipe)

    searched, scanned = jit(_scanned(update)), jit(_scanned(update), static_argnums=2)
    alone = jit(update, static_argnums=2)
    calls: dict[str, Callable[[], object]] = {}
    for arch in setup.archs:
        genes = jnp.asarray(arch, jnp.int32)
        calls[f"search {arch}"] = functools.partial(searched, state, batches, genes)
        calls[f"alone {arch}"] = functools.partial(alone, state, batch, arch)
        calls[f"scanned {arch}"] = functools.partial(scanned, state, batches, arch)
    ms = median_ms(calls, rounds)

    def times(arch: Arch) -> tuple[float, float]:
        best = min(ms[f"alone {arch}"], ms[f"scanned {arch}"] / SCANNED_STEPS)
        return ms[f"search {arch}"] / SCANNED_STEPS, best

    patches = f"{recipe.batch} patches of {config.data.patch}x{config.data.patch}"
    compared = _compared(setup, times)
    matrix = matrix_flops(net.dtype) / 1e12
    rate = _recipe_rate(setup, config, rounds, matrix)
    return StepResult(batch=patches, **compared, matrix_tflops=matrix, recipe=(rate,))


def bench_candidates(config: RunConfig, *, compiled: int = 4, rounds: int = 15) -> CandidatesResult:
    """Candidates per second, and the search program's time for single archs against the static program's.

    `compiled` candidates are the smallest, the largest and random ones.
    """
    setup = make_setup(config, rounds, max(compiled, 1), "compiled")
    net, space, search = setup.net, setup.net.space, config.search
    params = init_params(jax.random.key(config.seed), space)
    patches = grid_patches(setup.validation, search.patches, search.patch)
    evaluate = Evaluator(net, patches, parallel.device_mesh(1))

    calls: dict[str, Callable[[], object]] = {}
    compile_s = []
    for arch in setup.archs:
        start = time.perf_counter()
        run = compile_evaluation(net, params, patches, arch)
        compile_s.append(time.perf_counter() - start)
        calls[f"static {arch}"] = functools.partial(run, params, patches)
        calls[f"search {arch}"] = functools.partial(evaluate, params, jnp.asarray([arch], jnp.int32))
    population = sample_archs(jax.random.key(config.seed + 1), space, (search.population,))
    calls["population"] = functools.partial(evaluate, params, population)
    ms = median_ms(calls, rounds)
    found = _compared(setup, lambda arch: (ms[f"search {arch}"], ms[f"static {arch}"]))
    static_s = statistics.mean(row.static_ms for row in found["archs"]) / 1e3
    rates = {
        "search program": search.population / ms["population"] * 1e3,
        "compile each candidate": 1.0 / (statistics.mean(compile_s) + static_s),
    }
    shape = f"{len(patches.lr)} of {search.patch}x{search.patch}"
    return CandidatesResult(
        patches=shape, methods=tuple(MethodRate(*item) for item in rates.items()), **found
    )
