"""How large images are, without decoding them, and whether a training patch fits into them.

Rescaled copies: more variety than a small set of photographs has.
"""

import dataclasses
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from dysr_jax.data.config import DataConfig
from dysr_jax.data.degradation import Boundary, resize
from dysr_jax.data.examples import Example, ImageSource, Subset
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
        raise InputError(f"data.patch {config.patch}: no image of {config.source!r} is large enough")
    return np.flatnonzero(fits)


@dataclasses.dataclass(frozen=True, eq=False)
class RescaledImages:
    """Images of a source, then copies of them that MATLAB's bicubic shrank.

    A shrunk photograph has more detail a pixel; VDSR (Kim et al. 2016) and its successors train on such
    copies. A copy has no given LR image.
    """

    source: ImageSource
    copies: tuple[tuple[int, float], ...]
    """Index in the source and factor of each copy."""
    boundary: Boundary
    sizes: np.ndarray
    """int64 `[N, 2]`: HR rows and columns of the images, without the copies."""

    @property
    def names(self) -> Sequence[str]:
        """Of the images, then of the copies: `name*0.8`."""
        names = list(self.source.names)
        return names + [f"{names[index]}*{factor:g}" for index, factor in self.copies]

    def __len__(self) -> int:
        return len(self.source) + len(self.copies)

    def __getitem__(self, index: int) -> Example:
        if index < len(self.source):
            return self.source[index]
        original, factor = self.copies[index - len(self.source)]
        example = self.source[original]
        shape = shrunk(example.hr.shape[:2], factor)
        name = f"{example.name}*{factor:g}"
        return Example(name, resize(example.hr, shape, self.boundary), None)

    def size(self, index: int) -> tuple[int, int]:
        """HR rows and columns, without decoding."""
        if index < len(self.source):
            return shrunk(self.sizes[index], 1.0)
        original, factor = self.copies[index - len(self.source)]
        return shrunk(self.sizes[original], factor)


def shrunk(shape: Sequence[int] | np.ndarray, factor: float) -> tuple[int, int]:
    """Rows and columns of a copy."""
    rows, columns = (max(1, round(int(side) * factor)) for side in shape[:2])
    return rows, columns


def with_copies(source: ImageSource, config: DataConfig, scale: int) -> ImageSource:
    """The source, with a copy of each image by each of `data.rescale` that a patch still fits into.

    Raises:
        InputError: a factor that does not shrink; images whose sizes are not known without decoding.
    """
    for factor in config.rescale:
        if not 0.0 < factor < 1.0:
            raise InputError(f"data.rescale {factor}: allowed are factors above 0 and under 1")
    if not config.rescale:
        return source
    sizes = known_sizes(source)
    if sizes is None:
        raise InputError(
            f"data.rescale {config.rescale}: {config.source!r} does not tell the sizes of its images; "
            f"allowed is no rescaling"
        )
    least = config.patch * scale
    copies = [
        (index, factor)
        for factor in config.rescale
        for index, size in enumerate(sizes)
        if min(shrunk(size, factor)) >= least
    ]
    return RescaledImages(source, tuple(copies), config.boundary, sizes)
