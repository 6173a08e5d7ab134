"""Where images come from, and how they are split into training and validation.

A source is `embedded` (colour photographs that scikit-image ships, for demonstration), `folder:PATH` with HR
images, `paired:HR,LR` with HR and LR images, or `tfds:NAME[/CONFIG][:SPLIT]`, a data set that
`dysr data prepare` prepared.

Colour photographs that scikit-image ships, for demonstration.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import numpy as np

from dysr_jax.data.config import DataConfig
from dysr_jax.data.examples import (
    Example,
    GivenPair,
    ImageSource,
    Pair,
    Subset,
    degrade,
    make_pair,
    make_pairs,
    read_all,
)
from dysr_jax.data.files import Duplicates
from dysr_jax.data.folders import open_folder, open_paired
from dysr_jax.data.records import open_records
from dysr_jax.data.sizes import large_enough, with_copies
from dysr_jax.errors import InputError

EMBEDDED: Final = ("chelsea", "coffee", "motorcycle", "rocket", "astronaut")
"""Names of the embedded photographs; the last is held out for validation."""


class EmbeddedImages:
    """The embedded photographs, in the order of `EMBEDDED`."""

    names = EMBEDDED

    def __len__(self) -> int:
        return len(EMBEDDED)

    def __getitem__(self, index: int) -> Example:
        from skimage import data

        name = EMBEDDED[index]
        image = data.stereo_motorcycle()[0] if name == "motorcycle" else getattr(data, name)()
        return Example(name, np.asarray(image), None)

    def size(self, index: int) -> tuple[int, int]:
        """Rows and columns of a photograph."""
        rows, columns = self[index].hr.shape[:2]
        return rows, columns


__all__ = [
    "EMBEDDED",
    "DataConfig",
    "Example",
    "GivenPair",
    "ImageSource",
    "Pair",
    "degrade",
    "load_pairs",
    "load_source",
    "make_pair",
    "open_source",
    "split_source",
]

T = TypeVar("T")


def open_source(
    source: str, scale: int, *, duplicates: Duplicates = "error", directory: str = ""
) -> ImageSource:
    """The images of a source by index, without decoding them.

    Args:
        source: see the module.
        scale: side of HR over side of LR, for given LR images.
        duplicates: what to do with a file that repeats an earlier one of its folder.
        directory: of the prepared data sets; empty is TFDS's.

    Raises:
        InputError: an unknown source; a missing or empty folder; files that cannot be read, are the same, or
            do not pair; a data set that is not prepared.
    """
    kinds: dict[str, Callable[[str], ImageSource]] = {
        "folder": lambda path: open_folder(path, duplicates),
        "paired": lambda path: open_paired(path, scale, duplicates),
        "tfds": lambda name: open_records(name, scale, directory),
    }
    kind, _, place = source.partition(":")
    if source == "embedded":
        return EmbeddedImages()
    if kind in kinds and place:
        return kinds[kind](place)
    raise InputError(
        f"data source {source!r}: allowed are embedded, folder:PATH, paired:HR,LR and "
        f"tfds:NAME[/CONFIG][:SPLIT]"
    )


def load_source(source: str, scale: int) -> list[Example]:
    """All images of a source, decoded.

    Raises:
        InputError: see `open_source`.
    """
    return read_all(open_source(source, scale))


def _split(config: DataConfig, images: Sequence[T]) -> tuple[Sequence[T], Sequence[T]]:
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


def _check_stills(source: str, images: ImageSource) -> None:
    if any("/" in name for name in images.names):
        raise InputError(
            f"data.validation '': {source!r} holds frames of clips, and held-out frames would have "
            f"neighbours in training; allowed is a source of other clips, such as another split"
        )


def split_source(config: DataConfig, scale: int) -> tuple[ImageSource, ImageSource]:
    """Training images and validation images by index: what `load_pairs` loads.

    Raises:
        InputError: see `open_source`; or nothing to hold out.
    """

    def opened(source: str) -> ImageSource:
        return open_source(source, scale, duplicates=config.duplicates, directory=config.directory)

    images = opened(config.source)
    if not config.validation:
        _check_stills(config.source, images)
        train, held = _split(config, range(len(images)))
        return with_copies(Subset(images, tuple(train)), config, scale), Subset(images, tuple(held))
    validation = opened(config.validation)
    if config.validation == "embedded":
        validation = Subset(validation, (len(validation) - 1,))
    return with_copies(images, config, scale), validation


def load_pairs(config: DataConfig, scale: int) -> tuple[list[Pair], list[Pair]]:
    """Training pairs and validation pairs.

    Raises:
        InputError: see `open_source`; or a training image smaller than a patch; or nothing to hold out.
    """
    if config.patch < 1:
        raise InputError(f"data.patch {config.patch}: allowed is 1 or more")
    training, validation = (
        make_pairs(images, scale, config.boundary) for images in split_source(config, scale)
    )
    sizes = np.array([pair.lr.shape[:2] for pair in training])
    kept = large_enough(config, scale, [pair.name for pair in training], sizes)
    return [training[place] for place in kept], validation
