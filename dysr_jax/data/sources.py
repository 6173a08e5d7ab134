"""Where HR images come from, and how they are split into training and validation.

A source is `embedded` (colour photographs that scikit-image ships, for demonstration) or `folder:PATH`.
"""

import dataclasses
from typing import Literal, NamedTuple

import numpy as np

from dysr_jax.data.degradation import Boundary, crop_to_scale, downscale
from dysr_jax.data.images import list_images, read_image
from dysr_jax.errors import InputError

EMBEDDED = ("chelsea", "coffee", "motorcycle", "rocket", "astronaut")
"""Names of the embedded photographs; the last is held out for validation."""


class Pair(NamedTuple):
    """An image and its degraded version."""

    name: str
    lr: np.ndarray
    """`[H, W, 3]` uint8."""
    hr: np.ndarray
    """`[s H, s W, 3]` uint8."""


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Images, their degradation and the training patches."""

    source: str = "embedded"
    """`embedded`, or `folder:PATH` with HR images."""
    validation: str = ""
    """A source to validate on; empty holds images of `source` out."""
    holdout: int = 8
    """Images held out of a folder, evenly spread over its sorted names (`embedded` holds out one)."""
    boundary: Boundary = "replicate"
    """Padding of the bicubic degradation; MATLAB's data sets use `replicate`."""
    patch: int = 24
    """Side of a training patch, in LR pixels."""
    small: Literal["error", "skip"] = "error"
    """What to do with a training image that is smaller than a patch."""
    pipeline: Literal["auto", "pool", "grain"] = "auto"
    """`pool` holds all training images on every device, `grain` reads them as they are needed; `auto` takes
    the pool where it fits into `pool_share`."""
    pool_share: float = 0.25
    """Share of a device's memory that `auto` lets the pool take."""
    crops_per_image: int = 8
    """Crops that Grain cuts from an image each time it decodes one; they go to different steps."""
    workers: int = 0
    """Processes in which Grain decodes; 0 decodes in threads of this one. The patches are the same."""


def check_pipeline(config: DataConfig) -> None:
    """Refuse what no pipeline can be.

    Raises:
        InputError: names the field, its value and what is allowed.
    """
    if not 0.0 < config.pool_share <= 1.0:
        raise InputError(f"data.pool_share {config.pool_share}: allowed is above 0, to 1")
    if config.crops_per_image < 1:
        raise InputError(f"data.crops_per_image {config.crops_per_image}: allowed is 1 or more")
    if config.workers < 0:
        raise InputError(f"data.workers {config.workers}: allowed is 0 or more")


def load_source(source: str) -> list[tuple[str, np.ndarray]]:
    """The images of a source with their names, `[H, W, 3]` uint8.

    Raises:
        InputError: an unknown source, a missing or empty folder, a file that is no image.
    """
    kind, _, path = source.partition(":")
    if source == "embedded":
        return [(name, _embedded(name)) for name in EMBEDDED]
    if kind == "folder" and path:
        return [(file.name, read_image(file)) for file in list_images(path)]
    raise InputError(f"data source {source!r}: allowed are embedded and folder:PATH")


def _embedded(name: str) -> np.ndarray:
    from skimage import data

    image = data.stereo_motorcycle()[0] if name == "motorcycle" else getattr(data, name)()
    return np.asarray(image)


def split(config: DataConfig, images: list) -> tuple[list, list]:
    """Training and held-out images, in the order of their names."""
    if config.source == "embedded":
        return images[:-1], images[-1:]
    if not 1 <= config.holdout < len(images):
        raise InputError(
            f"data.holdout {config.holdout}: {config.source!r} has {len(images)} images; allowed "
            f"are 1 to {len(images) - 1} (or name a source in data.validation)"
        )
    held = {(2 * i + 1) * len(images) // (2 * config.holdout) for i in range(config.holdout)}
    train = [image for i, image in enumerate(images) if i not in held]
    return train, [images[i] for i in sorted(held)]


def degrade(name: str, image: np.ndarray, scale: int, boundary: Boundary = "replicate") -> Pair:
    """The LR/HR pair of an HR image `[H, W, C]`, cropped to a multiple of the scale first.

    Raises:
        InputError: the image has a side under one LR pixel.
    """
    if min(image.shape[:2]) < scale:
        raise InputError(f"image {name!r} of {image.shape[:2]} is smaller than scale {scale}")
    hr = crop_to_scale(image, scale)
    return Pair(name, downscale(hr, scale, boundary), hr)


def _large_enough(config: DataConfig, pairs: list[Pair], scale: int) -> list[Pair]:
    small = [pair for pair in pairs if min(pair.lr.shape[:2]) < config.patch]
    if small and config.small == "error":
        rows, columns = small[0].hr.shape[:2]
        raise InputError(
            f"image {small[0].name!r} of {rows}x{columns} is smaller than a training patch: allowed "
            f"is {config.patch * scale}x{config.patch * scale} or larger (data.patch {config.patch} "
            f"at scale {scale}); --data.small skip leaves such images out"
        )
    kept = [pair for pair in pairs if min(pair.lr.shape[:2]) >= config.patch]
    if not kept:
        raise InputError(
            f"data.patch {config.patch}: no image of {config.source!r} is large enough"
        )
    return kept


def load_pairs(config: DataConfig, scale: int) -> tuple[list[Pair], list[Pair]]:
    """Training pairs and validation pairs.

    Raises:
        InputError: see `load_source`; or a training image smaller than a patch; or nothing to hold out.
    """
    if config.patch < 1:
        raise InputError(f"data.patch {config.patch}: allowed is 1 or more")
    images = load_source(config.source)
    if config.validation:
        train, held = images, load_source(config.validation)
        held = held[-1:] if config.validation == "embedded" else held
    else:
        train, held = split(config, images)
    pairs = [degrade(name, image, scale, config.boundary) for name, image in train]
    validation = [degrade(name, image, scale, config.boundary) for name, image in held]
    return _large_enough(config, pairs, scale), validation
