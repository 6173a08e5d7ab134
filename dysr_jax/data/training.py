"""The training images of a run before any is decoded: which they are, and how large."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from dysr_jax.data.config import DataConfig
from dysr_jax.data.examples import ImageSource, Pair, Subset, make_pairs
from dysr_jax.data.sources import split_source
from dysr_jax.errors import InputError


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingImages:
    """Images that stay where they are until they are asked for."""

    source: ImageSource
    sizes: np.ndarray | None
    """int64 `[N, 2]`: LR rows and columns; None where only decoding would tell."""
    config: DataConfig
    scale: int

    def __len__(self) -> int:
        return len(self.source)

    def load(self) -> list[Pair]:
        """All of them, decoded and degraded; those that are smaller than a patch are errors or left out."""
        pairs = make_pairs(self.source, self.scale, self.config.boundary)
        sizes = np.array([pair.lr.shape[:2] for pair in pairs])
        kept = find_large_enough(self.config, self.scale, [pair.name for pair in pairs], sizes)
        return [pairs[place] for place in kept]


def find_large_enough(config: DataConfig, scale: int, names: Sequence[str], sizes: np.ndarray) -> np.ndarray:
    """Places of the images with LR `sizes` `[N, 2]` that hold a patch; `data.small` may refuse others."""
    fits = sizes.min(1) >= config.patch
    if config.small == "error" and not fits.all():
        first = int(np.argmin(fits))
        (rows, columns), least = (int(side) * scale for side in sizes[first]), config.patch * scale
        what = f"image {names[first]!r} of {rows}x{columns} is smaller than a training patch"
        must = f"must be {least}x{least} or larger (data.patch {config.patch} at scale {scale})"
        raise InputError(f"{what}: {must}; --data.small skip leaves such images out")
    if not fits.any():
        raise InputError(f"data.patch {config.patch}: no image of {config.source!r} is large enough")
    return np.flatnonzero(fits)


def open_training_images(config: DataConfig, scale: int) -> tuple[TrainingImages, list[Pair]]:
    """The training images, none of them decoded, and the validation pairs.

    Raises `InputError`: see `split_source`; or an image that is known to be smaller than a patch.
    """
    source, held = split_source(config, scale)
    sizes = source.sizes
    if sizes is not None:
        sizes = sizes // scale
        kept = find_large_enough(config, scale, source.names, sizes)
        source, sizes = Subset(source, tuple(kept.tolist())), sizes[kept]
    return TrainingImages(source, sizes, config, scale), make_pairs(held, scale, config.boundary)


def load_pairs(config: DataConfig, scale: int) -> tuple[list[Pair], list[Pair]]:
    """Training pairs and validation pairs: `open_training_images`, decoded."""
    training, validation = open_training_images(config, scale)
    return training.load(), validation
