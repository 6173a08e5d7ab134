"""What every source of images gives: an example by its index, in a fixed order.

An HR image with its LR image, given or made.
"""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from concurrent import futures
from typing import NamedTuple, Protocol, TypeVar

import numpy as np

from dysr_jax.data.degradation import Boundary, crop_to_scale, downscale
from dysr_jax.errors import InputError

T = TypeVar("T")
R = TypeVar("R")


class Example(NamedTuple):
    """An HR image, with its LR image where the source has one."""

    name: str
    hr: np.ndarray
    """`[H, W, 3]` uint8; `[s h, s w, 3]` where `lr` is given."""
    lr: np.ndarray | None
    """`[h, w, 3]` uint8 as it was given, or None: it has to be made."""


class ImageSource(Protocol):
    """Images by index, always in the same order. Picklable, so that other processes can read it too."""

    @property
    def names(self) -> Sequence[str]:
        """A name for each image."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Example:
        """Decode one image.

        Raises:
            InputError: it cannot be read, or its LR image does not fit.
        """


@dataclasses.dataclass(frozen=True)
class Subset:
    """Some images of a source."""

    source: ImageSource
    indices: tuple[int, ...]

    @property
    def names(self) -> Sequence[str]:
        """Their names."""
        names = self.source.names
        return [names[index] for index in self.indices]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Example:
        return self.source[self.indices[index]]


def fit(name: str, hr: np.ndarray, lr: np.ndarray, scale: int) -> Example:
    """An example with a given LR image; HR is cropped to a multiple of the scale.

    Args:
        name: of the example; where the images are files, that of the LR file says most.
        hr: `[H, W, 3]` uint8.
        lr: `[h, w, 3]` uint8, with h = H // scale and w = W // scale.
        scale: side of HR over side of LR.

    Raises:
        InputError: another size; names both.
    """
    check_fit(name, (hr.shape[0], hr.shape[1]), (lr.shape[0], lr.shape[1]), scale)
    return Example(name, crop_to_scale(hr, scale), lr)


def check_fit(name: str, hr: tuple[int, int], lr: tuple[int, int], scale: int) -> None:
    """Whether an LR image of `(h, w)` is that of an HR image of `(H, W)`.

    Raises:
        InputError: it is not; names both sizes.
    """
    rows, columns = hr[0] // scale, hr[1] // scale
    if lr != (rows, columns) or not rows * columns:
        raise InputError(
            f"image {name!r}: LR of {lr[0]}x{lr[1]} does not fit HR of {hr[0]}x{hr[1]}; at scale "
            f"{scale} allowed is {rows}x{columns}"
        )


def unusable(errors: Sequence[tuple[str, InputError]], total: int) -> InputError:
    """One error for all images that cannot be used: the first three are named, all are counted."""
    if len(errors) == 1:
        return errors[0][1]
    return InputError(
        f"{len(errors)} of {total} images cannot be used: "
        f"{listed([name for name, _ in errors])}; the first: {errors[0][1]}"
    )


def listed(names: Sequence[str], shown: int = 3) -> str:
    """The first few names, quoted, and how many there are beyond them."""
    first = ", ".join(repr(name) for name in names[:shown])
    return first + (f" and {len(names) - shown} more" if len(names) > shown else "")


def read_all(source: ImageSource) -> list[Example]:
    """All images of a source.

    Raises:
        InputError: some cannot be used; names the first three and says how many.
    """

    def read(index: int) -> Example | InputError:
        try:
            return source[index]
        except InputError as error:
            return error

    read_images = in_threads(read, range(len(source)))
    found = list(zip(source.names, read_images, strict=True))
    errors = [(name, result) for name, result in found if isinstance(result, InputError)]
    if errors:
        raise unusable(errors, len(source))
    return [result for _, result in found if not isinstance(result, InputError)]


def in_threads(fn: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """`fn` of each item, in their order: decoding and resampling release Python's lock."""
    with futures.ThreadPoolExecutor() as pool:
        return list(pool.map(fn, items))


class Pair(NamedTuple):
    """An HR image and the LR image that was made from it."""

    name: str
    lr: np.ndarray
    """`[H, W, 3]` uint8."""
    hr: np.ndarray
    """`[s H, s W, 3]` uint8."""

    @property
    def generated(self) -> bool:
        """Whether LR was made from HR, and so can be made again; else it was given with HR."""
        return True


class GivenPair(Pair):
    """An HR image and the LR image that was given with it, which is used as it is."""

    @property
    def generated(self) -> bool:
        """LR was given."""
        return False


def degrade(name: str, image: np.ndarray, scale: int, boundary: Boundary = "replicate") -> Pair:
    """The LR/HR pair of an HR image `[H, W, C]`, cropped to a multiple of the scale first.

    Raises:
        InputError: the image has a side under one LR pixel.
    """
    if min(image.shape[:2]) < scale:
        raise InputError(f"image {name!r} of {image.shape[:2]} is smaller than scale {scale}")
    hr = crop_to_scale(image, scale)
    return Pair(name, downscale(hr, scale, boundary), hr)


def make_pair(example: Example, scale: int, boundary: Boundary = "replicate") -> Pair:
    """An example's LR image as it was given, or made from HR where none was.

    Raises:
        InputError: the image has a side under one LR pixel.
    """
    if example.lr is None:
        return degrade(example.name, example.hr, scale, boundary)
    return GivenPair(example.name, example.lr, example.hr)


def make_pairs(source: ImageSource, scale: int, boundary: Boundary = "replicate") -> list[Pair]:
    """The pairs of all images of a source, in threads.

    Raises:
        InputError: some cannot be used (see `read_all`), or one has a side under one LR pixel.
    """
    return in_threads(lambda example: make_pair(example, scale, boundary), read_all(source))
