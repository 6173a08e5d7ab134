"""The pipeline of a run: its images are held on the device (`pool`), or read by Grain as they are needed.

Images and choice are the same in every process of a job.
"""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from dysr_jax import parallel
from dysr_jax.data.config import DataConfig
from dysr_jax.data.examples import Pair
from dysr_jax.data.grain_stream import require_grain
from dysr_jax.data.pool import MAX_CROPS
from dysr_jax.data.training import TrainingImages, open_training_images
from dysr_jax.device import memory_bytes

_SAMPLE = 16
"""Images that are decoded to estimate the bytes of a source that does not tell sizes."""

Pipeline = Literal["pool", "grain"]


class PoolNeed(NamedTuple):
    """What a pool of some images takes."""

    nbytes: int
    """Of the pixels on each device, padded to one shape."""
    crops: int
    """Crop positions in all images."""
    exact: bool
    """Whether it follows from all sizes, not from a sample."""


def pool_need(images: TrainingImages) -> PoolNeed:
    """What a pool of these images would take: computed from sizes, or estimated from a decoded sample."""
    sizes, exact = images.sizes, True
    if sizes is None:
        places = np.unique(np.linspace(0, len(images) - 1, _SAMPLE).astype(int))
        sampled = [images.source[int(place)].hr.shape[:2] for place in places]
        sizes, exact = np.array(sampled) // images.scale, len(places) == len(images)
    rows, columns = (int(side) for side in sizes.max(0))
    crops = np.maximum(sizes - images.config.patch + 1, 0).prod(1)
    nbytes = 3 * len(images) * rows * columns * (1 + images.scale**2)
    return PoolNeed(nbytes, round(float(crops.mean()) * len(images)), exact)


def choose_pipeline(config: DataConfig, need: PoolNeed, memory: int) -> Pipeline:
    """The pipeline that a config asks for; `auto` takes the pool where it fits into a device's `memory`."""
    if config.pipeline != "auto":
        return config.pipeline
    fits = need.nbytes <= config.pool_share * memory and need.crops <= MAX_CROPS
    return "pool" if fits else "grain"


def describe_pipeline(config: DataConfig, need: PoolNeed, memory: int) -> str:
    """The chosen pipeline of a config and its bytes, in a few words."""
    limit = f"{100 * config.pool_share:g} % of its {memory / 1e9:.1f} GB"
    size = f"{'' if need.exact else 'about '}{need.nbytes / 1e6:,.1f} MB"
    if config.pipeline == "pool":
        return f"in the pool, {size} on each device (data.pipeline pool; auto allows {limit})"
    return (
        f"read by Grain as they are needed (data.pipeline grain; the pool would take {size} of each "
        f"device, auto allows {limit})"
    )


def resolve_pipeline(config: DataConfig, training: TrainingImages) -> tuple[DataConfig, PoolNeed]:
    """The config with the pipeline that process 0 chose, and what a pool needs.

    It decides which patches are drawn, so a run that was begun with one does not go on with the other.
    """
    need = parallel.everywhere(lambda: pool_need(training))
    chosen = parallel.from_main(lambda: choose_pipeline(config, need, memory_bytes()))
    if chosen == "grain":
        parallel.everywhere(require_grain)
    return dataclasses.replace(config, pipeline=chosen), need


def open_images_everywhere(config: DataConfig, scale: int) -> tuple[TrainingImages, list[Pair]]:
    """`open_training_images` in every process of a job, which must all find the same images."""
    training, validation = parallel.everywhere(lambda: open_training_images(config, scale))
    sizes = None if training.sizes is None else training.sizes.tolist()
    _check_same(config, validation, [list(training.source.names), sizes])
    return training, validation


def load_pairs_everywhere(training: TrainingImages) -> list[Pair]:
    """`TrainingImages.load` in every process of a job, which must all find the same images."""
    pairs = parallel.everywhere(training.load)
    _check_same(training.config, pairs, None)
    return pairs


def _check_same(config: DataConfig, pairs: Sequence[Pair], names: Any) -> None:
    digest = hashlib.sha256(json.dumps(names).encode())
    for pair in pairs:
        digest.update(pair.hr.tobytes())
    parallel.same(
        digest.hexdigest(), f"data.source {config.source!r}: must give every process the same images"
    )
