"""Frames of any size: whole where they are small, else tile by tile with the same pixels.

Convolutions pad with zeros at the image's border, so a tile that lies at the border ends there too. Elsewhere
it overlaps its neighbours by the member's receptive radius, and what the cut has changed is not kept. All
tiles of an image have one shape, so that a member compiles once for it.

A member with channel attention weighs its channels by their means over the image. In an image that is cut
they are means over tiles, and the tiles are cross-faded where they overlap.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
from tqdm import tqdm

from dysr_jax.data.images import grey_to_rgb, rgb_to_grey
from dysr_jax.model import Arch, SearchSpace
from dysr_jax.runtime import Bank

TILE: Final = 1024
"""Longest side of a tile, in LR pixels; images of no more pixels than its square are not cut."""

STEP: Final = 128
"""Sides of tiles are multiples of it, so that images of like sizes have the same executables."""

FADE: Final = 96
"""Half the LR pixels by which the tiles of such a member overlap: a third for the border's convolutions, a
third to fade in, a third for the neighbour's border."""

HEAD_RADIUS: Final = 1


class Span(NamedTuple):
    """A tile along one axis, in LR pixels."""

    start: int
    """Where the tile begins."""
    first: int
    """From here on its pixels are kept."""
    stop: int
    """Where the next tile's are, or the end."""


class Cut(NamedTuple):
    """How a frame is cut."""

    tile: tuple[int, int]
    """Rows and columns of every tile; the frame's own where it is taken whole."""
    overlap: int
    """LR pixels at a tile's inner edges that are not those of the whole frame."""
    fade: bool
    """Whether tiles are cross-faded there, because none has the right pixels."""


def receptive_radius(space: SearchSpace, arch: Arch) -> int | None:
    """How many LR pixels away a pixel still counts for a pixel of the output; None: all of them do."""
    branches = [space.branches(slot)[index] for slot, index in enumerate(arch)]
    radii = [branch.radius(space.width, space.scale) for branch in branches]
    if None in radii:
        return None
    return HEAD_RADIUS + sum(radius for radius in radii if radius is not None)


def plan(shape: tuple[int, int], radius: int | None) -> Cut:
    """How frames of `shape` are cut for a member of this receptive radius."""
    overlap = FADE if radius is None else radius
    if shape[0] * shape[1] <= TILE**2:
        return Cut(shape, overlap, radius is None)
    longest = max(TILE, 4 * overlap)
    rows, columns = (_side(length, longest, overlap) for length in shape)
    return Cut((rows, columns), overlap, radius is None)


def _side(length: int, longest: int, overlap: int) -> int:
    """Of as few tiles as reach, alike and no longer than they need to be."""
    if length <= longest:
        return length
    inside = length - 2 * overlap
    each = math.ceil(inside / math.ceil(inside / (longest - 2 * overlap))) + 2 * overlap
    return min(math.ceil(each / STEP) * STEP, longest)


def spans(length: int, tile: int, overlap: int) -> list[Span]:
    """Tiles along an axis: all inside, the last one shifted inwards, every pixel kept of one of them."""
    if length <= tile:
        return [Span(0, 0, length)]
    starts = [*range(0, length - tile, tile - 2 * overlap), length - tile]
    firsts = [0, *(start + overlap for start in starts[1:])]
    return [Span(*s) for s in zip(starts, firsts, [*firsts[1:], length], strict=True)]


def cut_for(bank: Bank, shape: tuple[int, int], member: str) -> Cut:
    """How a frame of `shape` is cut for a member.

    Raises:
        InputError: no such member.
    """
    return plan(shape, receptive_radius(bank.bundle.space, bank.bundle.member(member).arch))


def prepare_tiles(bank: Bank, shape: tuple[int, int], members: Sequence[str]) -> None:
    """Compile for members, in threads, what frames of `shape` need."""
    tiles = {name: cut_for(bank, shape, name).tile for name in members}
    for tile in dict.fromkeys(tiles.values()):
        bank.prepare(tile, [name for name in members if tiles[name] == tile], warm_up=False)


def upscale_frame(bank: Bank, frame: np.ndarray, member: str, *, progress: bool = False) -> np.ndarray:
    """Upscale a frame of any size; what is missing is compiled.

    Without channel attention the pixels are those of the whole frame at once, up to the rounding of other
    sums in floats.

    Args:
        bank: the members' executables.
        frame: `[H, W, 3]` uint8, or `[H, W, 1]` grey: it is repeated, and the output averaged.
        member: a member's name.
        progress: draw a bar on stderr where there is more than one tile.

    Returns:
        `[s H, s W, 3]` or `[s H, s W, 1]` uint8.

    Raises:
        InputError: no such member, or no uint8 frame of grey or RGB.
    """
    cut = cut_for(bank, (frame.shape[0], frame.shape[1]), member)
    prepare_tiles(bank, (frame.shape[0], frame.shape[1]), [member])

    def enlarge(tile: np.ndarray) -> np.ndarray:
        output = bank(grey_to_rgb(tile), member)
        return rgb_to_grey(output) if tile.shape[2] == 1 else output

    if cut.tile == frame.shape[:2]:
        return enlarge(frame)
    return in_tiles(enlarge, frame, cut, bank.bundle.space.scale, progress=progress)


def in_tiles(
    upscale: Callable[[np.ndarray], np.ndarray],
    image: np.ndarray,
    cut: Cut,
    scale: int,
    *,
    progress: bool = False,
) -> np.ndarray:
    """`upscale` of an image `[H, W, C]` uint8, tile by tile: `[s H, s W, C]` uint8."""
    down, along = (spans(image.shape[axis], cut.tile[axis], cut.overlap) for axis in (0, 1))
    width, channels = scale * image.shape[1], image.shape[2]
    output = np.empty((scale * image.shape[0], width, channels), np.uint8)
    band = np.empty((scale * cut.tile[0], width, channels), np.uint8)
    tiles = [(rows, columns) for rows in down for columns in along]
    for rows, columns in tqdm(tiles, "upscale", unit="tile", disable=not progress, leave=False):
        done = upscale(image[rows.start :, columns.start :][: cut.tile[0], : cut.tile[1]])
        _lay(band.swapaxes(0, 1), done.swapaxes(0, 1), columns, scale, fade=cut.fade)
        if columns is along[-1]:
            _lay(output, band, rows, scale, fade=cut.fade)
    return output


def _lay(output: np.ndarray, part: np.ndarray, span: Span, scale: int, *, fade: bool) -> None:
    """Write along the first axis what is kept of a part; with `fade`, gradually over the one before."""
    margin = (span.first - span.start) * scale
    if not fade:
        length = (span.stop - span.first) * scale
        output[span.first * scale :][:length] = part[margin:][:length]
        return
    place = output[span.start * scale :][: len(part)]
    place[2 * margin :] = part[2 * margin :]
    for index, weight in enumerate(_rise(2 * margin)):
        place[index] = np.round(weight * part[index] + (1 - weight) * place[index])


def _rise(overlap: int) -> np.ndarray:
    """Weights of the pixels that overlap others: a third 0, a third rising, a third 1; float32."""
    third = overlap / 3
    return np.clip((np.arange(overlap, dtype=np.float32) + 0.5) / (third or 1) - 1, 0, 1)
