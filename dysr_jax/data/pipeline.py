"""The images of a run: held on the device (`pool`), or read by Grain as they are needed."""

import dataclasses
import hashlib
import json
from typing import Literal, NamedTuple

import numpy as np

from dysr_jax.data.config import DataConfig
from dysr_jax.data.examples import Pair
from dysr_jax.data.grain_stream import require_grain
from dysr_jax.data.pool import MAX_CROPS
from dysr_jax.data.training import TrainingImages, open_training_images

_SAMPLE = 16  # images that are decoded to estimate the bytes of a source that does not tell sizes
Pipeline = Literal["pool", "grain"]


class PoolNeed(NamedTuple):
    """What a pool takes: bytes of padded pixels per device, crop positions; from all sizes or a sample."""

    nbytes: int
    crops: int
    exact: bool


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
    pool = f"the pool would take {size} of each device, auto allows {limit}"
    return f"read by Grain as they are needed (data.pipeline grain; {pool})"


@dataclasses.dataclass(frozen=True, eq=False)
class RunImages:
    """The images of a run, as one process finds them."""

    training: list[Pair] | TrainingImages
    """Pairs for the pool; or where they lie, for Grain and for a run that does not train."""
    validation: list[Pair]
    pipeline: Pipeline
    need: PoolNeed
    digest: str
    """Of names, sizes and the decoded pixels: the same in all processes of a job."""


def load_run_images(config: DataConfig, scale: int, *, memory: int, train: bool) -> RunImages:
    """Find the images of a run, choose their pipeline, and decode what the pool takes.

    `memory` is that of a device in bytes, the same in all processes of a job, none of which
    waits for others. Of a run that does not `train`, nothing but the validation pairs is decoded.
    Raises `InputError`: see `open_training_images` and `TrainingImages.load`; or Grain is chosen and missing.
    """
    images, validation = open_training_images(config, scale)
    need = pool_need(images)
    pipeline = choose_pipeline(config, need, memory)
    if pipeline == "grain":
        require_grain()
    pairs = images.load() if train and pipeline == "pool" else []
    sizes = None if images.sizes is None else images.sizes.tolist()
    digest = hashlib.sha256(json.dumps([list(images.source.names), sizes]).encode())
    for pair in (*validation, *pairs):
        digest.update(pair.hr.tobytes())
    return RunImages(pairs or images, validation, pipeline, need, digest.hexdigest())
