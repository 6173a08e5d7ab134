"""Images of a source one at a time: what is not asked for is not decoded."""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from dysr_jax.data.images import list_images, read_image, read_size
from dysr_jax.data.sources import load_source


class Example(NamedTuple):
    """An image, and its LR version where the source has one."""

    name: str
    hr: np.ndarray
    """`[H, W, 3]` uint8."""
    lr: np.ndarray | None
    """`[h, w, 3]` uint8."""


class ImageSource(Protocol):
    """Images by their number."""

    @property
    def names(self) -> Sequence[str]:
        """Of all images."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Example: ...


@runtime_checkable
class Sized(Protocol):
    """An `ImageSource` that knows how large its images are without decoding them."""

    def size(self, index: int) -> tuple[int, int]:
        """Rows and columns of the HR image."""


class FolderSource:
    """Image files of a folder, by name."""

    def __init__(self, folder: str) -> None:
        self._files: list[pathlib.Path] = list_images(folder)

    @property
    def names(self) -> Sequence[str]:
        """Of all files."""
        return [file.name for file in self._files]

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> Example:
        return Example(self._files[index].name, read_image(self._files[index]), None)

    def size(self, index: int) -> tuple[int, int]:
        """From the file's header."""
        return read_size(self._files[index])


class LoadedSource:
    """Images that are in memory."""

    def __init__(self, images: Sequence[tuple[str, np.ndarray]]) -> None:
        self._images = images

    @property
    def names(self) -> Sequence[str]:
        """Of all images."""
        return [name for name, _ in self._images]

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Example:
        return Example(*self._images[index], None)

    def size(self, index: int) -> tuple[int, int]:
        """Of the image."""
        rows, columns = self._images[index][1].shape[:2]
        return rows, columns


def open_source(source: str, scale: int) -> ImageSource:
    """The images of a source: `embedded` or `folder:PATH`.

    Args:
        source: of `DataConfig`.
        scale: of the LR images, where the source has some.

    Raises:
        InputError: an unknown source, a missing or empty folder.
    """
    kind, _, path = source.partition(":")
    if kind == "folder" and path:
        return FolderSource(path)
    return LoadedSource(load_source(source))
