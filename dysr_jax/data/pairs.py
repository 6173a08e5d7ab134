"""An HR image with its LR image, given or made."""

from typing import NamedTuple

import numpy as np

from dysr_jax.data.degradation import Boundary, crop_to_scale, downscale
from dysr_jax.data.examples import Example, ImageSource, in_threads, read_all
from dysr_jax.errors import InputError


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
