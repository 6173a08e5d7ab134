"""Whether the training images go to the device, or are read by Grain as they are needed."""

from typing import Literal, NamedTuple

import numpy as np

from dysr_jax.data.pool import MAX_CROPS
from dysr_jax.data.sources import DataConfig
from dysr_jax.data.training import TrainingImages

SAMPLE = 16
"""Images that are decoded to estimate the bytes of a source that does not tell sizes."""

Pipeline = Literal["pool", "grain"]


class Need(NamedTuple):
    """What a pool of some images takes."""

    nbytes: int
    """Of the pixels on each device, padded to one shape."""
    crops: int
    """Crop positions in all images."""
    exact: bool
    """Whether it follows from all sizes, not from a sample."""


def pool_need(images: TrainingImages) -> Need:
    """What a pool of these images would take: computed from sizes, or estimated from a decoded sample."""
    sizes, exact = images.sizes, True
    if sizes is None:
        places = np.unique(np.linspace(0, len(images) - 1, SAMPLE).astype(int))
        sampled = [images.source[images.indices[place]].hr.shape[:2] for place in places]
        sizes, exact = np.array(sampled) // images.scale, len(places) == len(images)
    rows, columns = (int(side) for side in sizes.max(0))
    crops = np.maximum(sizes - images.config.patch + 1, 0).prod(1)
    pixels = len(images) * rows * columns
    nbytes = 3 * pixels * (1 + images.scale**2)
    return Need(nbytes, round(float(crops.mean()) * len(images)), exact)


def choose_pipeline(config: DataConfig, need: Need, memory: int) -> Pipeline:
    """The pipeline that a config asks for; `auto` takes the pool where it fits.

    Args:
        config: its `pipeline` and `pool_share` count.
        need: of the images.
        memory: bytes of a device.
    """
    if config.pipeline != "auto":
        return config.pipeline
    fits = need.nbytes <= config.pool_share * memory and need.crops <= MAX_CROPS
    return "pool" if fits else "grain"


def describe(config: DataConfig, need: Need, memory: int) -> str:
    """The pipeline of a config in which it is chosen, and the bytes, in a few words."""
    limit = f"{100 * config.pool_share:g} % of its {memory / 1e9:.1f} GB"
    size = f"{'' if need.exact else 'about '}{need.nbytes / 1e6:,.1f} MB"
    if config.pipeline == "pool":
        return f"in the pool, {size} on each device (data.pipeline pool; auto allows {limit})"
    return (
        f"read by Grain as they are needed (data.pipeline grain; the pool would take {size} of each "
        f"device, auto allows {limit})"
    )
