"""Bicubic resampling of `[H, W, C]` uint8 images exactly as MATLAB's `imresize` does it.

The cubic kernel has a = -0.5 (Keys 1981) and, when shrinking, is widened by the scale. Rows are resampled
first, and each pass rounds and clips to uint8. With replicate padding this reproduces the LR images of Set5,
Set14 and BSD100 bit for bit; Pillow, OpenCV and `jax.image.resize` do not.
"""

import functools
from typing import Literal

import numpy as np

Boundary = Literal["replicate", "symmetric"]
_SUPPORT = 4.0  # width of the cubic kernel, in pixels of the coarser image


def _cubic(x: np.ndarray) -> np.ndarray:
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1.0
    far = -0.5 * x**3 + 2.5 * x**2 - 4.0 * x + 2.0
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


@functools.lru_cache(maxsize=64)
def _taps(length: int, out: int, boundary: Boundary) -> tuple[np.ndarray, np.ndarray]:
    """Source indices `[out, taps]` and weights `[out, taps]` of each output position; not to be changed."""
    ratio = out / length
    widen = min(ratio, 1.0)
    centre = (np.arange(out) + 0.5) / ratio - 0.5
    first = np.floor(centre - _SUPPORT / widen / 2).astype(int)
    index = first[:, None] + np.arange(int(np.ceil(_SUPPORT / widen)) + 2)
    weight = _cubic((centre[:, None] - index) * widen)
    weight /= weight.sum(1, keepdims=True)
    if boundary == "replicate":
        return np.clip(index, 0, length - 1), weight
    index = np.mod(index, 2 * length)
    return np.where(index < length, index, 2 * length - 1 - index), weight


def _weigh_rows(image: np.ndarray, index: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Output rows from the image's rows `index` and their `weight`, both `[out, taps]`."""
    total = np.zeros((len(index), *image.shape[1:]))
    for tap in range(index.shape[1]):
        total += weight[:, tap, None, None] * image[index[:, tap]]
    return np.clip(np.floor(total + 0.5), 0, 255).astype(np.uint8)


def resize(image: np.ndarray, shape: tuple[int, int], boundary: Boundary) -> np.ndarray:
    """`imresize` to any rows and columns: `[H, W, C]` to `[*shape, C]`."""
    for out in shape:  # rows, then columns
        image = _weigh_rows(image, *_taps(image.shape[0], out, boundary)).swapaxes(0, 1)
    return image


def crop_to_scale(image: np.ndarray, scale: int) -> np.ndarray:
    """The image without the last rows and columns that are no multiple of `scale` ("modcrop")."""
    rows, columns = (side - side % scale for side in image.shape[:2])
    return image[:rows, :columns]


def _check_multiple(image: np.ndarray, scale: int) -> None:
    rows, columns = image.shape[:2]
    if rows % scale or columns % scale:
        raise ValueError(f"image of {rows}x{columns}: sides must be multiples of scale {scale}")


def bicubic_downscale(image: np.ndarray, scale: int, boundary: Boundary = "replicate") -> np.ndarray:
    """The LR image: `[s H, s W, C]` to `[H, W, C]`; a `ValueError` for other sides (see `crop_to_scale`)."""
    _check_multiple(image, scale)
    return resize(image, (image.shape[0] // scale, image.shape[1] // scale), boundary)


def bicubic_downscale_crop(
    image: np.ndarray, scale: int, row: int, column: int, patch: int, boundary: Boundary = "replicate"
) -> np.ndarray:
    """The crop `[row : row + patch, column : column + patch]` of `bicubic_downscale`, bit for bit.

    Only pixels that the crop depends on are read: at most two LR pixels beyond it. Indices and weights are
    those of the whole image, so its border is padded, and the crop's is not.
    """
    _check_multiple(image, scale)
    (top, down), (left, across) = (
        tuple(taps[first : first + patch] for taps in _taps(side, side // scale, boundary))
        for side, first in zip(image.shape[:2], (row, column), strict=True)
    )
    columns = slice(left.min(), left.max() + 1)
    rows = _weigh_rows(image[:, columns], top, down)
    return _weigh_rows(rows.swapaxes(0, 1), left - columns.start, across).swapaxes(0, 1)


def bicubic_upscale(image: np.ndarray, scale: int, boundary: Boundary = "replicate") -> np.ndarray:
    """The bicubic baseline: `[H, W, C]` to `[s H, s W, C]`."""
    return resize(image, (image.shape[0] * scale, image.shape[1] * scale), boundary)
