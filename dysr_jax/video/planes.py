"""What a decoded frame holds, as NumPy arrays on the decoder's memory: planes of luma and chroma, or RGB.

Packed, big endian and interleaved samples are put into planes by swscale, which changes none of them.
"""

import re
from typing import Any

import numpy as np

from dysr_jax.errors import InputError
from dysr_jax.model import LEFT, SITINGS, PlaneFormat
from dysr_jax.video import colour
from dysr_jax.video.source import av

SUBSAMPLINGS = {(1, 1): "420", (0, 1): "422", (0, 0): "444", (1, 0): "440", (0, 2): "411", (2, 2): "410"}
"""The names in FFmpeg of how often chroma is halved, down and across."""
PLANAR = re.compile(r"(yuv[aj]?4\d\dp|gray)(9|10|12|14|16)?(le)?")  # alpha is a plane behind the others
NO_LUMA = re.compile(r"xyz|.*f(16|32)")  # floats and CIE 1931, in whose components FFmpeg sees luma
CENTRED = ("mjpeg", "mpeg1video")
"""Codecs whose chroma lies in the centre, which PyAV 18 does not tell; the others have it left by default."""


def plane_format(frame: "av.VideoFrame", codec: str = "") -> PlaneFormat | None:
    """What the planes of a frame hold; None if it is RGB, has a palette, or is otherwise no luma and chroma.

    `codec` is the decoder's name in FFmpeg: it says where chroma lies if the frame does not.
    """
    form = frame.format
    parts = [part for part in form.components if not part.is_alpha]
    bits = max((part.bits for part in parts), default=0)
    if form.has_palette or NO_LUMA.match(form.name) or not 8 <= bits <= 16 or not parts[0].is_luma:
        return None
    full = frame.color_range == colour.FULL or form.name.startswith("yuvj")
    if len(parts) == 1:
        return PlaneFormat(None, bits, full or frame.color_range != colour.LIMITED)
    down, across = ((64 // side(64)).bit_length() - 1 for side in (form.chroma_height, form.chroma_width))
    centred = codec in CENTRED or form.name.startswith("yuvj")
    told = SITINGS.get(int(getattr(frame, "chroma_location", 0)), (1, 1) if centred else LEFT)
    row, column = told[0] if down else LEFT[0], told[1] if across else LEFT[1]
    return PlaneFormat((down, across), bits, full, colour.matrix_of(frame), (row, column))


def arrays_of(
    frame: "av.VideoFrame", form: PlaneFormat | None, reformatter: "av.video.reformatter.VideoReformatter"
) -> tuple[np.ndarray, ...]:
    """The planes `[H, W]` that a frame stores, read-only; without a format one RGB image `[H, W, 3]` uint8.

    Pixels that FFmpeg cannot convert are an InputError.
    """
    if form is None:
        return (_reformat(frame, "rgb24", reformatter).to_ndarray(),)
    if not PLANAR.fullmatch(frame.format.name):
        depth = "" if form.bits == 8 else f"{form.bits}le"
        name = "gray" if form.chroma is None else f"yuv{SUBSAMPLINGS[form.chroma]}p"
        frame = _reformat(frame, name + depth, reformatter)
    return tuple(plane_view(plane, form.dtype) for plane in frame.planes[: 1 if form.chroma is None else 3])


def _reformat(
    frame: "av.VideoFrame", name: str, reformatter: "av.video.reformatter.VideoReformatter"
) -> "av.VideoFrame":
    """A frame in another pixel format, with its levels."""
    flags = av.video.reformatter.Interpolation
    exact = flags.BILINEAR | flags.ACCURATE_RND | flags.FULL_CHR_H_INT | flags.FULL_CHR_H_INP
    matrix = None if name == "rgb24" else colour.BT709  # any, for it stays
    same: Any = {"src_colorspace": matrix, "dst_colorspace": matrix, "interpolation": exact}
    same |= {"src_color_range": colour.FULL, "dst_color_range": colour.FULL}
    try:
        # With several threads swscale mixes up rows, now and then.
        return reformatter.reformat(frame, format=name, threads=1, **same)
    except (av.error.FFmpegError, OSError, ValueError):
        raise InputError(f"its pixel format {frame.format.name} must be one that FFmpeg converts") from None


def plane_view(plane: "av.video.plane.VideoPlane", dtype: np.dtype) -> np.ndarray:
    """`[H, W]` of a plane, without what pads its rows; it keeps the frame alive."""
    rows = np.frombuffer(plane, dtype).reshape(plane.height, -1)[:, : plane.width]
    rows.flags.writeable = False  # the decoder may predict later frames from it
    return rows if plane.line_size > 0 else rows[::-1]
