"""Frames as videos hold them: luma and chroma in planes, converted inside the executables.

Chroma is interpolated linearly and reduced by the matching triangle, as swscale's bilinear scaler does it, at
the place where its samples lie. All arithmetic is float32; a conversion is exact but for that.
"""

import dataclasses
import functools
import math
from typing import Any, Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from chex import Array

from dysr_jax.device import default_device
from dysr_jax.fields import require
from dysr_jax.metrics import to_pixels, to_uint8

BT709: Final = 1
BT601: Final = 6
WEIGHTS: Final = {
    BT709: (0.2126, 0.0722),
    4: (0.30, 0.11),  # FCC
    5: (0.299, 0.114),  # BT.601, 625 lines
    BT601: (0.299, 0.114),
    7: (0.212, 0.087),  # SMPTE 240M
    9: (0.2627, 0.0593),  # BT.2020, non-constant luminance
}
"""The weights of red and blue in luma by matrix, which has its number in ITU-T H.273."""

Siting = tuple[int, int]
"""Where the first chroma sample lies, down and across, in half luma pixels from the first luma sample."""
LEFT: Final = (1, 0)
SITINGS: Final = {1: LEFT, 2: (1, 1), 3: (0, 0), 4: (0, 1), 5: (2, 0), 6: (2, 1)}
"""By FFmpeg's numbers (`AVChromaLocation`), of 4:2:0."""


@dataclasses.dataclass(frozen=True)
class PlaneFormat:
    """How planes hold luma and chroma. A matrix or a depth that is not known is an `InputError`."""

    chroma: tuple[int, int] | None = (1, 1)
    """How often chroma is halved, down and across: `(1, 1)` is 4:2:0, `(0, 1)` 4:2:2; None: there is none."""
    bits: int = 8
    """Per sample, 8 to 16; above 8 in uint16."""
    full_range: bool = False
    """Whether all levels are used; else black is 16 and white 235, of 8 bits."""
    matrix: int = BT709
    """Its number in ITU-T H.273 (`WEIGHTS`)."""
    siting: Siting = LEFT

    def __post_init__(self) -> None:
        require(8 <= self.bits <= 16, "bits", self.bits, "8 to 16")
        require(self.matrix in WEIGHTS, "matrix", self.matrix, f"one of {', '.join(map(str, WEIGHTS))}")

    @property
    def dtype(self) -> np.dtype:
        """Of a sample."""
        return np.dtype(np.uint8 if self.bits == 8 else np.uint16)

    def shapes(self, rows: int, columns: int) -> tuple[tuple[int, int], ...]:
        """Of the planes of a frame."""
        if self.chroma is None:
            return ((rows, columns),)
        down, across = self.chroma
        small = -(-rows >> down), -(-columns >> across)
        return (rows, columns), small, small

    def size(self, rows: int, columns: int) -> int:
        """Number of samples in all planes of a frame."""
        return sum(math.prod(shape) for shape in self.shapes(rows, columns))

    def split(self, samples: np.ndarray, rows: int, columns: int) -> list[np.ndarray]:
        """The planes of a frame `[size]`, as views."""
        shapes = self.shapes(rows, columns)
        ends = np.cumsum([math.prod(shape) for shape in shapes])[:-1]
        return [part.reshape(shape) for part, shape in zip(np.split(samples, ends), shapes, strict=True)]


class Orientation(NamedTuple):
    """How stored frames become upright: sides are swapped, then rows and columns reversed."""

    swap: bool = False
    flip_rows: bool = False
    flip_columns: bool = False


def orient(image: Array, orientation: Orientation) -> Array:
    """`[..., H, W, C]` as it is shown."""
    image = image.swapaxes(-3, -2) if orientation.swap else image
    rows, columns = (slice(None, None, -1 if flip else 1) for flip in orientation[1:])
    return image[..., rows, columns, :]


