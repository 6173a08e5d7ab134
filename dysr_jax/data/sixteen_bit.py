"""Colour images of 16 bits a channel, which Pillow opens with the upper 8 bits only.

Its decoders take the upper byte of each sample, and which one that is depends on the byte order that the
raw mode names. Decoded a second time with the other order, the same file gives the lower bytes.
"""

import sys
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFile

from dysr_jax.data.metadata import turn_upright

_SWAPPED = {
    f"{bands};16{order}": f"{bands};16{other}"
    for bands in ("RGB", "RGBA", "RGBX")
    for order, other in (("B", "L"), ("L", "B"), ("N", "B" if sys.byteorder == "little" else "L"))
}
"""Pillow's raw modes that keep the upper byte, and those that keep the lower one of the same samples."""

_GREY_ALPHA = "LA;16B"
"""As PNG has it; its four bytes a pixel are had as those of another mode."""

_CODECS = frozenset(("zip", "raw", "libtiff"))
"""Decoders that unpack by the raw mode; others may turn the samples themselves."""


def raw_modes(image: Image.Image) -> set[str]:
    """How the decoder is told that samples lie in the file; empty for formats without such tiles."""
    tiles = getattr(image, "tile", None) or []
    args = [tile[3] if isinstance(tile[3], tuple) else (tile[3],) for tile in tiles]
    return {str(given[0]) for given in args if given}


def is_sixteen_bit_colour(image: Image.Image) -> bool:
    """Whether an opened file, not loaded yet, holds more bits a channel than Pillow will give.

    Raises:
        ValueError: it does, in a layout whose lower bits cannot be had.
    """
    if image.mode == "F" or image.mode.startswith("I"):
        return False
    deep = {mode for mode in raw_modes(image) if ";16" in mode and not mode.startswith("BGR")}
    if not deep:
        return False
    codecs = {tile[0] for tile in getattr(image, "tile", ())}
    if deep <= _SWAPPED.keys() | {_GREY_ALPHA} and codecs <= _CODECS:
        return True
    raise ValueError(f"it has 16 bits a channel in a layout that is not known ({min(deep)})")


def _with_raw_modes(image: ImageFile.ImageFile, modes: dict[str, str]) -> ImageFile.ImageFile:
    """A file that is opened and not loaded, to be unpacked by other raw modes."""
    for number, tile in enumerate(image.tile):
        codec, extents, offset, args = tile
        given = (modes[args[0]], *args[1:]) if isinstance(args, tuple) else modes[str(args)]
        image.tile[number] = type(tile)(codec, extents, offset, given)
    return image


def read_levels(
    image: ImageFile.ImageFile, reopened: Callable[[], ImageFile.ImageFile]
) -> np.ndarray:
    """`[H, W, 2, 3 or 4]` uint16 of a 16-bit colour file, turned as its EXIF orientation says.

    Args:
        image: the file, opened and not loaded.
        reopened: opens it once more.
    """
    if _GREY_ALPHA in raw_modes(image):
        image._mode = "RGBA"
        pairs = _upright(_with_raw_modes(image, {_GREY_ALPHA: "RGBA"}))
        return pairs.astype(np.uint8).view(">u2").astype(np.uint16)
    upper = _upright(image)
    return upper * 256 + _upright(_with_raw_modes(reopened(), _SWAPPED))


def _upright(image: Image.Image) -> np.ndarray:
    turn_upright(image)
    return np.asarray(image, np.uint16)
