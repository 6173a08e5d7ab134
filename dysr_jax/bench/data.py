"""Patches per second that the training pipelines deliver, beside what a training step consumes."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import jax
import numpy as np
from jax import lax
from jax.sharding import Mesh

from dysr_jax import data as sources
from dysr_jax import parallel
from dysr_jax.bench.setup import BenchResult, check_one_device, chunk_trainer, describe
from dysr_jax.compiling import jit
from dysr_jax.config import RunConfig, check
from dysr_jax.data import CropPool, GrainStream, TrainingImages
from dysr_jax.device import memory_bytes
from dysr_jax.fields import require
from dysr_jax.model import make_supernet
from dysr_jax.timing import median_ms
from dysr_jax.train import TrainConfig

READY_CHUNKS: Final = 3  # chunks that are taken before the clock starts: that many are made ahead


@dataclasses.dataclass(frozen=True)
class PipelineRow:
    """A pipeline; ratios are to what a training step consumes."""

    name: str
    patches_per_second: float  # by the pipeline alone; of the training step, what it consumes
    ratio: float
    training_patches_per_second: float  # by training that the pipeline feeds
    training_ratio: float


@dataclasses.dataclass(frozen=True)
class DataResult(BenchResult):
    """What `bench_data` found."""

    device: str
    space: str
    images: str
    batch: str
    crops_per_image: int
    dtype: str
    pipelines: tuple[PipelineRow, ...]


def _chunk_s(chunks: Iterator[Any], use: Callable[[Any], Any], least: float) -> float:
    """Mean seconds over as many chunks as take `least`; each is waited for one late, as in training."""
    for _ in range(READY_CHUNKS):
        last = use(next(chunks))
    jax.block_until_ready(last)
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < least:
        now = use(next(chunks))
        jax.block_until_ready(last)
        last, count = now, count + 1
    jax.block_until_ready(last)
    return (time.perf_counter() - start) / count


def _draws(pool: CropPool, recipe: TrainConfig) -> Callable[[], Any]:
    """A call that draws the patches of a chunk from the pool, as training does."""

    def drawn(pool: CropPool, keys: jax.Array) -> Any:
        return lax.map(lambda key: sources.draw_batch(key, pool, recipe.batch), keys)

    keys, run = jax.random.split(jax.random.key(2), recipe.chunk), jit(drawn)
    return lambda: run(pool, keys)


def _grain_rates(
    images: TrainingImages, recipe: TrainConfig, mesh: Mesh, train: Callable[[Any], Any], seconds: float
) -> tuple[float, float]:
    groups = recipe.groups or mesh.devices.size
    sizes = {"chunk": recipe.chunk, "groups": groups, "batch": recipe.batch}
    with contextlib.closing(GrainStream(images).chunks(0, mesh, **sizes)) as chunks:
        alone = _chunk_s(chunks, lambda crops: crops, seconds)
        fed = _chunk_s(chunks, train, seconds)
    patches = recipe.chunk * recipe.batch
    return patches / alone, patches / fed


def _blank_crops(config: RunConfig, scale: int, mesh: Mesh) -> tuple[jax.Array, jax.Array]:
    """A chunk of black crops on the device: their content does not change the time."""
    shape = (1, config.train.chunk, 1, config.train.batch)
    sides = (config.data.patch, config.data.patch * scale)
    lr, hr = (np.zeros((*shape, side, side, 3), np.uint8) for side in sides)
    return parallel.split((lr, hr), mesh)


def bench_data(
    config: RunConfig,
    *,
    workers: Sequence[int] = (0, 2),
    steps: int = 5,
    rounds: int = 5,
    seconds: float = 2.0,
) -> DataResult:
    """What the pool and Grain deliver on one device, and how fast training is that they feed.

    The training step is timed on crops that lie on the device, so nothing is drawn in its time. The pool
    is left out where its images do not fit (`data.pool_share`). Starting workers is no part of the time.

    `workers` are numbers of Grain's worker processes, `steps` training steps per dispatch, `rounds` those of
    what runs on the device alone (medians count), `seconds` the least that Grain is timed, twice per number.

    Raises InputError: an argument out of range; see `check` and `open_images`.
    """
    require(steps >= 1, "steps", steps, "at least 1")
    require(rounds >= 1, "rounds", rounds, "at least 1")
    require(0.0 < seconds < float("inf"), "seconds", seconds, "above 0")
    require(min(workers, default=0) >= 0, "workers", min(workers, default=0), "at least 0")
    check_one_device(config)
    space = check(config, devices=1)
    net, mesh = make_supernet(space, config.dtype, layers=config.layers), parallel.device_mesh(1)
    recipe = dataclasses.replace(config.train, groups=1, chunk=steps, steps=steps)
    config = dataclasses.replace(config, train=recipe)
    images, _ = sources.open_training_images(config.data, space.scale)
    need = sources.pool_need(images)
    data = dataclasses.replace(images.config, pipeline="auto")
    data = dataclasses.replace(data, pipeline=sources.choose_pipeline(data, need, memory_bytes()))
    train, crops = chunk_trainer(net, recipe, mesh, streamed=True), _blank_crops(config, space.scale, mesh)
    calls: dict[str, Callable[[], object]] = {"step": lambda: train(crops)}
    if data.pipeline == "pool":
        pool = parallel.replicate(sources.build_pool(images.load(), config.data.patch), mesh)
        pooled = chunk_trainer(net, recipe, mesh, streamed=False)
        calls |= {"draw": _draws(pool, recipe), "pooled": lambda: pooled(pool)}
    side, patches = config.data.patch, recipe.chunk * recipe.batch
    rates = {name: patches / ms * 1e3 for name, ms in median_ms(calls, rounds, warmup=1).items()}
    step = rates["step"]
    found = {"training step": (step, step)}
    if data.pipeline == "pool":
        found["pool"] = rates["draw"], rates["pooled"]
    for count in workers:
        loader = dataclasses.replace(images, config=dataclasses.replace(images.config, workers=count))
        name = f"grain, {count} worker{'' if count == 1 else 's'}"
        found[name] = _grain_rates(loader, recipe, mesh, train, seconds)
    return DataResult(
        **describe(net),
        images=f"{len(images)}; auto: {sources.describe_pipeline(data, need, memory_bytes())}",
        batch=f"{recipe.batch} patches of {side}x{side}, {steps} steps per dispatch",
        crops_per_image=config.data.crops_per_image,
        pipelines=tuple(PipelineRow(name, a, a / step, fed, fed / step) for name, (a, fed) in found.items()),
    )
