"""The training images of a run before any is decoded: which they are, and how large."""

import dataclasses

import numpy as np

from dysr_jax.data.config import DataConfig
from dysr_jax.data.examples import ImageSource, Pair, Subset, make_pairs
from dysr_jax.data.sizes import known_sizes, large_enough
from dysr_jax.data.sources import split_source
from dysr_jax.errors import InputError


@dataclasses.dataclass(frozen=True, eq=False)
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
        images = Subset(self.source, tuple(self.indices.tolist()))
        pairs = make_pairs(images, self.scale, self.config.boundary)
        sizes = np.array([pair.lr.shape[:2] for pair in pairs])
        kept = large_enough(self.config, self.scale, [pair.name for pair in pairs], sizes)
        return [pairs[place] for place in kept]


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
    validation = make_pairs(held, scale, config.boundary)
    return TrainingImages(source, indices, sizes, config, scale), validation
