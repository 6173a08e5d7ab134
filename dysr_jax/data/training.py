"""The training images of a run before any is decoded: which they are, and how large."""

import dataclasses
from typing import Protocol, runtime_checkable

import numpy as np

from dysr_jax.data.config import DataConfig
from dysr_jax.data.examples import ImageSource, Subset, read_all
from dysr_jax.data.pairs import Pair, make_pair
from dysr_jax.data.records import RecordImages
from dysr_jax.data.sources import split_source
from dysr_jax.errors import InputError


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
        examples = read_all(Subset(self.source, tuple(self.indices.tolist())))
        pairs = [make_pair(example, self.scale, self.config.boundary) for example in examples]
        sizes = np.array([pair.lr.shape[:2] for pair in pairs])
        kept = large_enough(self.config, self.scale, [pair.name for pair in pairs], sizes)
        return [pairs[place] for place in kept]


@runtime_checkable
class Sized(Protocol):
    """A source that knows how large its HR images are without decoding them."""

    def size(self, index: int) -> tuple[int, int]:
        """Rows and columns."""


def known_sizes(source: ImageSource) -> np.ndarray | None:
    """HR rows and columns of all images, int64 `[N, 2]`; None where only decoding would tell.

    Raises:
        InputError: a file whose header cannot be read.
    """
    if isinstance(source, Subset):
        sizes = known_sizes(source.source)
        return None if sizes is None else sizes[list(source.indices)]
    stored = not isinstance(source, RecordImages) or source.sizes
    if not isinstance(source, Sized) or not stored:
        return None
    return np.array([source.size(index) for index in range(len(source))])


def large_enough(config: DataConfig, scale: int, names: list[str], sizes: np.ndarray) -> np.ndarray:
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
        InputError: see `split_source` and `large_enough`.
    """
    if config.patch < 1:
        raise InputError(f"data.patch {config.patch}: allowed is 1 or more")
    source, held = split_source(config, scale)
    indices, sizes = np.arange(len(source)), known_sizes(source)
    if sizes is not None:
        sizes = sizes // scale
        kept = large_enough(config, scale, list(source.names), sizes)
        indices, sizes = indices[kept], sizes[kept]
    validation = [make_pair(example, scale, config.boundary) for example in read_all(held)]
    return TrainingImages(source, indices, sizes, config, scale), validation
