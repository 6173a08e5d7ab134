"""Rescaled copies of training images: more variety than a small set of photographs has.

A shrunk photograph has more detail per pixel; VDSR (Kim et al. 2016) and its successors train on such copies.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from dysr_jax.data.config import DataConfig
from dysr_jax.data.degradation import Boundary, resize
from dysr_jax.data.examples import Example, ImageSource
from dysr_jax.errors import InputError


@dataclasses.dataclass(frozen=True, eq=False)
class RescaledImages:
    """Images of a source, then copies of them that MATLAB's bicubic shrank. A copy has no given LR image."""

    source: ImageSource
    copies: tuple[tuple[int, float], ...]
    """Index in the source and factor of each copy."""
    boundary: Boundary
    source_sizes: np.ndarray
    """int64 `[N, 2]`: HR rows and columns of the source's images."""

    @property
    def names(self) -> Sequence[str]:
        """Of the images, then of the copies: `name*0.8`."""
        names = list(self.source.names)
        return names + [f"{names[index]}*{factor:g}" for index, factor in self.copies]

    @property
    def sizes(self) -> np.ndarray:
        """HR rows and columns of the images, then of the copies."""
        copies = [rescaled_shape(self.source_sizes[index], factor) for index, factor in self.copies]
        return np.concatenate([self.source_sizes, np.array(copies, int).reshape(-1, 2)])

    def __len__(self) -> int:
        return len(self.source) + len(self.copies)

    def __getitem__(self, index: int) -> Example:
        if index < len(self.source):
            return self.source[index]
        original, factor = self.copies[index - len(self.source)]
        example = self.source[original]
        shape = rescaled_shape(example.hr.shape, factor)
        return Example(f"{example.name}*{factor:g}", resize(example.hr, shape, self.boundary), None)


def rescaled_shape(shape: Sequence[int] | np.ndarray, factor: float) -> tuple[int, int]:
    """Rows and columns of a copy, each at least 1."""
    rows, columns = (max(1, round(int(side) * factor)) for side in shape[:2])
    return rows, columns


def add_rescaled(source: ImageSource, config: DataConfig, scale: int) -> ImageSource:
    """The source, with a copy of each image by each of `data.rescale` that a patch still fits into."""
    if not config.rescale:
        return source
    sizes = source.sizes
    if sizes is None:
        raise InputError(
            f"data.rescale {config.rescale}: {config.source!r} does not tell the sizes of its images; "
            f"it must be empty"
        )
    least = config.patch * scale
    copies = [
        (index, factor)
        for factor in config.rescale
        for index, size in enumerate(sizes)
        if min(rescaled_shape(size, factor)) >= least
    ]
    return RescaledImages(source, tuple(copies), config.boundary, sizes)
