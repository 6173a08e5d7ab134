"""Between frames of videos and upright RGB images of 8 bits: colours and orientation.

Planes become RGB as in the programs that upscale them (`model.planes`). Only the matrix and the range are
undone: primaries and transfer stay, and are passed on as tags. If a stream does not say them, they are what
players take: the matrix BT.709 from 1280 columns or 577 rows on, else BT.601, and limited range.
"""

import functools
from typing import Any

import jax
import numpy as np
from chex import Array

from dysr_jax.compiling import jit
from dysr_jax.data.images import HDR
from dysr_jax.errors import InputError
from dysr_jax.model import (
    BT601,
    BT709,
    WEIGHTS,
    FrameFormat,
    Orientation,
    PlaneFormat,
    orient,
    read_frame,
    write_frame,
)
from dysr_jax.video.source import av

# Matrices, primaries and transfers by their numbers in ITU-T H.273, which FFmpeg and the files use too.
UNTAGGED = 2
UNKNOWN = (0, UNTAGGED, 3)  # numbers that say nothing
LIMITED, FULL = 1, 2  # FFmpeg's numbers of the ranges

OTHER_MATRICES = {8: "YCgCo", 10: "BT.2020 constant luminance", 14: "ICtCp"}


def assumed_matrix(rows: int, columns: int) -> int:
    """The matrix of a video that does not say it."""
    return BT709 if columns >= 1280 or rows > 576 else BT601


def is_yuv(frame: "av.VideoFrame") -> bool:
    """Whether pixels are luma and chroma: no RGB, no palette, no grey."""
    return not frame.format.is_rgb and len(frame.format.components) >= 3


def matrix_of(frame: "av.VideoFrame") -> int:
    """The matrix of a frame, declared or assumed."""
    told = int(frame.colorspace)
    return assumed_matrix(frame.height, frame.width) if told in UNKNOWN else told


def check_colours(frame: "av.VideoFrame") -> None:
    """Raise an InputError if a frame's transfer or matrix cannot be converted to 8-bit RGB."""
    transfer, matrix = HDR.get(int(frame.color_trc)), matrix_of(frame)
    if transfer:
        way = "tone-map it first, with ffmpeg's zscale and tonemap"
        raise InputError(f"it is HDR ({transfer} transfer); it must be SDR: {way}")
    if is_yuv(frame) and matrix not in WEIGHTS:
        told = OTHER_MATRICES.get(matrix, f"number {matrix}")
        raise InputError(f"its colour matrix is {told}; it must be BT.601, BT.709 or BT.2020")


@functools.partial(jit, static_argnames=("form", "shape"))
def _converted(arrays: tuple[Array, ...], form: FrameFormat, shape: tuple[int, int]) -> Array:
    rgb = read_frame(tuple(array[None] for array in arrays), form)
    if rgb.shape[1:3] != shape:
        rgb = jax.image.resize(rgb, (1, *shape, 3), "cubic")
    return write_frame(rgb, form)[0]


def to_rgb(arrays: tuple[np.ndarray, ...], form: FrameFormat) -> np.ndarray:
    """`[H, W, 3]` uint8 RGB, upright, of the planes or the image that `form.source` says."""
    if form.source is None:
        return np.ascontiguousarray(orient(arrays[0], form.orientation))
    rows, columns = arrays[0].shape
    return np.array(_converted(arrays, form, form.stored((rows, columns))))


def convert(
    arrays: tuple[np.ndarray, ...],
    source: PlaneFormat | None,
    target: PlaneFormat | None,
    shape: tuple[int, int],
) -> tuple[np.ndarray, ...]:
    """Planes or an image of one format in another one, and `shape` (rows and columns), not turned."""
    made = np.asarray(_converted(arrays, FrameFormat(source, target), shape))
    return (made,) if target is None else tuple(target.split(made, *shape))


def display_orientation(frame: "av.VideoFrame") -> Orientation:
    """How a frame is turned and mirrored for display, to the nearest quarter turn."""
    from av.sidedata.sidedata import Type

    side_data: Any = frame.side_data  # PyAV 18 and 19 annotate it differently
    data = side_data.get(Type.DISPLAYMATRIX)
    return Orientation() if data is None else orientation_of(np.frombuffer(data, np.int32))


def orientation_of(matrix: np.ndarray) -> Orientation:
    """Of a display matrix, rows of three numbers.

    `a b` begins its first row and `c d` its second: a pixel at column x and row y is shown at column
    `a x + c y`, row `b x + d y`.
    """
    a, b, _, c, d = matrix[:5].tolist()
    swap = abs(b) + abs(c) > abs(a) + abs(d)
    across, down = (c, b) if swap else (a, d)
    return Orientation(swap, down < 0, across < 0)
