"""Sources of images by name, and their split into training and validation.

`DataConfig.source` says which there are; `embedded` are colour photographs that scikit-image ships. A data
set of one's own is a folder, or is registered in `builders.datasets`. Training images may be used in rescaled
copies too, as VDSR (Kim et al. 2016) does: a shrunk photograph has more detail per pixel.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from dysr_jax.data.config import DataConfig
from dysr_jax.data.degradation import Boundary, resize
from dysr_jax.data.examples import Example, ImageSource, Subset, map_images
from dysr_jax.data.folders import open_folder, open_paired
from dysr_jax.data.listing import Duplicates
from dysr_jax.data.records import PathLike, open_records
from dysr_jax.errors import InputError


@dataclasses.dataclass(frozen=True, eq=False)
class RescaledImages:
    """Images of a source, then copies of them that MATLAB's bicubic shrank. A copy has no given LR image."""

    source: ImageSource
    copies: tuple[tuple[int, float], ...]  # index in the source and factor of each copy
    boundary: Boundary
    source_sizes: np.ndarray  # int64 `[N, 2]`: HR rows and columns of the source's images

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
        what = f"{config.source!r} does not tell the sizes of its images"
        raise InputError(f"data.rescale {config.rescale}: {what}; it must be empty")
    least = config.patch * scale
    wanted = itertools.product(config.rescale, enumerate(sizes))
    copies = [(i, factor) for factor, (i, size) in wanted if min(rescaled_shape(size, factor)) >= least]
    return RescaledImages(source, tuple(copies), config.boundary, sizes)


# Rows and columns of the embedded photographs; the last is held out for validation
EMBEDDED: Final = {
    "chelsea": (300, 451),
    "coffee": (400, 600),
    "motorcycle": (500, 741),
    "rocket": (427, 640),
    "astronaut": (512, 512),
}


class EmbeddedImages:
    """The embedded photographs, in the order of `EMBEDDED`."""

    names = tuple(EMBEDDED)
    sizes = np.array(list(EMBEDDED.values()))

    def __len__(self) -> int:
        return len(EMBEDDED)

    def __getitem__(self, index: int) -> Example:
        from skimage import data

        name = self.names[index]
        image = data.stereo_motorcycle()[0] if name == "motorcycle" else getattr(data, name)()
        return Example(name, np.asarray(image), None)


def open_source(
    source: str, scale: int, *, duplicates: Duplicates = "error", directory: PathLike | None = None
) -> ImageSource:
    """The images of a source by index, not decoded; `directory` is of prepared data sets (default: TFDS's).

    Raises `InputError`: an unknown source, a missing or empty folder, files that cannot be read, are the same
    or do not pair, a data set that is not prepared or of another `scale`.
    """
    kind, _, place = source.partition(":")
    if source == "embedded":
        return EmbeddedImages()
    if place and kind == "folder":
        return open_folder(place, duplicates)
    if place and kind == "paired":
        return open_paired(place, scale, duplicates)
    if place and kind == "tfds":
        return open_records(place, scale, directory)
    known = "embedded, folder:PATH, paired:HR,LR or tfds:NAME[/CONFIG][:SPLIT]"
    raise InputError(f"data source {source!r}: must be {known}")


def load_source(source: str, scale: int) -> list[Example]:
    """`open_source`, all images decoded."""
    images = open_source(source, scale)
    return map_images(images.__getitem__, images.names, range(len(images)))


def _split(config: DataConfig, count: int) -> tuple[list[int], list[int]]:
    """Which of so many images are trained on, and which are held out."""
    if config.source == "embedded":
        held = {count - 1}
    elif 1 <= config.holdout < count:
        held = {(2 * i + 1) * count // (2 * config.holdout) for i in range(config.holdout)}
    else:
        must = f"must be 1 to {count - 1} (or name a source in data.validation)"
        raise InputError(f"data.holdout {config.holdout}: {config.source!r} has {count} images; {must}")
    return [i for i in range(count) if i not in held], sorted(held)


def split_source(config: DataConfig, scale: int) -> tuple[ImageSource, ImageSource]:
    """Training images, with rescaled copies, and validation images: a source of its own, or held-out ones."""
    options: Any = {"duplicates": config.duplicates, "directory": config.directory}
    images = open_source(config.source, scale, **options)
    if config.validation:
        validation = open_source(config.validation, scale, **options)
        if config.validation == "embedded":
            validation = Subset(validation, (len(validation) - 1,))
        return add_rescaled(images, config, scale), validation
    if any("/" in name for name in images.names):
        what = "holds frames of clips, and held-out frames would have neighbours in training"
        must = "must be a source of other clips, such as another split"
        raise InputError(f"data.validation: {config.source!r} {what}; {must}")
    train, held = _split(config, len(images))
    return add_rescaled(Subset(images, tuple(train)), config, scale), Subset(images, tuple(held))
