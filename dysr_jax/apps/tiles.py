"""Frames of any size: whole if they are small, else tile by tile with the same pixels.

Convolutions pad with zeros at the image's border, so tiles end there too. Elsewhere they overlap by the
member's receptive radius, and pixels that the cut changed are not kept. Channel attention takes means over
the tile, so its tiles are cross-faded. All tiles have one shape, so a member compiles once.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
from tqdm import tqdm

from dysr_jax.data.images import grey_to_rgb, rgb_to_grey
from dysr_jax.model import Arch, SearchSpace, arch_width
from dysr_jax.runtime import Server

# All in LR pixels.
MAX_TILE: Final = 1024  # longest side of a tile; images of at most its square are not cut
TILE_STEP: Final = 128  # sides are multiples of it, so that images of similar sizes share executables
# Half the overlap of cross-faded tiles: a third for convolutions at the border, a third to fade in, a third
# for the neighbour's border.
FADE_OVERLAP: Final = 96
HEAD_RADIUS: Final = 1


class Span(NamedTuple):
    """A tile along one axis, in LR pixels; its pixels from `first` to `stop` are kept."""

    start: int
    first: int
    stop: int


class Tiling(NamedTuple):
    """How a frame is cut."""

    tile: tuple[int, int]
    """Rows and columns of every tile; the frame's own if it is not cut."""
    overlap: int
    """LR pixels at a tile's inner edges that differ from those of the whole frame."""
    fade: bool
    """Whether tiles are cross-faded there, because none has the right pixels."""


def receptive_radius(space: SearchSpace, arch: Arch) -> int | None:
    """LR pixels to the farthest input that an output pixel depends on; None: it depends on all."""
    width = arch_width(space, arch)
    branches = [space.branches(slot)[arch[slot]] for slot in range(len(space.slots))]
    radii = [branch.radius(width, space.scale) for branch in branches]
    known = [radius for radius in radii if radius is not None]
    return HEAD_RADIUS + sum(known) if len(known) == len(radii) else None


def make_tiling(shape: tuple[int, int], radius: int | None) -> Tiling:
    """The tiling of frames of `shape` for a member of this receptive radius."""
    overlap = FADE_OVERLAP if radius is None else radius
    tile = shape
    if shape[0] * shape[1] > MAX_TILE**2:
        longest = max(MAX_TILE, 4 * overlap)
        tile = (_side(shape[0], longest, overlap), _side(shape[1], longest, overlap))
    return Tiling(tile, overlap, radius is None)


def _side(length: int, longest: int, overlap: int) -> int:
    """The shortest side with which the fewest tiles cover the axis."""
    if length <= longest:
        return length
    inside = length - 2 * overlap
    each = math.ceil(inside / math.ceil(inside / (longest - 2 * overlap))) + 2 * overlap
    return min(math.ceil(each / TILE_STEP) * TILE_STEP, longest)


def spans(length: int, tile: int, overlap: int) -> list[Span]:
    """The tiles along an axis: all inside, the last one shifted inwards, every pixel kept of one tile."""
    if length <= tile:
        return [Span(0, 0, length)]
    starts = [*range(0, length - tile, tile - 2 * overlap), length - tile]
    firsts = [0, *(start + overlap for start in starts[1:])]
    return [Span(*s) for s in zip(starts, firsts, [*firsts[1:], length], strict=True)]


def member_tiling(server: Server, shape: tuple[int, int], member: str) -> Tiling:
    """The tiling of frames of `shape` for a member; an InputError if there is no such member."""
    return make_tiling(shape, receptive_radius(server.bundle.space, server.bundle.member(member).arch))


def prepare_tiles(server: Server, shape: tuple[int, int], members: Sequence[str]) -> None:
    """Compile what frames of `shape` need for members, in threads."""
    tiles = {name: member_tiling(server, shape, name).tile for name in members}
    for tile in dict.fromkeys(tiles.values()):
        server.prepare(tile, [name for name in members if tiles[name] == tile], warm_up=False)


def upscale_frame(server: Server, frame: np.ndarray, member: str, *, progress: bool = False) -> np.ndarray:
    """`[H, W, C]` uint8 to `[s H, s W, C]` uint8, C 1 (repeated, and the output averaged) or 3.

    What is missing is compiled. Without channel attention the pixels are those of the whole frame at once, up
    to the rounding of float sums in another order. `progress` draws a bar on stderr if there are many tiles.
    """
    shape = frame.shape[0], frame.shape[1]
    tiling = member_tiling(server, shape, member)
    prepare_tiles(server, shape, [member])

    def enlarge(tile: np.ndarray) -> np.ndarray:
        output = server(grey_to_rgb(tile), member)
        return rgb_to_grey(output) if tile.shape[2] == 1 else output

    if tiling.tile == shape:
        return enlarge(frame)
    return in_tiles(enlarge, frame, tiling, server.bundle.space.scale, progress=progress)


Enlarge = Callable[[np.ndarray], np.ndarray]


def in_tiles(
    upscale: Enlarge, image: np.ndarray, tiling: Tiling, scale: int, *, progress: bool = False
) -> np.ndarray:
    """`upscale` of an image `[H, W, C]` uint8, tile by tile: `[s H, s W, C]` uint8."""
    row_spans, column_spans = (spans(image.shape[a], tiling.tile[a], tiling.overlap) for a in (0, 1))
    width, channels = scale * image.shape[1], image.shape[2]
    output = np.empty((scale * image.shape[0], width, channels), np.uint8)
    band = np.empty((scale * tiling.tile[0], width, channels), np.uint8)
    tiles = [(rows, columns) for rows in row_spans for columns in column_spans]
    for rows, columns in tqdm(tiles, "upscale", unit="tile", disable=not progress, leave=False):
        done = upscale(image[rows.start :, columns.start :][: tiling.tile[0], : tiling.tile[1]])
        _place(band.swapaxes(0, 1), done.swapaxes(0, 1), columns, scale, fade=tiling.fade)
        if columns is column_spans[-1]:
            _place(output, band, rows, scale, fade=tiling.fade)
    return output


def _place(output: np.ndarray, part: np.ndarray, span: Span, scale: int, *, fade: bool) -> None:
    """Write what is kept of a part along the first axis, with `fade` gradually over the one before."""
    margin = (span.first - span.start) * scale
    if not fade:
        length = (span.stop - span.first) * scale
        output[span.first * scale :][:length] = part[margin:][:length]
        return
    target, overlap = output[span.start * scale :][: len(part)], 2 * margin
    target[overlap:] = part[overlap:]
    # A third 0, a third rising, a third 1.
    weights = np.clip((np.arange(overlap, dtype=np.float32) + 0.5) / (overlap / 3 or 1) - 1, 0, 1)
    for index, weight in enumerate(weights):
        target[index] = np.round(weight * part[index] + (1 - weight) * target[index])
