"""From what a program gives, all planes of a frame in one array, and from RGB images, to frames of PyAV."""

import re
from fractions import Fraction
from typing import cast

import numpy as np

from dysr_jax.model.planes import PlaneFormat
from dysr_jax.video.planes import plane_view
from dysr_jax.video.source import av

CHROMA = {"420": (1, 1), "422": (0, 1), "444": (0, 0)}  # how often it is halved, down and across
# Names that FFmpeg's scaler has for the matrices, by their numbers in H.273.
SCALER_MATRICES = {1: "bt709", 6: "smpte170m"}


def plane_format(name: str, matrix: int) -> PlaneFormat:
    """The planes of a pixel format such as `yuv420p10le`, in limited range and sited left."""
    chroma, *bits = re.findall(r"\d+", name)
    return PlaneFormat(CHROMA[chroma], int(bits[0]) if bits else 8, matrix=matrix)


def is_subsampled(name: str) -> bool:
    """Whether a pixel format has less chroma than luma."""
    return "444" not in name


def to_frame(samples: np.ndarray, name: str, form: PlaneFormat, shape: tuple[int, int]) -> "av.VideoFrame":
    """A frame of a pixel format, of samples `[size]`, whose memory it may share; `shape` is rows, columns."""
    rows, columns = shape
    samples = np.ascontiguousarray(samples)
    if name == "yuv420p" and not rows % 4 and not columns % 2:  # PyAV cuts rows off to a multiple of 4
        return av.VideoFrame.from_numpy_buffer(samples.reshape(-1, columns), name)
    frame = av.VideoFrame(columns, rows, name)
    for plane, values in zip(frame.planes, form.split(samples, rows, columns), strict=True):
        lines = np.frombuffer(plane, form.dtype).reshape(-1, plane.line_size // form.dtype.itemsize)
        lines[: values.shape[0], : values.shape[1]] = values
    return frame


def to_samples(frame: "av.VideoFrame", form: PlaneFormat) -> np.ndarray:
    """The samples `[size]` of a frame, copied."""
    return np.concatenate([plane_view(plane, form.dtype).ravel() for plane in frame.planes])


class FromRgb:
    """Makes frames of RGB images, by FFmpeg's scaler: accurate, limited range, chroma sited left."""

    def __init__(self, name: str, matrix: int, shape: tuple[int, int]) -> None:
        rows, columns = self._shape = shape
        self._graph = av.filter.Graph()
        ranges = f"in_range=full:out_range=limited:out_color_matrix={SCALER_MATRICES[matrix]}"
        across = "out_h_chr_pos=0" if is_subsampled(name) else ""
        down = "out_v_chr_pos=128" if "420" in name else ""  # elsewhere older versions move rows by it
        exact = "flags=bilinear+accurate_rnd+full_chroma_inp"
        options = ":".join(filter(None, (ranges, across, down, exact)))
        nodes = (
            self._graph.add_buffer(width=columns, height=rows, format="rgb24", time_base=Fraction(1)),
            self._graph.add("scale", options),
            self._graph.add("format", f"pix_fmts={name}"),
            self._graph.add("buffersink"),
        )
        self._graph.link_nodes(*nodes).configure()

    def __call__(self, image: np.ndarray) -> "av.VideoFrame":
        """A frame of `[H, W, 3]` uint8; below and to the right the last pixels are repeated."""
        pads = [(0, to - side) for to, side in zip(self._shape, image.shape[:2], strict=True)]
        padded = np.pad(image, [*pads, (0, 0)], "edge") if any(map(sum, pads)) else image
        self._graph.push(av.VideoFrame.from_ndarray(padded, format="rgb24"))
        return cast("av.VideoFrame", self._graph.pull())
