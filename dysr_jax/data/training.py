"""The training images of a run before any is decoded: which they are, and how large."""

import dataclasses

import numpy as np

from dysr_jax.data.degradation import crop_to_scale
from dysr_jax.data.random_access import Example, ImageSource, Sized, open_source
from dysr_jax.data.sources import DataConfig, Pair, degrade, split
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
        pairs = [to_pair(self.source[index], self.config, self.scale) for index in self.indices]
        sizes = np.array([pair.lr.shape[:2] for pair in pairs])
        kept = large_enough(self.config, self.scale, [pair.name for pair in pairs], sizes)
        return [pairs[place] for place in kept]


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
