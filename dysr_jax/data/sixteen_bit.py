"""Colour images of 16 bits a channel, which Pillow opens with the upper 8 bits only.

Its decoders take the upper byte of each sample, and which one that is depends on the byte order that the
raw mode names. Decoded a second time with the other order, the same file gives the lower bytes.
"""

import sys

import numpy as np
from PIL import Image, ImageFile, ImageOps

_SWAPPED = {
    f"{bands};16{order}": f"{bands};16{other}"
    for bands in ("RGB", "RGBA")
    for order, other in (("B", "L"), ("L", "B"), ("N", "B" if sys.byteorder == "little" else "L"))
}
"""Pillow's raw modes that keep the upper byte, and those that keep the lower one of the same samples."""

_BITS_PER_SAMPLE = 258
"""TIFF tag."""


def _raw_modes(image: Image.Image) -> set[str]:
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
    found = _raw_modes(image)
    if found and found <= _SWAPPED.keys():
        return True
    bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (8,))
    if max(bits) > 8 or any(";16" in mode for mode in found):
        raise ValueError(
            f"it has 16 bits a channel as {', '.join(sorted(found))}; allowed are 8 bits, 16-bit grey "
            f"and 16-bit RGB or RGBA with interleaved samples"
        )
    return False


def _lower(image: ImageFile.ImageFile) -> Image.Image:
    """The lower bytes of a file that is opened and not loaded."""
    for number, tile in enumerate(image.tile):
        codec, extents, offset, args = tile
        swapped = (_SWAPPED[args[0]], *args[1:]) if isinstance(args, tuple) else _SWAPPED[str(args)]
        image.tile[number] = type(tile)(codec, extents, offset, swapped)
    return image


def read_levels(first: ImageFile.ImageFile, second: ImageFile.ImageFile) -> np.ndarray:
    """`[H, W, 3 or 4]` uint16 of a 16-bit colour file, turned as its EXIF orientation says.

    Args:
        first: the file, opened and not loaded.
        second: the same file, opened once more.
    """
    upper, lower = (
        np.asarray(ImageOps.exif_transpose(x), np.uint16) for x in (first, _lower(second))
    )
    return upper * 256 + lower
