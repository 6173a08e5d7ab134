"""Patches a second that the training pipelines deliver, beside what a training step consumes."""

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh

from dysr_jax import parallel
from dysr_jax.bench.setup import describe_space
from dysr_jax.compiling import jit
from dysr_jax.config import RunConfig, check
from dysr_jax.data import (
    Pool,
    Stream,
    TrainingImages,
    build_pool,
    choose_pipeline,
    describe,
    draw,
    open_images,
    pool_need,
)
from dysr_jax.device import device_name, memory_bytes
from dysr_jax.errors import InputError
from dysr_jax.model import Supernet, make_supernet
from dysr_jax.timing import median_ms
from dysr_jax.train import TrainConfig, init_state, make_train_chunk

READY = 3
"""Chunks that are taken before the clock starts: that many are made ahead."""


class Row(NamedTuple):
    """Patches a second."""

    name: str
    delivered: float
    """By a pipeline alone; of the training step, what it consumes."""
    trained: float
    """By training that is fed by the pipeline."""

    def to_json(self, step: float) -> dict[str, Any]:
        """With the ratios to what a training step consumes."""
        return {
            "name": self.name,
            "patches_per_second": self.delivered,
            "ratio": self.delivered / step,
            "training_patches_per_second": self.trained,
            "training_ratio": self.trained / step,
        }


def _trainer(net: Supernet, recipe: TrainConfig, mesh: Mesh, *, streamed: bool) -> Callable[[Any], Any]:
    """A call that trains one chunk on what it is given."""
    chunk = make_train_chunk(net, recipe, mesh, streamed=streamed)
    held = [parallel.replicate(init_state(jax.random.key(0), net.space, recipe), mesh)]
    key = jax.random.key(1)

    def call(data: Any) -> Any:
        held[0], metrics = chunk(held[0], data, key)
        return metrics

    return call


def _seconds_a_chunk(chunks: Iterator[Any], use: Callable[[Any], Any], least: float) -> float:
    """Mean over as many chunks as take `least` seconds; each is waited for one late, as in training."""
    for _ in range(READY):
        last = use(next(chunks))
    jax.block_until_ready(last)
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < least:
        now = use(next(chunks))
        jax.block_until_ready(last)
        last, count = now, count + 1
    jax.block_until_ready(last)
    return (time.perf_counter() - start) / count


def _draws(pool: Pool, recipe: TrainConfig) -> Callable[[], Any]:
    """A call that draws the patches of a chunk from the pool, as training does."""

    def drawn(pool: Pool, keys: jax.Array) -> Any:
        return lax.map(lambda key: draw(key, pool, recipe.batch), keys)

    keys, run = jax.random.split(jax.random.key(2), recipe.chunk), jit(drawn)
    return lambda: run(pool, keys)


def _grain_row(
    images: TrainingImages, recipe: TrainConfig, mesh: Mesh, train: Callable[[Any], Any], seconds: float
) -> Row:
    groups = recipe.groups or mesh.devices.size
    chunks = Stream(images).chunks(0, mesh, chunk=recipe.chunk, groups=groups, batch=recipe.batch)
    try:
        alone = _seconds_a_chunk(chunks, lambda crops: crops, seconds)
        fed = _seconds_a_chunk(chunks, train, seconds)
    finally:
        chunks.close()
    patches = recipe.chunk * recipe.batch
    workers = images.config.workers
    name = f"grain, {workers} worker{'' if workers == 1 else 's'}"
    return Row(name, patches / alone, patches / fed)


def _blank_crops(config: RunConfig, scale: int, mesh: Mesh) -> tuple[jax.Array, jax.Array]:
    """A chunk of black crops on the device: their content does not change the time."""
    shape = (1, config.train.chunk, 1, config.train.batch)
    sides = (config.data.patch, config.data.patch * scale)
    lr, hr = (np.zeros((*shape, side, side, 3), np.uint8) for side in sides)
    return parallel.split((lr, hr), mesh)


def _with_workers(images: TrainingImages, workers: int) -> TrainingImages:
    config = dataclasses.replace(images.config, workers=workers)
    return dataclasses.replace(images, config=config)


def bench_data(
    config: RunConfig,
    *,
    workers: Sequence[int] = (0, 2),
    steps: int = 5,
    rounds: int = 5,
    seconds: float = 2.0,
) -> dict[str, Any]:
    """What the pool and Grain deliver on one device, and how fast training is that they feed.

    The training step is timed on crops that lie on the device, so nothing is drawn in its time. The pool
    is left out where its images do not fit (`data.pool_share`). Starting workers is no part of the time.

    Args:
        config: images, patches, recipe, space and precision.
        workers: numbers of Grain's worker processes.
        steps: training steps in a dispatch.
        rounds: timed rounds of what runs on the device alone; medians count.
        seconds: that Grain is timed, at least, twice for each number of workers.

    Returns:
        Device, images, batch, and `pipelines` with the patches a second of each: delivered, and trained
        on; both also as ratios to what the step consumes.

    Raises:
        InputError: an argument that cannot be; see `check` and `open_images`.
    """
    if steps < 1:
        raise InputError(f"steps {steps}: allowed is 1 or more")
    _check(config, workers, rounds, seconds)
    space = check(config, devices=1)
    net, mesh = make_supernet(space, config.dtype), parallel.device_mesh(1)
    recipe = dataclasses.replace(config.train, groups=1, chunk=steps, steps=steps)
    config = dataclasses.replace(config, train=recipe)
    images, _ = open_images(config.data, space.scale)
    need = pool_need(images)
    data = dataclasses.replace(images.config, pipeline="auto")
    data = dataclasses.replace(data, pipeline=choose_pipeline(data, need, memory_bytes()))

    train, crops = (_trainer(net, recipe, mesh, streamed=True), _blank_crops(config, space.scale, mesh))
    calls: dict[str, Callable[[], object]] = {"step": lambda: train(crops)}
    if data.pipeline == "pool":
        pool = parallel.replicate(build_pool(images.load(), config.data.patch), mesh)
        pooled = _trainer(net, recipe, mesh, streamed=False)
        calls |= {"draw": _draws(pool, recipe), "pooled": lambda: pooled(pool)}
    side, patches = config.data.patch, recipe.chunk * recipe.batch
    rates = {name: patches / ms * 1e3 for name, ms in median_ms(calls, rounds, warmup=1).items()}
    step = rates["step"]
    rows = [Row("training step", step, step)]
    if data.pipeline == "pool":
        rows.append(Row("pool", rates["draw"], rates["pooled"]))
    for count in workers:
        rows.append(_grain_row(_with_workers(images, count), recipe, mesh, train, seconds))
    return {
        "device": device_name(),
        "space": describe_space(net),
        "images": f"{len(images)}; auto: {describe(data, need, memory_bytes())}",
        "batch": f"{recipe.batch} patches of {side}x{side}, {steps} steps a dispatch",
        "crops_per_image": config.data.crops_per_image,
        "dtype": jnp.dtype(net.dtype).name,
        "pipelines": [row.to_json(step) for row in rows],
    }


def _check(config: RunConfig, workers: Sequence[int], rounds: int, seconds: float) -> None:
    if rounds < 1:
        raise InputError(f"rounds {rounds}: allowed is 1 or more")
    if not 0.0 < seconds < float("inf"):
        raise InputError(f"seconds {seconds}: allowed is above 0")
    if any(count < 0 for count in workers):
        raise InputError(f"workers {min(workers)}: allowed is 0 or more")
    if config.devices not in (None, 1):
        raise InputError(f"devices {config.devices}: must be 1: benchmarks use one device")
