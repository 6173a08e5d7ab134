"""What a source of images is: HR images by index, in a fixed order, each with its LR image given or made."""

import dataclasses
import os
from collections.abc import Callable, Iterable, Sequence
from multiprocessing.pool import ThreadPool
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from tqdm import tqdm

from dysr_jax.data.degradation import Boundary, bicubic_downscale, crop_to_scale
from dysr_jax.errors import InputError

T = TypeVar("T")
R = TypeVar("R")


class Example(NamedTuple):
    """An HR image `[H, W, 3]` uint8; LR `[H / s, W / s, 3]` as given, None where it must be made."""

    name: str
    hr: np.ndarray
    lr: np.ndarray | None


class Pair(NamedTuple):
    """An LR image `[H, W, 3]` and its HR image `[s H, s W, 3]`, uint8."""

    name: str
    lr: np.ndarray
    hr: np.ndarray


class ImageSource(Protocol):
    """Images by index, always in the same order; picklable, so that other processes can read it too."""

    @property
    def names(self) -> Sequence[str]:
        """A name per image."""

    @property
    def sizes(self) -> np.ndarray | None:
        """HR rows and columns per image, int64 `[N, 2]`; None where only decoding would tell."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Example:
        """Decode one image; an `InputError` says that it cannot be read, or that its LR does not fit."""


@dataclasses.dataclass(frozen=True)
class Subset:
    """Some images of a source."""

    source: ImageSource
    indices: tuple[int, ...]

    @property
    def names(self) -> Sequence[str]:
        """Their names."""
        return [*map(self.source.names.__getitem__, self.indices)]

    @property
    def sizes(self) -> np.ndarray | None:
        """Their HR rows and columns, where the source knows them."""
        sizes = self.source.sizes
        return None if sizes is None else sizes[list(self.indices)]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Example:
        return self.source[self.indices[index]]


def check_lr_size(name: str, hr: tuple[int, ...], lr: tuple[int, ...], scale: int) -> None:
    """Refuse an LR image that is not of the rows and columns of HR divided by the scale, rounded down."""
    rows, columns = hr[0] // scale, hr[1] // scale
    if lr[:2] != (rows, columns) or not rows * columns:
        what = f"LR of {lr[0]}x{lr[1]} does not fit HR of {hr[0]}x{hr[1]}"
        raise InputError(f"image {name!r}: {what}; at scale {scale} it must be {rows}x{columns}")


def fit_example(name: str, hr: np.ndarray, lr: np.ndarray, scale: int) -> Example:
    """An example with a given LR image, which must fit; HR is cropped to a multiple of the scale."""
    check_lr_size(name, hr.shape, lr.shape, scale)
    return Example(name, crop_to_scale(hr, scale), lr)


def quote_first(names: Sequence[str], shown: int = 3) -> str:
    """The first few names, quoted, and how many there are beyond them."""
    first = ", ".join(repr(name) for name in names[:shown])
    return first + (f" and {len(names) - shown} more" if len(names) > shown else "")


def unusable_images_error(errors: Sequence[tuple[str, InputError]], total: int) -> InputError:
    """One error for all images that cannot be used: the first three are named, all are counted."""
    if len(errors) == 1:
        return errors[0][1]
    names = quote_first([name for name, _ in errors])
    return InputError(f"{len(errors)} of {total} images cannot be used: {names}; the first: {errors[0][1]}")


def map_images(
    fn: Callable[[T], R], names: Sequence[str], images: Iterable[T], *, progress: str | None = None
) -> list[R]:
    """`fn` of each image, in threads: decoding and resampling release Python's lock.

    One `InputError` is raised for all images that cannot be used. `progress` names a bar on stderr.
    """

    def attempt(image: T) -> tuple[R | None, InputError | None]:
        try:
            return fn(image), None
        except InputError as error:
            return None, error

    with ThreadPool(os.cpu_count()) as pool:
        done = pool.imap(attempt, images, chunksize=4)
        results = list(tqdm(done, desc=progress, total=len(names), unit="image", disable=progress is None))
    errors = [(name, error) for name, (_, error) in zip(names, results, strict=True) if error]
    if errors:
        raise unusable_images_error(errors, len(names))
    return [result for result, _ in results]


def make_pair(example: Example, scale: int, boundary: Boundary = "replicate") -> Pair:
    """An example with its LR image as it was given, or made from HR cropped to a multiple of the scale."""
    if example.lr is not None:
        return Pair(example.name, example.lr, example.hr)
    if min(example.hr.shape[:2]) < scale:
        raise InputError(f"image {example.name!r} of {example.hr.shape[:2]} is smaller than scale {scale}")
    hr = crop_to_scale(example.hr, scale)
    return Pair(example.name, bicubic_downscale(hr, scale, boundary), hr)


def make_pairs(source: ImageSource, scale: int, boundary: Boundary = "replicate") -> list[Pair]:
    """The pairs of all images of a source; one `InputError` names those that cannot be used."""
    return map_images(lambda i: make_pair(source[i], scale, boundary), source.names, range(len(source)))