@dataclasses.dataclass(frozen=True)
class FrameFormat:
    """What a frame program takes and gives."""

    source: PlaneFormat | None = None
    """Of the planes that enter; None: `[H, W, 3]` uint8 RGB."""
    target: PlaneFormat | None = None
    """Of the samples that leave, all planes in one array `[size]`; None: `[s H, s W, 3]` uint8 RGB."""
    orientation: Orientation = Orientation()
    """Of the planes that enter."""
    multiple: int = 1
    """The sides of what leaves are multiples of it: the last row and column are repeated."""

    def stored(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of what enters, for an upright frame of `shape`."""
        return shape[::-1] if self.orientation.swap else shape

    def padded(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of what leaves, for an output of `shape`."""
        rows, columns = (-(-side // self.multiple) * self.multiple for side in shape)
        return rows, columns


class Frame(NamedTuple):
    """A frame that is not plain RGB: what enters a frame program, and how."""

    arrays: tuple[Array, ...]
    """Planes `[H, W]`, or one image `[H, W, 3]` uint8."""
    format: FrameFormat


RGB: Final = FrameFormat()


def read_frame(arrays: tuple[Array, ...], form: FrameFormat) -> Array:
    """`[N, H, W, 3]` float32 RGB in [0, 1], upright, of planes `[N, H, W]` or an image `[N, H, W, 3]`."""
    rgb = to_pixels(arrays[0]) if form.source is None else planes_to_rgb(arrays, form.source)
    return orient(rgb, form.orientation)


def write_frame(rgb: Array, form: FrameFormat) -> Array:
    """What leaves, `[N, size]`, or `[N, H, W, 3]` uint8, of RGB `[N, H, W, 3]` (clipped to [0, 1])."""
    if form.target is None:
        return to_uint8(rgb)
    sides = rgb.shape[1:3]
    pads = [(0, to - side) for side, to in zip(sides, form.padded(sides), strict=True)]
    rgb = jnp.pad(rgb, [(0, 0), *pads, (0, 0)], "edge") if any(map(sum, pads)) else rgb
    planes = rgb_to_planes(rgb, form.target)
    return jnp.concatenate([plane.reshape(plane.shape[0], -1) for plane in planes], 1)


def planes_to_rgb(planes: tuple[Array, ...], form: PlaneFormat) -> Array:
    """`[N, H, W, 3]` float32 RGB in [0, 1], clipped, of integer planes `[N, H, W]`."""
    black, white, middle, swing = _levels(form)
    luma = (planes[0].astype(jnp.float32) - black) / (white - black)
    if form.chroma is None:
        return jnp.clip(jnp.stack([luma] * 3, -1), 0.0, 1.0)
    blue, red = ((plane.astype(jnp.float32) - middle) / swing for plane in planes[1:])
    for axis, halvings, side in zip((1, 2), form.chroma, luma.shape[1:], strict=True):
        blue, red = (_enlarge(x, axis, halvings, form.siting[axis - 1] / 2, side) for x in (blue, red))
    of_red, of_blue = WEIGHTS[form.matrix]
    r, b = luma + 2 * (1 - of_red) * red, luma + 2 * (1 - of_blue) * blue
    g = (luma - of_red * r - of_blue * b) / (1 - of_red - of_blue)
    return jnp.clip(jnp.stack([r, g, b], -1), 0.0, 1.0)


def rgb_to_planes(rgb: Array, form: PlaneFormat) -> tuple[Array, ...]:
    """Planes `[N, H, W]` of `form.dtype`, of RGB `[N, H, W, 3]` (clipped to [0, 1])."""
    black, white, middle, swing = _levels(form)
    r, g, b = _made_once(jnp.clip(rgb.transpose(3, 0, 1, 2), 0.0, 1.0))
    of_red, of_blue = WEIGHTS[form.matrix]
    luma = of_red * r + (1 - of_red - of_blue) * g + of_blue * b
    planes = [black + (white - black) * luma]
    if form.chroma is not None:
        chroma = [(b - luma) / (2 * (1 - of_blue)), (r - luma) / (2 * (1 - of_red))]
        for axis, halvings in zip((1, 2), form.chroma, strict=True):
            chroma = _made_once([_reduce(x, axis, halvings, form.siting[axis - 1] / 2) for x in chroma])
        planes += [middle + swing * x for x in chroma]
    top = (1 << form.bits) - 1
    return tuple(jnp.clip(jnp.round(plane), 0, top).astype(form.dtype) for plane in planes)


def _made_once(arrays: Any) -> Any:
    """On a CPU arrays that XLA keeps, where it would compute them anew for each sample that is a sum of them
    (three times as slow); other devices have the time for that, and less memory.
    """
    cpu = default_device().platform == "cpu"
    return jax.lax.optimization_barrier(arrays) if cpu else arrays


def _levels(form: PlaneFormat) -> tuple[float, float, float, float]:
    """Of black, of white, of no colour, and from one end of a chroma axis to the other."""
    unit, middle = 1 << (form.bits - 8), 1 << (form.bits - 1)
    if form.full_range:
        return 0.0, float((1 << form.bits) - 1), middle, float((1 << form.bits) - 1)
    return 16.0 * unit, 235.0 * unit, middle, 224.0 * unit


def _first_sample(halvings: int, siting: float) -> float:
    """Where the first chroma sample lies, in luma pixels: `siting` is for one halving."""
    return siting * ((1 << halvings) - 1)


def _enlarge(x: Array, axis: int, halvings: int, siting: float, side: int) -> Array:
    """Interpolated linearly along an axis, to `side` samples; beyond the border the border counts."""
    if not halvings:
        return x
    factor, at, count = 1 << halvings, _first_sample(halvings, siting), x.shape[axis]
    padded = _pad(x, axis, 1, 1)
    phases = []
    for phase in range(factor):
        place = (phase - at) / factor
        below, share = math.floor(place), place - math.floor(place)
        low, high = (jax.lax.slice_in_dim(padded, 1 + k, 1 + k + count, 1, axis) for k in (below, below + 1))
        phases.append((1 - share) * low + share * high)
    shape = [side * factor if each == axis else side for each, side in enumerate(x.shape)]
    return jax.lax.slice_in_dim(jnp.stack(phases, axis + 1).reshape(shape), 0, side, 1, axis)


def _reduce(x: Array, axis: int, halvings: int, siting: float) -> Array:
    """A mean along an axis around each chroma sample, weighted by a triangle; the border is repeated."""
    if not halvings:
        return x
    factor, at, side = 1 << halvings, _first_sample(halvings, siting), x.shape[axis]
    taps = range(math.floor(at - factor) + 1, math.ceil(at + factor))
    last = (-(-side // factor) - 1) * factor  # the luma sample where the last chroma sample's pixels begin
    padded = _pad(x, axis, -taps[0], max(0, last + taps[-1] - (side - 1)))
    weights = [1 - abs(tap - at) / factor for tap in taps]
    parts = [
        weight / sum(weights) * jax.lax.slice_in_dim(padded, first, first + last + 1, factor, axis)
        for first, weight in enumerate(weights)
    ]
    return functools.reduce(jnp.add, parts)


def _pad(x: Array, axis: int, before: int, after: int) -> Array:
    """With the border repeated along an axis."""
    return jnp.pad(x, [(before, after) if each == axis else (0, 0) for each in range(x.ndim)], "edge")
