"""The training images of a run before any is decoded: which they are, how large, which pipeline they take."""

import dataclasses
from typing import Literal, NamedTuple

import numpy as np

from dysr_jax.data.degradation import crop_to_scale
from dysr_jax.data.pool import MAX_CROPS
from dysr_jax.data.random_access import Example, ImageSource, Sized, open_source
from dysr_jax.data.sources import DataConfig, Pair, degrade, split
from dysr_jax.errors import InputError

SAMPLE = 16
"""Images that are decoded to estimate the bytes of a source that does not tell sizes."""

Pipeline = Literal["pool", "grain"]


@dataclasses.dataclass(frozen=True)
class TrainingImages:
    """Images that stay where they are until they are asked for."""

    source: ImageSource
    indices: np.ndarray
    """int64 `[N]`: which of the source's images."""
    sizes: np.ndarray | None
    """int64 `[N, 2]`: LR rows and columns; None where only decoding would tell."""
    config: DataConfig
    scale: int

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def names(self) -> list[str]:
        """Of the images."""
        names = self.source.names
        return [names[index] for index in self.indices]

    def load(self) -> list[Pair]:
        """All of them, decoded and degraded.

        Raises:
            InputError: a damaged file, or an image smaller than a patch.
        """
        pairs = [to_pair(self.source[index], self.config, self.scale) for index in self.indices]
        sizes = np.array([pair.lr.shape[:2] for pair in pairs])
        kept = large_enough(self.config, self.scale, [pair.name for pair in pairs], sizes)
        return [pairs[place] for place in kept]


class Need(NamedTuple):
    """What a pool of some images takes."""

    nbytes: int
    """Of the pixels on each device, padded to one shape."""
    crops: int
    """Crop positions in all images."""
    exact: bool
    """Whether it follows from all sizes, not from a sample."""


def to_pair(example: Example, config: DataConfig, scale: int) -> Pair:
    """The LR/HR pair of an example; its LR image is made where the source has none.

    Raises:
        InputError: the image has a side under one LR pixel, or its LR image another size.
    """
    name, image, lr = example
    if lr is None:
        return degrade(name, image, scale, config.boundary)
    hr = crop_to_scale(image, scale)
    check_lr(name, hr, lr, scale)
    return Pair(name, lr, hr)


def check_lr(name: str, hr: np.ndarray, lr: np.ndarray, scale: int) -> None:
    """Refuse an LR image `[h, w, 3]` that is not that of `[s h, s w, 3]`.

    Raises:
        InputError: names both sizes.
    """
    rows, columns = (side // scale for side in hr.shape[:2])
    if lr.shape[:2] != (rows, columns):
        found = "x".join(map(str, lr.shape[:2]))
        raise InputError(f"image {name!r}: its LR image is {found}; allowed is {rows}x{columns}")


def large_enough(
    config: DataConfig, scale: int, names: list[str], sizes: np.ndarray
) -> np.ndarray:
    """Places of the images with LR `sizes` `[N, 2]` that a patch fits into.

    Raises:
        InputError: an image is smaller and `data.small` is `error`, or none is left.
    """
    fits = sizes.min(1) >= config.patch
    if config.small == "error" and not fits.all():
        first = int(np.argmin(fits))
        rows, columns = (int(side) * scale for side in sizes[first])
        raise InputError(
            f"image {names[first]!r} of {rows}x{columns} is smaller than a training patch: allowed "
            f"is {config.patch * scale}x{config.patch * scale} or larger (data.patch {config.patch} "
            f"at scale {scale}); --data.small skip leaves such images out"
        )
    if not fits.any():
        raise InputError(
            f"data.patch {config.patch}: no image of {config.source!r} is large enough"
        )
    return np.flatnonzero(fits)


def open_images(config: DataConfig, scale: int) -> tuple[TrainingImages, list[Pair]]:
    """The training images, none of them decoded, and the validation pairs.

    Sizes come from the files' headers (`Sized`), so that too small images are found here.

    Raises:
        InputError: see `open_source`, `split` and `large_enough`.
    """
    if config.patch < 1:
        raise InputError(f"data.patch {config.patch}: allowed is 1 or more")
    source = open_source(config.source, scale)
    training, held = list(range(len(source))), source
    if config.validation:
        held = open_source(config.validation, scale)
        places = list(range(len(held)))[-1 if config.validation == "embedded" else 0 :]
    else:
        training, places = split(config, training)
    indices, sizes = np.array(training), None
    if isinstance(source, Sized):
        sizes = np.array([source.size(index) for index in training]) // scale
        names = source.names
        kept = large_enough(config, scale, [names[index] for index in training], sizes)
        indices, sizes = indices[kept], sizes[kept]
    validation = [to_pair(held[place], config, scale) for place in places]
    return TrainingImages(source, indices, sizes, config, scale), validation


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


def choose(config: DataConfig, need: Need, memory: int) -> Pipeline:
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


def describe(chosen: Pipeline, config: DataConfig, need: Need, memory: int) -> str:
    """The choice and its bytes in a few words."""
    limit = f"{100 * config.pool_share:g} % of its {memory / 1e9:.1f} GB"
    size = f"{'' if need.exact else 'about '}{need.nbytes / 1e6:,.1f} MB"
    if chosen == "pool":
        return f"in the pool, {size} on each device (data.pipeline pool; auto allows {limit})"
    return (
        f"read by Grain as they are needed (data.pipeline grain; the pool would take {size} of each "
        f"device, auto allows {limit})"
    )
