"""How large images are, without decoding them, and whether a training patch fits into them."""

from typing import Protocol, runtime_checkable

import numpy as np

from dysr_jax.data.config import DataConfig
from dysr_jax.data.examples import ImageSource, Subset
from dysr_jax.data.records import RecordImages
from dysr_jax.errors import InputError


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
