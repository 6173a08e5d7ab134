"""Between frames of videos and upright RGB images of 8 bits: colours and orientation.

Only the matrix and the range are undone: primaries and transfer stay, and are passed on as tags. If a stream
does not say them, they are what players take: the matrix BT.709 from 1280 columns or 577 rows on, else
BT.601, and limited range.
"""

from typing import Any

import numpy as np

from dysr_jax.data.images import HDR
from dysr_jax.errors import InputError
from dysr_jax.video.source import av

# Matrices, primaries and transfers by their numbers in ITU-T H.273, which FFmpeg and the files use too.
BT709, BT601, UNTAGGED = 1, 6, 2
UNKNOWN = (0, UNTAGGED, 3)  # numbers that say nothing
LIMITED, FULL = 1, 2  # FFmpeg's numbers of the ranges

# From the numbers of H.273 to those that swscale takes.
MATRICES = {BT709: 1, 4: 4, 5: 5, BT601: 5, 7: 7, 9: 9}

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
    if is_yuv(frame) and matrix not in MATRICES:
        told = OTHER_MATRICES.get(matrix, f"number {matrix}")
        raise InputError(f"its colour matrix is {told}; it must be BT.601, BT.709 or BT.2020")


def to_rgb(frame: "av.VideoFrame", reformatter: "av.video.reformatter.VideoReformatter") -> np.ndarray:
    """`[H, W, 3]` uint8 of a frame, as `check_colours` allows it; deeper channels are rounded to 8 bits."""
    check_colours(frame)
    if frame.format.name.startswith("gray"):  # swscale always takes it for full range
        levels = frame.reformat(format="gray").to_ndarray()
        if frame.color_range == LIMITED:
            wide = (levels.astype(np.float32) - 16) * (255 / 219)
            levels = np.clip(np.rint(wide), 0, 255).astype(np.uint8)
        return np.repeat(levels[:, :, None], 3, 2)
    # Without these, chroma is repeated instead of interpolated, and sums are rounded coarsely.
    flags = av.video.reformatter.Interpolation
    exact = flags.BILINEAR | flags.ACCURATE_RND | flags.FULL_CHR_H_INT | flags.FULL_CHR_H_INP
    matrix = MATRICES.get(matrix_of(frame), 5) if is_yuv(frame) else None
    full = frame.color_range == FULL or not is_yuv(frame) or frame.format.name.startswith("yuvj")
    same: Any = {"src_colorspace": matrix, "dst_colorspace": matrix, "interpolation": exact}
    ranges = {"src_color_range": FULL if full else LIMITED, "dst_color_range": FULL}
    return reformatter.reformat(frame, format="rgb24", **same, **ranges).to_ndarray()


def from_rgb(
    image: np.ndarray, reformatter: "av.video.reformatter.VideoReformatter", form: str, matrix: int
) -> "av.VideoFrame":
    """`[H, W, 3]` uint8 RGB as a frame in limited range of a matrix, in a pixel format such as `yuv420p`."""
    flags, frame = av.video.reformatter.Interpolation, av.VideoFrame.from_ndarray(image, format="rgb24")
    same: Any = {"src_colorspace": MATRICES[matrix], "dst_colorspace": MATRICES[matrix]}
    ranges: Any = {"src_color_range": FULL, "dst_color_range": LIMITED}
    exact = flags.BILINEAR | flags.ACCURATE_RND
    return reformatter.reformat(frame, format=form, interpolation=exact, **same, **ranges)


# `(a, b, c, d)`: a pixel at column x and row y is shown at column `a x + c y`, row `b x + d y`
DisplayMatrix = tuple[float, float, float, float]
UPRIGHT: DisplayMatrix = (1, 0, 0, 1)


def display_matrix(frame: "av.VideoFrame") -> DisplayMatrix:
    """What turns and mirrors a frame for display; `UPRIGHT` without such metadata."""
    from av.sidedata.sidedata import Type

    side_data: Any = frame.side_data  # PyAV 18 and 19 annotate it differently
    data = side_data.get(Type.DISPLAYMATRIX)
    if data is None:
        return UPRIGHT
    # Rows of three in 16.16 fixed point (the last column in 2.30); translations do not matter here.
    fixed = np.frombuffer(data, np.int32)[:6].astype(float) / 65536
    return fixed[0], fixed[1], fixed[3], fixed[4]


def swaps_sides(matrix: DisplayMatrix) -> bool:
    """Whether rows are shown as columns."""
    a, b, c, d = map(abs, matrix)
    return b + c > a + d


def oriented(image: np.ndarray, matrix: DisplayMatrix) -> np.ndarray:
    """`[H, W, C]` as it is shown, to the nearest quarter turn."""
    if matrix == UPRIGHT:
        return image
    if swaps_sides(matrix):
        image, across, down = image.swapaxes(0, 1), matrix[2], matrix[1]
    else:
        across, down = matrix[0], matrix[3]
    return np.ascontiguousarray(image[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1])
